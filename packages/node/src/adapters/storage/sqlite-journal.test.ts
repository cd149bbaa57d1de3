import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { journalCompliance } from '../../ports/testing/journal-compliance.ts';
import { openSqliteJournal } from './sqlite-journal.ts';

describe('the journal in SQLite', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'nemea-journal-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const path = () => join(dir, 'j.sqlite');
  const storage = () => ({
    open: (owner: string) => openSqliteJournal(path(), owner),
    rot: (record: Uint8Array) => {
      const file = readFileSync(path());
      const at = file.indexOf(record);
      expect(at).toBeGreaterThan(0);
      file[at] = (file[at] as number) ^ 1;
      writeFileSync(path(), file);
    },
  });
  for (const { title, run } of journalCompliance(storage)) it(title, run);

  it('of another format is refused', () => {
    const database = new DatabaseSync(path());
    database.exec('CREATE TABLE record (id INTEGER PRIMARY KEY, kind TEXT, body BLOB) STRICT');
    database.close();
    expect(() => openSqliteJournal(path(), 'node-a')).toThrow('format 0, want 2');
  });
});
