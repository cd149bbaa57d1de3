import { type EquivocationProof, signStatement } from '@nemea/consensus';
import { initialState, type MembershipState, type OperationBody } from '@nemea/membership';
import { NETWORK_ID } from '@nemea/membership/testing';
import { beforeEach, expect, test } from 'vitest';
import { TestChain, type TestNode, testContext, testNodes } from '../testing.ts';
import { EquivocationDuty } from './equivocations.ts';

const nodes = testNodes(3);
const [self, culprit, other] = nodes as [TestNode, TestNode, TestNode];
let state: MembershipState;
let nowMs: number;
let proposed: readonly OperationBody[];
let duty: EquivocationDuty;

beforeEach(() => {
  const chain = new TestChain(nodes);
  state = initialState(NETWORK_ID, chain.history);
  nowMs = 0;
  const context = testContext(self, chain, {
    clock: { wallMs: () => 0, elapsedMs: () => nowMs, after: () => ({ cancel: () => undefined }) },
    state: () => state,
  });
  ({ proposed } = context);
  duty = new EquivocationDuty(context);
});

/** Two commits for one place in an epoch of consensus. */
function proofOf({ account: sender, sign }: TestNode, epoch = 1): EquivocationProof {
  const commit = (byte: number) => {
    const place = { epoch, view: 0, sequence: epoch, digest: new Uint8Array(32).fill(byte) };
    const content = { kind: 'commit' as const, ...place };
    return signStatement({ networkId: NETWORK_ID, sender, content, batch: [], sign }).message;
  };
  return { first: commit(1), second: commit(2) };
}

const culprits = () =>
  proposed.map((body) => (body.kind === 'prove-equivocation' ? body.culprit : body.kind));
const laterBy = (ms: number) => {
  nowMs += ms;
  duty.onBlock();
};

test('a proof is put into the order as what was signed, without batches, again and again until it is decided [MEMB-43]', () => {
  const { first, second } = proofOf(culprit);
  duty.take(culprit.account, { first, second });
  laterBy(0);
  const signed = [first, second].map(({ payload, signature }) => ({ payload, signature }));
  expect(proposed).toEqual([
    { kind: 'prove-equivocation', culprit: culprit.account, first: signed[0], second: signed[1] },
  ]);
  laterBy(9_000);
  expect(proposed).toHaveLength(1);
  laterBy(1_000);
  expect(proposed).toHaveLength(2);
  state = { ...state, answeredThrough: new Map([[culprit.account, 1]]) };
  laterBy(60_000);
  expect(proposed).toHaveLength(2);
});

test('of a member the newest proof is shown alone, beside those of others', () => {
  duty.take(culprit.account, proofOf(culprit, 1));
  duty.take(culprit.account, proofOf(culprit, 33));
  duty.take(other.account, proofOf(other));
  laterBy(0);
  expect(culprits()).toEqual([culprit.account, other.account]);
  state = { ...state, answeredThrough: new Map([[culprit.account, 1]]) };
  laterBy(10_000);
  expect(culprits()).toEqual([culprit.account, other.account, culprit.account, other.account]);
});

test('nothing is shown of the own member, of one that is gone, or for longer than an hour', () => {
  duty.take(self.account, proofOf(self));
  duty.take(culprit.account, proofOf(culprit));
  duty.take(other.account, proofOf(other));
  state = { ...state, roster: new Map([...state.roster].filter(([account]) => account !== culprit.account)) };
  laterBy(0);
  expect(culprits()).toEqual([other.account]);
  laterBy(3_600_001);
  laterBy(10_000);
  expect(culprits()).toEqual([other.account]);
});
