import type { Decision } from '@nemea/consensus';
import { fromUtf8, hashDomain } from '@nemea/core';
import {
  attestAlpha,
  type Effect,
  encodeOperation,
  encodeSignedOperation,
  initialState,
  type OperationBody,
  operationDigest,
} from '@nemea/membership';
import { NETWORK_ID, verifySignature } from '@nemea/membership/testing';
import { beforeEach, describe, expect, test } from 'vitest';
import { MembershipApplication } from './membership-application.ts';
import type { Clock } from './ports/clock.ts';
import { silent, TestChain, type TestNode, testNode, testNodes } from './testing.ts';

const HEAD = 25;
const nodes = testNodes(4);
const [first, second, third] = nodes as [TestNode, TestNode, TestNode];
let chain: TestChain;
let application: MembershipApplication;
let effects: Effect[];
let timers: (() => void)[];

const clock: Clock = {
  wallMs: () => 0,
  elapsedMs: () => 0,
  after(_delayMs, task) {
    timers.push(task);
    return { cancel: () => undefined };
  },
};
const settled = () => new Promise((resolve) => setImmediate(resolve));
const letTimePass = async () => {
  await settled();
  for (const end of timers.splice(0)) end();
  await settled();
};

beforeEach(() => {
  chain = new TestChain(nodes);
  chain.mineTo(HEAD);
  effects = [];
  timers = [];
  application = new MembershipApplication(
    {
      clock,
      ledger: chain.ledgerOf(first),
      logger: silent,
      verifySignature,
      onEffect: (effect) => void effects.push(effect),
      onRefused: () => undefined,
    },
    initialState(NETWORK_ID, chain.history),
  );
});

/** A member's report of epoch 2, as of a block that may be still to come. */
function reportOf(author: TestNode, block: number, hash?: Uint8Array): Uint8Array {
  const epochSeed = chain.history.epochSeed(2) ?? new Uint8Array(32);
  const { proof } = author.prove(attestAlpha({ networkId: NETWORK_ID, epochSeed }));
  return signedBy(author, block, { kind: 'attest', epoch: 2, proof, attestations: [] }, hash);
}

function signedBy(
  { account, sign }: TestNode,
  block: number,
  body: OperationBody,
  hash = hashDomain('test block', fromUtf8(`${block}`)),
): Uint8Array {
  const operation = encodeOperation({ author: account, anchor: { block, hash }, body });
  return encodeSignedOperation(operation, sign(operationDigest(NETWORK_ID, operation)));
}

const decisionOf = (...batch: Uint8Array[]): Decision => ({
  sequence: 1,
  batch,
  certificate: { epoch: 1, view: 0, sequence: 1, digest: new Uint8Array(32), signatures: [] },
});
const reporters = () => [...(application.state.reports.get(2)?.keys() ?? [])];

describe('a decision whose second operation builds on a block that this node has not read', () => {
  let executed: ReturnType<MembershipApplication['execute']>;
  beforeEach(async () => {
    // The same report twice: the one that has no effect is told.
    const batch = [reportOf(first, HEAD), reportOf(first, HEAD), reportOf(second, HEAD + 1)];
    executed = application.execute(decisionOf(...batch), false);
    // Seen to fail where a test waits for it, and by nobody before.
    executed.catch(() => undefined);
    await letTimePass();
  });

  test('shows nothing of itself while it waits', () => {
    expect(timers.length).toBeGreaterThan(0);
    expect(reporters()).toEqual([]);
    expect(application.state.ledgerBlock).toBe(0);
    expect(effects).toEqual([]);
  });

  test('is shown, and told, whole once the block is there', async () => {
    chain.mineTo(HEAD + 1);
    await letTimePass();
    expect(await executed).toEqual({ members: null, renews: false });
    expect(reporters()).toEqual([first.account, second.account]);
    expect(application.state.ledgerBlock).toBe(HEAD + 1);
    expect(effects.map(({ type }) => type)).toEqual(['rejected']);
  });

  test('has happened to nobody when the node is closed meanwhile: others carry out what it would have passed over', async () => {
    application.close();
    await letTimePass();
    await expect(executed).rejects.toMatchObject({ code: 'LOOP_STOPPED' });
    expect(reporters()).toEqual([]);
    expect(effects).toEqual([]);
  });
});

describe('a node that went on from a snapshot further on than it has read', () => {
  test('executes nothing before it has read that far: others know who was registered meanwhile', async () => {
    const newcomer = testNode('newcomer');
    const { state } = application;
    application.restore({ ...state, ledgerBlock: HEAD + 2 }, 'peers');
    const executed = application.execute(decisionOf(signedBy(first, HEAD, { kind: 'enrol' })), false);
    await letTimePass();
    expect(effects.map(({ type }) => type)).toEqual(['roster']);
    const { record } = newcomer;
    chain.mine({ ...chain.at, type: 'node-admitted', record, credit: 1, weight: 1 });
    chain.mineTo(HEAD + 2);
    await letTimePass();
    await executed;
    expect(application.state.roster.has(newcomer.account)).toBe(true);
    expect(application.state.enrolledThrough).toBe(HEAD + 2);
  });
});

test('what is no operation, of a stranger, of another chain or signed by nobody is passed over, by all alike', async () => {
  const [stranger] = testNodes(5).slice(4) as [TestNode];
  const garbled = reportOf(second, HEAD);
  garbled[garbled.length - 1] = (garbled.at(-1) as number) ^ 1;
  const batch = [
    new Uint8Array(3),
    reportOf(stranger, HEAD),
    reportOf(third, HEAD, new Uint8Array(32)),
    garbled,
    reportOf(first, HEAD),
  ];
  await application.execute(decisionOf(...batch), false);
  expect(reporters()).toEqual([first.account]);
});
