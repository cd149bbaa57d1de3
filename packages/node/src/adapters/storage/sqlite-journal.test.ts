import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteJournal } from './sqlite-journal.ts';

describe('the journal', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'nemea-journal-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('returns what was appended, by kind and in order, after it was closed and opened again', () => {
    const first = openSqliteJournal(join(dir, 'j.sqlite'), 'node-a');
    first.append('vote', [Uint8Array.of(1), Uint8Array.of(2)]);
    first.append('decision', [Uint8Array.of(9)]);
    first.close();
    const second = openSqliteJournal(join(dir, 'j.sqlite'), 'node-a');
    second.append('vote', [Uint8Array.of(3)]);
    expect(second.read('vote').map((record) => [...record])).toEqual([[1], [2], [3]]);
    expect(second.read('decision')).toHaveLength(1);
    second.close();
  });

  it('keeps only the newest records when it is trimmed', () => {
    const journal = openSqliteJournal(join(dir, 'j.sqlite'), 'node-a');
    journal.append(
      'vote',
      [1, 2, 3, 4, 5].map((value) => Uint8Array.of(value)),
    );
    journal.trim('vote', 2);
    expect(journal.read('vote').map((record) => [...record])).toEqual([[4], [5]]);
    journal.close();
  });

  it('refuses the journal of another machine state', () => {
    openSqliteJournal(join(dir, 'j.sqlite'), 'node-a').close();
    expect(() => openSqliteJournal(join(dir, 'j.sqlite'), 'node-b')).toThrow(/belongs to node-a/);
  });
});
