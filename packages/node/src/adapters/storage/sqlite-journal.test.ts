import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'vitest';
import { journalCompliance } from '../../ports/testing/journal-compliance.ts';
import { openSqliteJournal } from './sqlite-journal.ts';

describe('the journal in SQLite', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'nemea-journal-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const storage = () => ({ open: (owner: string) => openSqliteJournal(join(dir, 'j.sqlite'), owner) });
  for (const { title, run } of journalCompliance(storage)) it(title, run);
});
