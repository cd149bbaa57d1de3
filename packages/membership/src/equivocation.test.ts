import type { Content } from '@nemea/consensus';
import { sha256 } from '@nemea/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { CREDIT_GENESIS, CREDIT_MAX } from './credit.ts';
import { encodeEpochLeaf, isEquivocation } from './epoch-leaf.ts';
import { mayDraw } from './jury.ts';
import { type Member, replicasOf, withCredit } from './roster.ts';
import {
  applicationOf,
  candidateOf,
  commitOf,
  epochReportOf,
  equivocationOf,
  foundNetwork,
  judgementOf,
  type ProofOfEquivocation,
  type TestMember,
  testMember,
  testMembers,
} from './testing.ts';

const members = testMembers(4);
const [first, second, third, culprit] = members as [TestMember, TestMember, TestMember, TestMember];
let { ledger, machine } = foundNetwork(members);

beforeEach(() => {
  ({ ledger, machine } = foundNetwork(members));
  machine.consensusEpoch = 33;
});

const prove = (body: ProofOfEquivocation, author = first) => machine.order(author, body);

/** Everybody reports nothing, and the epoch that is current is closed at the beginning of the next. */
function closeEpoch(): void {
  const epoch = ledger.epochOf(ledger.head);
  for (const member of members) machine.order(member, epochReportOf(ledger, member, epoch));
  ledger.head = (epoch + 1) * 10 + 1;
  expect(machine.order(first, { kind: 'close-epoch', epoch })).toBeUndefined();
}

const leavesClosed = () =>
  machine.effects.flatMap((effect) => (effect.type === 'epoch-closed' ? effect.leaves : []));

describe('a member that is proven to have contradicted itself [MEMB-43]', () => {
  test('loses all credit at the close of the epoch, draws no more and weighs the least', () => {
    const roster = withCredit(machine.state.roster, culprit.account, CREDIT_MAX);
    machine.state = { ...machine.state, roster };
    expect(prove(equivocationOf(culprit, 33))).toBeUndefined();
    expect(machine.effects).toEqual([
      { type: 'equivocated', account: culprit.account, accuser: first.account },
    ]);
    expect(machine.credit(culprit)).toBe(CREDIT_MAX);
    closeEpoch();
    expect(machine.credit(culprit)).toBe(0);
    const member = machine.state.roster.get(culprit.account) as Member;
    expect(mayDraw(member, 9)).toBe(false);
    expect(replicasOf(machine.state.roster).find(({ id }) => id === culprit.account)?.weight).toBe(1);
    expect(machine.credit(second)).toBeGreaterThan(0);
  });

  test('is named in a leaf of the epoch, together with the proof', () => {
    const { first: one, second: other, culprit: equivocator } = equivocationOf(culprit, 33);
    prove(equivocationOf(culprit, 33));
    closeEpoch();
    const leaf = { equivocator, epoch: 2, first: one, second: other };
    expect(leavesClosed().filter(isEquivocation)).toEqual([leaf]);
    expect(encodeEpochLeaf(leaf).length).toBeLessThan(2_048);
    closeEpoch();
    expect(leavesClosed().filter(isEquivocation)).toEqual([]);
  });

  test('earns credit again from the next epoch on, which the same proof does not take', () => {
    prove(equivocationOf(culprit, 33));
    closeEpoch();
    machine.state = { ...machine.state, roster: withCredit(machine.state.roster, culprit.account, 20) };
    for (const author of members) expect(prove(equivocationOf(culprit, 33), author)).toBe('ALREADY_DONE');
    closeEpoch();
    expect(machine.credit(culprit)).toBeGreaterThan(0);
  });

  test('is charged once for an epoch of consensus, by whomever, and nothing for an earlier one', () => {
    expect(prove(equivocationOf(culprit, 33))).toBeUndefined();
    const again: [Content, Content] = [commitOf(33, 3, 5), commitOf(33, 4, 5)];
    expect(prove(equivocationOf(culprit, 33, again), second)).toBe('ALREADY_DONE');
    expect(prove(equivocationOf(culprit, 1), third)).toBe('ALREADY_DONE');
    machine.consensusEpoch = 65;
    expect(prove(equivocationOf(culprit, 65))).toBeUndefined();
  });

  test('cannot have itself proven for an epoch to come, to be free until then', () => {
    expect(prove(equivocationOf(culprit, 65), culprit)).toBe('EPOCH_WRONG');
    expect(prove(equivocationOf(culprit, 33))).toBeUndefined();
  });

  test('has a newcomer with its account answer for what is said after the admission only', () => {
    const again = testMember('comes again');
    const roster = new Map(machine.state.roster);
    const [known] = machine.state.roster.values();
    roster.set(again.account, { ...(known as Member), ...again.record });
    machine.state = { ...machine.state, roster };
    expect(prove(equivocationOf(again, 33))).toBeUndefined();
    roster.delete(again.account);
    machine.state = { ...machine.state, roster: new Map([...roster]) };
    machine.consensusEpoch = 65;
    admit(again);
    expect(prove(equivocationOf(again, 65))).toBe('ALREADY_DONE');
    machine.consensusEpoch = 97;
    closeEpoch();
    expect(leavesClosed().filter(isEquivocation)).toEqual([]);
    expect(prove(equivocationOf(again, 97))).toBeUndefined();
  });
});

