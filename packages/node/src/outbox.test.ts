import { fromUtf8, sha256 } from '@nemea/core';
import type { Vote } from '@nemea/membership';
import { describe, expect, test } from 'vitest';
import { Outbox, VOTES_MAX } from './outbox.ts';
import { MemoryJournal, testNode } from './testing.ts';

const verdictOn = (name: string, guilty = false): Vote => ({
  type: 'DisputeVerdict',
  disputeId: sha256(fromUtf8(name)),
  guilty,
});

describe('the votes that layer 1 may lack still [MEMB-34]', () => {
  test('are there after a start, in the order in which they were cast', () => {
    const journal = new MemoryJournal();
    const outbox = new Outbox(journal);
    const votes = ['one', 'two', 'three'].map((name) => verdictOn(name));
    for (const vote of votes) outbox.add(vote);
    expect(outbox.votes()).toEqual(votes);
    expect(new Outbox(journal).votes()).toEqual(votes);
  });

  test('are the last on each subject', () => {
    const journal = new MemoryJournal();
    const outbox = new Outbox(journal);
    const last = [verdictOn('other'), verdictOn('one', true)];
    for (const vote of [verdictOn('one'), ...last]) outbox.add(vote);
    expect(outbox.votes()).toEqual(last);
    expect(new Outbox(journal).votes()).toEqual(last);
  });

  test('keep an eviction when a second application of the evicted is affirmed: layer 1 has its deposit still', () => {
    const journal = new MemoryJournal();
    const { record } = testNode('newcomer');
    const outbox = new Outbox(journal);
    const evicted: Vote = {
      type: 'Eviction',
      account: record.account,
      epoch: 3,
      evidenceDigest: sha256(),
      reason: 1,
    };
    const affirmed: Vote = { type: 'Admission', record, epoch: 3 };
    outbox.add({ type: 'Admission', record, epoch: 1 });
    outbox.add(evicted);
    outbox.add(affirmed);
    expect(outbox.votes()).toEqual([evicted, affirmed]);
    expect(new Outbox(journal).votes()).toEqual([evicted, affirmed]);
  });

  test('are all epochs, for layer 1 takes them in their order', () => {
    const journal = new MemoryJournal();
    const outbox = new Outbox(journal);
    const digest = sha256();
    const records = [2, 3].map(
      (epoch): Vote => ({
        type: 'EpochRecord',
        epoch,
        seed: digest,
        rosterRoot: digest,
        attestationRoot: digest,
        creditRoot: digest,
        admissions: 0,
        evictions: 0,
        policyVersion: 1,
        boundaryBlock: 10 * epoch,
      }),
    );
    for (const record of records) outbox.add(record);
    expect(new Outbox(journal).votes()).toEqual(records);
  });

  test('are written once, also when their decisions are told again', () => {
    const journal = new MemoryJournal();
    new Outbox(journal).add(verdictOn('one'));
    new Outbox(journal).add(verdictOn('one'));
    expect(journal.read('vote')).toHaveLength(1);
  });

  test('are bounded, in memory and in the journal, and the newest stay', () => {
    const journal = new MemoryJournal();
    const outbox = new Outbox(journal);
    const votes = Array.from({ length: 3 * VOTES_MAX }, (_, index) => verdictOn(`dispute ${index}`));
    for (const vote of votes) {
      outbox.add(vote);
      expect(journal.read('vote').length).toBeLessThanOrEqual(2 * VOTES_MAX);
    }
    expect(outbox.votes()).toEqual(votes.slice(-VOTES_MAX));
    expect(new Outbox(journal).votes()).toEqual(outbox.votes());
  });
});
