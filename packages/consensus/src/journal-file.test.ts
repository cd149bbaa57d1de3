import { concatBytes, fromUtf8 } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConsensusError } from './errors.ts';
import { parseRecord } from './journal.ts';
import { appendRecord, openJournal, readJournal } from './journal-file.ts';
import { restoreReplica } from './restore.ts';
import { primaryOfView } from './state.ts';
import { Cluster } from './testing/cluster.ts';

const owner = fromUtf8('network, replica and machine state');

function fileOf(records: readonly Uint8Array[]): { bytes: Uint8Array; ends: number[] } {
  const opened = openJournal(owner);
  const parts = [opened.bytes];
  const ends = [opened.end.length];
  let { end } = opened;
  for (const record of records) {
    const appended = appendRecord(end, record);
    parts.push(appended.bytes);
    end = appended.end;
    ends.push(end.length);
  }
  return { bytes: concatBytes(...parts), ends };
}

describe('a journal in a file [CONS-28]', () => {
  const record = fc.uint8Array({ minLength: 1, maxLength: 30 });

  test('gives back what was appended', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 6 }), (records) => {
        const { bytes } = fileOf(records);
        expect(readJournal(owner, bytes)).toMatchObject({ records, end: { length: bytes.length } });
      }),
    );
  });

  test('cut at any byte gives the records that are whole, also when zeros follow', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), fc.nat(40), (records, zeros) => {
        const { bytes, ends } = fileOf(records);
        for (let cut = ends[0] as number; cut <= bytes.length; cut++) {
          const torn = concatBytes(bytes.slice(0, cut), new Uint8Array(zeros));
          const whole = ends.filter((end) => end <= cut).length - 1;
          // Zeros may happen to be what was lost.
          const read = cutSafely(torn);
          if (read !== null) expect(read.length).toBeGreaterThanOrEqual(whole);
          if (zeros === 0) expect(read).toEqual(records.slice(0, whole));
        }
      }),
    );
  });

  test('with any byte changed before its end never loses a record in silence', () => {
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 2, maxLength: 4 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (records, at, change) => {
          const { bytes, ends } = fileOf(records);
          const lastStart = ends.at(-2) as number;
          const index = at % lastStart;
          bytes[index] = (bytes[index] as number) ^ change;
          expect(() => readJournal(owner, bytes)).toThrow(ConsensusError);
        },
      ),
    );
  });

  test('of another owner, or empty, is refused', () => {
    const { bytes } = fileOf([fromUtf8('record')]);
    expect(() => readJournal(fromUtf8('another machine state'), bytes)).toThrow(/another replica/);
    expect(() => readJournal(owner, new Uint8Array(0))).toThrow(ConsensusError);
  });

  function cutSafely(bytes: Uint8Array): Uint8Array[] | null {
    try {
      return readJournal(owner, bytes).records;
    } catch {
      return null;
    }
  }
});

describe('a replica whose journal was torn [CONS-22]', () => {
  test('starts from every beginning of its journal, and still knows all that it says', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1], followers: 1, settings: { eagerBatches: 8 } });
    const ids = ['r0', 'r1', 'r2', 'r3'];
    const operations: string[] = [];
    for (let i = 0; i < 12; i++) operations.push(cluster.request());
    operations.push(cluster.requestMembers({ r0: 1, r1: 1, r2: 1, r3: 1, r4: 1 }));
    cluster.runUntilExecuted(operations, ids);
    cluster.runFor(1_000);
    const primary = primaryOfView(cluster.replica('r1'));
    cluster.network.partition([...ids, 'r4'].filter((id) => id !== primary));
    cluster.request();
    cluster.runFor(3_000);
    const node = cluster.node(ids.find((id) => id !== primary) as string);
    const records = node.journal.map(parseRecord);
    expect(new Set(records.map(({ type }) => type))).toEqual(
      new Set(['sent', 'prepared', 'committed', 'executed', 'entered']),
    );
    for (let kept = 0; kept <= records.length; kept++) {
      const { state } = restoreReplica(node.options, records.slice(0, kept));
      for (const record of records.slice(0, kept)) {
        if (record.type !== 'sent' || record.content.kind !== 'prepare') continue;
        const { sequence, view, epoch, digest } = record.content;
        if (sequence <= state.committed || epoch < state.configuration.epoch || view < state.view) continue;
        expect(state.ballots.get(sequence)?.get(view)?.ownVote?.content.digest).toEqual(digest);
      }
    }
  });
});
