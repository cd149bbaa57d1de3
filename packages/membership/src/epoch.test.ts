import { fromUtf8, merkleRoot, sha256, toHex } from '@nemea/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { encodeEpochLeaf } from './epoch-leaf.ts';
import type { Attestation } from './operation.ts';
import { CANDIDACIES_KEPT, TASKS_KEPT } from './retention.ts';
import { creditRoot, rosterRoot } from './roster.ts';
import type { TaskState } from './state.ts';
import {
  applicationOf,
  attestationOf,
  candidateOf,
  epochReportOf,
  foundNetwork,
  isSeated,
  TestMachine,
  type TestMember,
  testMember,
  testMembers,
} from './testing.ts';

const EPOCH = 2;
const members = testMembers(6);
let { ledger, machine } = foundNetwork(members);

beforeEach(() => {
  ({ ledger, machine } = foundNetwork(members));
});

/** What an attestor that was drawn for some of these would report. */
function resultsOf(attestor: TestMember, targets: readonly TestMember[]): Attestation[] {
  return targets
    .filter((target) => isSeated(machine, attestor, target, EPOCH))
    .map((target) => attestationOf(attestor, target, EPOCH));
}

function report(attestor: TestMember, targets: readonly TestMember[] = members): string | undefined {
  return machine.order(attestor, epochReportOf(ledger, attestor, EPOCH, resultsOf(attestor, targets)));
}

const close = (epoch = EPOCH) => machine.order(members[0] as TestMember, { kind: 'close-epoch', epoch });

describe('a report [MEMB-18]', () => {
  test('is taken once from each member, in its epoch or the next', () => {
    expect(report(members[0] as TestMember)).toBeUndefined();
    expect(report(members[0] as TestMember)).toBe('ALREADY_DONE');
    ledger.head = 35;
    expect(report(members[1] as TestMember)).toBeUndefined();
    ledger.head = 45;
    expect(report(members[2] as TestMember)).toBe('EPOCH_WRONG');
  });

  test('of an epoch that is closed, or still to come even for those who have read further, is refused', () => {
    for (const member of members) report(member);
    ledger.head = 35;
    expect(close()).toBeUndefined();
    expect(report(members[0] as TestMember)).toBe('EPOCH_WRONG');
    const behind = new TestMachine(ledger);
    const early = epochReportOf(ledger, members[0] as TestMember, 3);
    expect(behind.order(members[0] as TestMember, early, 25)).toBe('EPOCH_WRONG');
  });

  test('names each target once, and never its author', () => {
    const [attestor, target] = members as [TestMember, TestMember];
    const result = attestationOf(attestor, target, EPOCH);
    const own = { ...result, target: attestor.account };
    for (const attestations of [[result, result], [own]]) {
      expect(machine.order(attestor, epochReportOf(ledger, attestor, EPOCH, attestations))).toBe(
        'TARGET_UNKNOWN',
      );
    }
  });

  test('leaves out those who are no members any more', () => {
    const [attestor] = members as [TestMember];
    const gone = attestationOf(attestor, testMember('gone'), EPOCH);
    expect(machine.order(attestor, epochReportOf(ledger, attestor, EPOCH, [gone]))).toBeUndefined();
    expect(machine.state.reports.get(EPOCH)?.get(attestor.account)?.results).toEqual([]);
  });

  test('waits when several epochs have not been closed', () => {
    const [attestor] = members as [TestMember];
    for (const epoch of [2, 3, 4, 5]) {
      ledger.head = epoch * 10 + 5;
      expect(machine.order(attestor, epochReportOf(ledger, attestor, epoch))).toBeUndefined();
    }
    ledger.head = 65;
    const sixth = epochReportOf(ledger, attestor, 6);
    expect(machine.order(attestor, sixth)).toBe('TOO_MANY_OPEN');
    expect(close(2)).toBeUndefined();
    expect(machine.order(attestor, sixth)).toBeUndefined();
  });
});

