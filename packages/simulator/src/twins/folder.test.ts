import { folderCompliance } from '@nemea/node/ports/testing';
import { describe, it } from 'vitest';
import { openFolderTwin } from './folder.ts';

describe('a simulated folder', () => {
  const prepare = () => {
    const files = new Map<string, Uint8Array>();
    return () => openFolderTwin(files);
  };
  for (const { title, run } of folderCompliance(prepare)) it(title, run);
});
