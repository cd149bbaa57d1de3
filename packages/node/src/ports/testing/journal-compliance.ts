import { assert, bytesEqual, sha256 } from '@nemea/core';
import type { Journal } from '../journal.ts';

/** One rule that every adapter of a port keeps; `run` throws when it does not. */
export interface ComplianceCase {
  readonly title: string;
  run(): void | Promise<void>;
}

/** A fresh disk. Opened again, it has what was written before. */
export interface JournalGround {
  open(owner: string): Journal;
  /** Changes a bit of this record where it lies, while nobody has the journal open. */
  rot(record: Uint8Array): void;
}

/** The suite for a journal. */
export function journalCompliance(storage: () => JournalGround): ComplianceCase[] {
  const of = (...values: number[]): Uint8Array[] => values.map((value) => Uint8Array.of(value));
  const expectRecords = (got: readonly Uint8Array[], ...want: number[]): void => {
    assert(got.length === want.length, `records: got ${got.length}, want ${want.length}`);
    for (const [index, value] of want.entries())
      assert(bytesEqual(got[index] as Uint8Array, Uint8Array.of(value)), `record ${index} is not ${value}`);
  };
  return [
    {
      title: 'returns what was appended, by kind and in order, after it was closed and opened again',
      run() {
        const disk = storage();
        const first = disk.open('node-a');
        first.append('vote', of(1, 2));
        first.append('decision', of(9));
        first.close();
        const second = disk.open('node-a');
        second.append('vote', of(3));
        expectRecords(second.read('vote'), 1, 2, 3);
        expectRecords(second.read('decision'), 9);
        second.close();
      },
    },
    {
      title: 'reads a range by position among those that are kept',
      run() {
        const journal = storage().open('node-a');
        journal.append('vote', of(1, 2, 3, 4, 5));
        expectRecords(journal.readRange('vote', 1, 2), 2, 3);
        expectRecords(journal.readRange('vote', 4, 9), 5);
        expectRecords(journal.readRange('vote', 9, 1));
        journal.trim('vote', 3);
        expectRecords(journal.readRange('vote', 0, 2), 3, 4);
        journal.close();
      },
    },
    {
      title: 'keeps only the newest records when it is trimmed',
      run() {
        const journal = storage().open('node-a');
        journal.append('vote', of(1, 2, 3, 4, 5));
        journal.append('decision', of(7));
        journal.trim('vote', 2);
        expectRecords(journal.read('vote'), 4, 5);
        expectRecords(journal.read('decision'), 7);
        journal.trim('vote', 0);
        expectRecords(journal.read('vote'));
        journal.close();
      },
    },
    {
      title: 'keeps its own copy of what it was given, and gives away copies',
      run() {
        const journal = storage().open('node-a');
        const record = Uint8Array.of(1);
        journal.append('vote', [record]);
        record[0] = 2;
        expectRecords(journal.read('vote'), 1);
        (journal.read('vote')[0] as Uint8Array)[0] = 3;
        expectRecords(journal.read('vote'), 1);
        journal.close();
      },
    },
    {
      title: 'writes what was for later with the next append, before it, and has lost it when there was none',
      run() {
        const disk = storage();
        const first = disk.open('node-a');
        first.appendLater('vote', of(1));
        first.appendLater('vote', of(2));
        expectRecords(disk.open('node-a').read('vote'));
        first.append('decision', of(9));
        expectRecords(disk.open('node-a').read('vote'), 1, 2);
        first.appendLater('decision', of(8));
        first.append('decision', of(7));
        expectRecords(disk.open('node-a').read('decision'), 9, 8, 7);
      },
    },
    {
      title: 'reads and trims what is for later as if it were written, and writes it when it is closed',
      run() {
        const disk = storage();
        const journal = disk.open('node-a');
        journal.appendLater('vote', of(1, 2));
        expectRecords(journal.read('vote'), 1, 2);
        journal.appendLater('vote', of(3));
        expectRecords(journal.readRange('vote', 1, 5), 2, 3);
        journal.appendLater('vote', of(4));
        journal.trim('vote', 2);
        expectRecords(journal.read('vote'), 3, 4);
        journal.appendLater('vote', of(5));
        journal.close();
        expectRecords(disk.open('node-a').read('vote'), 3, 4, 5);
      },
    },
    {
      title: 'writes what was for later when it is told to settle',
      run() {
        const disk = storage();
        const journal = disk.open('node-a');
        journal.appendLater('vote', of(1));
        journal.settle();
        journal.appendLater('vote', of(2));
        expectRecords(disk.open('node-a').read('vote'), 1);
      },
    },
    {
      title: 'takes nothing at all without a complaint',
      run() {
        const journal = storage().open('node-a');
        journal.append('vote', []);
        expectRecords(journal.read('vote'));
        journal.close();
      },
    },
    {
      title: 'refuses a record in which the disk has changed a bit',
      run() {
        const disk = storage();
        const record = sha256(new TextEncoder().encode('a record like no other'));
        const first = disk.open('node-a');
        first.append('vote', [...of(1), record, ...of(2)]);
        first.close();
        disk.rot(record);
        for (const read of [
          (journal: Journal) => journal.read('vote'),
          (journal: Journal) => journal.readRange('vote', 1, 1),
        ]) {
          const code = codeOf(() => read(disk.open('node-a')));
          assert(code === 'JOURNAL_CORRUPT', `code: got ${String(code)}, want JOURNAL_CORRUPT`);
        }
      },
    },
    {
      title: 'refuses the journal of another machine state',
      run() {
        const disk = storage();
        disk.open('node-a').close();
        const code = codeOf(() => disk.open('node-b').close());
        assert(code === 'JOURNAL_FOREIGN', `code: got ${String(code)}, want JOURNAL_FOREIGN`);
      },
    },
  ];
}

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
}
