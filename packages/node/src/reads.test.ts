import { createConfiguration } from '@nemea/consensus';
import { toHex } from '@nemea/core';
import { rosterRoot, withCredit } from '@nemea/membership';
import { beforeEach, describe, expect, test } from 'vitest';
import { peerIdOf } from './peers/peer-id.ts';
import { ProtocolError, queryAnswerCodec, queryCodec } from './protocol.ts';
import { type Place, Reads } from './reads.ts';
import { overlayOf, TestChain, type TestNode, testContext, testNodes } from './testing.ts';

const nodes = testNodes(4);
const [self] = nodes as [TestNode];
const configuration = createConfiguration(
  nodes.map(({ account, record }) => ({ id: account, publicKey: record.peerKey, weight: 10 })),
);
let chain: TestChain;
let places: Map<TestNode, Place>;
/** Members that answer with what another member had said before. */
let recorded: Map<TestNode, Uint8Array>;
/** What members have executed that others have not. */
let credits: Map<TestNode, number>;
let asked: number;
let settled: number;

beforeEach(() => {
  chain = new TestChain(nodes);
  places = new Map(
    nodes.map((node, index) => [node, { configuration, sequence: 5 + index, isFollowing: false }]),
  );
  recorded = new Map();
  credits = new Map();
  asked = 0;
  settled = 0;
});

function readsOf(node: TestNode): Reads {
  const overlay = overlayOf(async (peer, _protocol, message) => {
    asked++;
    const other = nodes.find(({ record }) => peerIdOf(record.peerKey) === peer) as TestNode;
    return recorded.get(other) ?? readsOf(other).answer(message);
  });
  const { state } = testContext(node, chain);
  const credit = credits.get(node);
  const own =
    credit === undefined ? state() : { ...state(), roster: withCredit(state().roster, node.account, credit) };
  const context = testContext(node, chain, { overlay: () => overlay, state: () => own });
  return new Reads(context, {
    get place() {
      return places.get(node) as Place;
    },
    settle: () => void settled++,
  });
}

const follow = (node: TestNode) => places.set(node, { ...(places.get(node) as Place), isFollowing: true });
const code = (reading: Promise<unknown>) =>
  reading.then(
    () => 'OK',
    (error: { code: string }) => error.code,
  );

describe('a read without ordering [CONS-29]', () => {
  test('gives what a quorum says alike, as of what all of them have executed', async () => {
    const { roster } = testContext(self, chain).state();
    expect(await readsOf(self).agreed()).toEqual({
      epochClosed: 0,
      members: 4,
      rosterRoot: toHex(rosterRoot(roster)),
      sequence: 5,
    });
  });

  test('does without a member that says something else', async () => {
    credits.set(nodes[3] as TestNode, 10_000);
    expect((await readsOf(self).agreed()).sequence).toBe(5);
  });

  test('does without a member that lost its journal, which does not answer: it may have told of more', async () => {
    follow(nodes[3] as TestNode);
    const question = queryCodec.encode({ fresh: new Uint8Array(32) });
    expect(() => readsOf(nodes[3] as TestNode).answer(question)).toThrow('only follows');
    expect((await readsOf(self).agreed()).members).toBe(4);
    follow(nodes[2] as TestNode);
    expect(await code(readsOf(self).agreed())).toBe('ANSWERS_DIVIDED');
  });

  test('does without a member that has not executed all before its epoch: others may have told of that', async () => {
    const epoch = 17;
    const entered = { configuration: { ...configuration, epoch }, isFollowing: false };
    for (const node of nodes) places.set(node, { ...entered, sequence: epoch - 1 });
    places.set(nodes[3] as TestNode, { ...entered, sequence: epoch - 2 });
    const question = queryCodec.encode({ fresh: new Uint8Array(32) });
    expect(() => readsOf(nodes[3] as TestNode).answer(question)).toThrow('before the epoch');
    expect((await readsOf(self).agreed()).sequence).toBe(epoch - 1);
  });

  test('counts no member that is still in the epoch before', async () => {
    const later = { ...configuration, epoch: 2 };
    for (const node of nodes.slice(0, 2))
      places.set(node, { ...(places.get(node) as Place), configuration: later });
    expect(await code(readsOf(self).agreed())).toBe('ANSWERS_DIVIDED');
    for (const node of nodes.slice(0, 3))
      places.set(node, { ...(places.get(node) as Place), configuration: later });
    expect((await readsOf(self).agreed()).sequence).toBe(5);
  });

  test('asks anew, and gives up after three rounds, when no quorum says the same', async () => {
    credits.set(nodes[2] as TestNode, 10_000);
    credits.set(nodes[3] as TestNode, 5_000);
    expect(await code(readsOf(self).agreed())).toBe('ANSWERS_DIVIDED');
    expect(asked).toBe(9);
  });

  test('takes no answer to another question, and none under the name of another', async () => {
    const stale = queryAnswerCodec.encode({
      sequence: 5,
      result: new Uint8Array(8),
      signature: new Uint8Array(64),
    });
    recorded.set(nodes[2] as TestNode, stale);
    expect((await readsOf(self).agreed()).members).toBe(4);
    recorded.set(nodes[3] as TestNode, stale);
    expect(await code(readsOf(self).agreed())).toBe('ANSWERS_DIVIDED');
  });

  test('is answered when what it tells is on disk, so that no loss of power makes a member forget it', () => {
    const question = queryCodec.encode({ fresh: new Uint8Array(32) });
    readsOf(self).answer(question);
    expect(settled).toBe(1);
  });

  test('is answered for questions only', () => {
    expect(() => readsOf(self).answer(new Uint8Array(0))).toThrow(ProtocolError);
  });
});