describe('closing an epoch [MEMB-17]', () => {
  test('signs one record with the roots of roster, credit and attestations', () => {
    for (const member of members) report(member);
    ledger.head = 31;
    expect(close()).toBeUndefined();
    const [roster, closed, vote] = machine.effects;
    if (roster?.type !== 'roster' || closed?.type !== 'epoch-closed') throw new Error('unexpected effects');
    expect(closed.leaves.length).toBeGreaterThan(0);
    expect(vote).toEqual({
      type: 'vote',
      vote: {
        type: 'EpochRecord',
        epoch: EPOCH,
        seed: ledger.epochSeed(EPOCH),
        rosterRoot: rosterRoot(roster.roster),
        attestationRoot: merkleRoot(closed.leaves.map(encodeEpochLeaf)),
        creditRoot: creditRoot(roster.roster, EPOCH),
        admissions: 0,
        evictions: 0,
        policyVersion: 1,
        boundaryBlock: 20,
      },
    });
    expect(machine.state.reports.size).toBe(0);
    expect(close()).toBe('ALREADY_DONE');
  });

  test('drops whoever gave up membership on layer 1 before the epoch began', () => {
    const [leaver, late] = members.slice(-2) as [TestMember, TestMember];
    ledger.left.set(leaver.account, EPOCH * 10);
    ledger.left.set(late.account, EPOCH * 10 + 1);
    for (const member of members) report(member);
    ledger.head = 35;
    expect(close()).toBeUndefined();
    expect(machine.state.roster.has(leaver.account)).toBe(false);
    expect(machine.state.roster.has(late.account)).toBe(true);
  });

  test('orders the leaves by target and attestor, however the reports came [MEMB-20]', () => {
    const forwards = new TestMachine(ledger);
    const backwards = new TestMachine(ledger);
    const reports = members.map((member) => ({ member, results: resultsOf(member, members) }));
    for (const { member, results } of reports) {
      forwards.order(member, epochReportOf(ledger, member, EPOCH, results));
    }
    for (const { member, results } of reports.toReversed()) {
      backwards.order(member, epochReportOf(ledger, member, EPOCH, results.toReversed()));
    }
    ledger.head = 31;
    for (const it of [forwards, backwards]) {
      expect(it.order(members[0] as TestMember, { kind: 'close-epoch', epoch: EPOCH })).toBeUndefined();
    }
    expect(backwards.effects).toEqual(forwards.effects);
  });

  test('takes the credit of who missed an update, says so in a leaf, and begins anew [MEMB-37]', () => {
    const [outdated] = members.slice(-1) as [TestMember];
    const evidenceDigest = sha256(fromUtf8('evidence'));
    for (const member of members) report(member);
    machine.state = { ...machine.state, updatesMissed: new Map([[outdated.account, evidenceDigest]]) };
    ledger.head = 31;
    expect(close()).toBeUndefined();
    const closed = machine.effects.find((effect) => effect.type === 'epoch-closed');
    expect(closed?.leaves.at(-1)).toEqual({ outdated: outdated.account, epoch: EPOCH, evidenceDigest });
    expect(machine.credit(outdated)).toBe(0);
    expect(machine.state.updatesMissed.size).toBe(0);
  });

  test('is too early before the epoch has ended, and before two thirds of the weight reported', () => {
    for (const member of members.slice(0, 4)) report(member);
    expect(close()).toBe('TOO_EARLY');
    ledger.head = 31;
    expect(close()).toBe('TOO_EARLY');
    report(members[4] as TestMember);
    expect(close()).toBeUndefined();
  });

  test('happens without the others once they had a whole epoch more', () => {
    report(members[0] as TestMember);
    ledger.head = 40;
    expect(close()).toBeUndefined();
  });

  test('passes over no epoch that was reported on, and does not linger on those that were not [MEMB-16]', () => {
    report(members[0] as TestMember);
    ledger.head = 75;
    expect(close(6)).toBe('EPOCH_WRONG');
    expect(close(1)).toBe('EPOCH_WRONG');
    expect(close(2)).toBeUndefined();
    expect(close(4)).toBe('EPOCH_WRONG');
    expect(close(6)).toBe('TOO_EARLY');
    expect(machine.state.epochClosed).toBe(2);
  });
});

describe('what is over [MEMB-5]', () => {
  test('is kept as the newest few, and never forgotten while it could come back', () => {
    const task = (outcome: TaskState['outcome']): TaskState => ({
      attempt: 1,
      startBlock: 20,
      bids: new Map(),
      excluded: [],
      reports: new Map(),
      outcome,
    });
    const id = (name: string) => toHex(sha256(fromUtf8(name)));
    const tasks = new Map<string, TaskState>([
      [id('open'), task('open')],
      [id('settled, but not on layer 1'), task('settled')],
    ]);
    for (let i = 0; i < TASKS_KEPT + 10; i++) {
      tasks.set(id(`old ${i}`), task(i % 2 === 0 ? 'settled' : 'failed'));
      ledger.closed.set(id(`old ${i}`), 22);
    }
    machine.state = { ...machine.state, tasks };
    ledger.head = 40;
    report(members[0] as TestMember);
    ledger.head = 45;
    machine.order(members[0] as TestMember, epochReportOf(ledger, members[0] as TestMember, 4));
    ledger.head = 60;
    expect(close(4)).toBeUndefined();
    const kept = machine.state.tasks;
    expect(kept.size).toBe(TASKS_KEPT + 2);
    expect(kept.has(id('open'))).toBe(true);
    expect(kept.has(id('settled, but not on layer 1'))).toBe(true);
    expect(kept.has(id('old 9'))).toBe(false);
    expect(kept.has(id('old 10'))).toBe(true);
  });

  test('is forgotten with the candidacies that found no jury in an epoch, and the oldest decided ones', () => {
    const [sponsor] = members as [TestMember];
    machine.order(sponsor, applicationOf(testMember('slow')));
    const [slow] = [...machine.state.candidacies.values()];
    if (slow === undefined) throw new Error('no candidacy');
    const candidacies = new Map(machine.state.candidacies);
    for (let i = 0; i < CANDIDACIES_KEPT + 5; i++) {
      candidacies.set(`decided ${i}`, { ...slow, outcome: 'refused' as const });
    }
    machine.state = { ...machine.state, candidacies };
    ledger.head = 35;
    machine.order(sponsor, epochReportOf(ledger, sponsor, 3));
    ledger.head = 50;
    expect(close(3)).toBeUndefined();
    const kept = machine.state.candidacies;
    expect(kept.size).toBe(CANDIDACIES_KEPT);
    expect(kept.has(toHex(candidateOf(testMember('slow'))))).toBe(false);
    expect(kept.has('decided 4')).toBe(false);
    expect(machine.order(sponsor, applicationOf(testMember('slow')))).toBeUndefined();
  });

  test('is forgotten with the disputes that layer 1 has closed', () => {
    const [sponsor] = members as [TestMember];
    const [open, closed] = [sha256(fromUtf8('open')), sha256(fromUtf8('closed'))].map(toHex) as [
      string,
      string,
    ];
    ledger.closed.set(closed, 22);
    machine.state = { ...machine.state, disputesJudged: new Set([open, closed]) };
    machine.order(sponsor, epochReportOf(ledger, sponsor, 2));
    ledger.head = 40;
    close(2);
    expect([...machine.state.disputesJudged]).toEqual([open]);
  });
});
