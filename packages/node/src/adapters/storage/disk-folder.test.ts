import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { folderCompliance } from '../../ports/testing/index.ts';
import { openDiskFolder } from './disk-folder.ts';

describe('a folder on disk', () => {
  let dir: string;
  beforeEach(() => {
    dir = join(mkdtempSync(join(tmpdir(), 'nemea-folder-')), 'own');
  });
  afterEach(() => rmSync(join(dir, '..'), { recursive: true }));

  for (const { title, run } of folderCompliance(() => () => openDiskFolder(dir))) it(title, run);

  it('is its owner’s alone, and shows no file that was not written to its end', () => {
    const folder = openDiskFolder(dir);
    folder.write('a.key', Uint8Array.of(1));
    writeFileSync(join(dir, 'b.key.new'), 'half');
    expect(folder.names()).toEqual(['a.key']);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(statSync(join(dir, 'a.key')).mode & 0o777).toBe(0o600);
  });
});