function admit(candidate: TestMember): void {
  machine.order(first, applicationOf(candidate));
  for (const judge of members) machine.order(judge, judgementOf(ledger, judge, candidate, 2));
  ledger.head += 3;
  expect(
    machine.order(first, { kind: 'close-candidacy', candidate: candidateOf(candidate) }),
  ).toBeUndefined();
  ledger.registered.push({ record: candidate.record, block: ledger.head });
  expect(machine.order(first, { kind: 'enrol' })).toBeUndefined();
}

describe('a proof of equivocation has no effect [MEMB-43]', () => {
  const truth = equivocationOf(culprit, 33);
  const flipped = (signed: ProofOfEquivocation['first']) => ({
    ...signed,
    signature: signed.signature.map((byte, index) => (index === 40 ? byte ^ 1 : byte)),
  });

  test.each([
    ['with a signature that does not verify', { ...truth, second: flipped(truth.second) }],
    ['with another first signature', { ...truth, first: flipped(truth.first) }],
    ['signed by another member', { ...equivocationOf(second, 33), culprit: culprit.account }],
    ['of one statement', { ...truth, second: truth.first }],
    [
      'of two statements that do not contradict',
      equivocationOf(culprit, 33, [commitOf(33, 1), commitOf(34, 2)]),
    ],
    ['of bytes that say nothing', { ...truth, first: { ...truth.first, payload: Uint8Array.of(99) } }],
    [
      'of what binds nobody',
      equivocationOf(culprit, 33, [
        { kind: 'want', after: 1, view: 0, sequence: 2, digest: sha256() },
        { kind: 'want', after: 1, view: 0, sequence: 3, digest: sha256() },
      ]),
    ],
  ] satisfies [string, ProofOfEquivocation][])('%s', (_title, body) => {
    machine.consensusEpoch = 65;
    const before = machine.state;
    expect(prove(body)).toBe('EQUIVOCATION_UNPROVEN');
    expect(machine.state).toEqual({ ...before, ledgerBlock: ledger.head });
    closeEpoch();
    expect(machine.credit(culprit)).toBeGreaterThanOrEqual(CREDIT_GENESIS - 1);
  });

  test('about somebody who is no member, or by somebody who is none', () => {
    const before = machine.state;
    expect(prove(equivocationOf(testMember('nobody'), 33))).toBe('TARGET_UNKNOWN');
    expect(machine.state).toEqual({ ...before, ledgerBlock: ledger.head });
    expect(prove(truth, testMember('nobody'))).toBe('AUTHOR_NOT_MEMBER');
  });

  test('against a member that left or was evicted before the close, and its memory goes with it [MEMB-5]', () => {
    prove(truth);
    const roster = new Map(machine.state.roster);
    roster.delete(culprit.account);
    machine.state = { ...machine.state, roster };
    closeEpoch();
    expect(leavesClosed().filter(isEquivocation)).toEqual([]);
    expect(machine.state.answeredThrough.size).toBe(0);
    expect(machine.state.equivocations.size).toBe(0);
  });
});
