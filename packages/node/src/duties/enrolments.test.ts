import { initialState } from '@nemea/membership';
import { NETWORK_ID } from '@nemea/membership/testing';
import { beforeEach, describe, expect, test } from 'vitest';
import { TestChain, type TestNode, testContext, testNode, testNodes } from '../testing.ts';
import { EnrolmentDuty } from './enrolments.ts';
import { Repeats } from './turns.ts';

const nodes = testNodes(4);
const { record } = testNode('newcomer');
let chain: TestChain;

beforeEach(() => {
  chain = new TestChain(nodes);
});

const dutyOf = (node: TestNode, enrolledThrough = 0) => {
  const state = { ...initialState(NETWORK_ID, chain.history), enrolledThrough };
  const context = testContext(node, chain, { state: () => state });
  return { duty: new EnrolmentDuty(context, new Repeats(context.clock)), context };
};

describe('the enrolment of newcomers [MEMB-15]', () => {
  test('is proposed once for whom layer 1 has registered, and the next member proposes it at the next block', () => {
    const duties = nodes.map((node) => dutyOf(node));
    const blocks = duties.length;
    chain.mine({ ...chain.at, type: 'node-admitted', record, credit: 10, weight: 1 });
    for (let block = 0; block < blocks; block++) {
      for (const { duty } of duties) {
        duty.onBlock();
        duty.onBlock();
      }
      expect(duties.filter(({ context }) => context.proposed.length > 0)).toHaveLength(block + 1);
      chain.mine();
    }
    for (const { context } of duties) expect(context.proposed).toEqual([{ kind: 'enrol' }]);
  });

  test('is not asked for while there is nobody to enrol: not for founders, nor for whom the state has already', () => {
    const early = nodes.map((node) => dutyOf(node));
    for (const { duty } of early) duty.onBlock();
    chain.mine({ ...chain.at, type: 'node-admitted', record, credit: 10, weight: 1 });
    const later = nodes.map((node) => dutyOf(node, chain.history.head));
    for (const { duty } of later) duty.onBlock();
    for (const { context } of [...early, ...later]) expect(context.proposed).toEqual([]);
  });
});
