import { encodeMessage } from '@nemea/consensus';
import { encodeCbor, sha256, toHex } from '@nemea/core';
import {
  attestAlpha,
  type Effect,
  encodeOperation,
  encodeSignedOperation,
  encodeState,
  type OperationBody,
  operationDigest,
  parseState,
} from '@nemea/membership';
import { NETWORK_ID, verifySignature } from '@nemea/membership/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from './adapters/clock/system-clock.ts';
import { systemRandom } from './adapters/clock/system-random.ts';
import { OrderLog } from './order-log.ts';
import { decisionsRequestCodec, orderAnswerCodec } from './protocol.ts';
import { ReplicaLoop } from './replica-loop.ts';
import { MemoryJournal, silent, TestChain, type TestNode, testNode, testNodes } from './testing.ts';

const nodes = testNodes(4);
const stranger = testNode('stranger');
let chain: TestChain;
let network: Member[];
let stopped: string[];

interface Member {
  readonly node: TestNode;
  readonly journal: MemoryJournal;
  readonly effects: Effect[];
  loop: ReplicaLoop;
  isCut: boolean;
}

/** Starts a replica whose messages reach the others at once, unless either side is cut off. */
async function start(
  node: TestNode,
  journal = new MemoryJournal(),
  effects: Effect[] = [],
  isReturning = false,
): Promise<Member> {
  const others = () => network.filter((member) => member.node !== node && !member.isCut);
  const isCut = () => network.find((member) => member.node === node)?.isCut ?? false;
  const loop = await ReplicaLoop.start({
    clock: systemClock,
    ledger: chain.ledgerOf(node),
    journal,
    logger: silent,
    settings: { progressTimeoutMs: 300, pulseMs: 50, idlePulseMs: 100, catchUpMs: 20 },
    sign: node.sign,
    verifySignature,
    publicKeyOf: (account) => nodes.find((known) => known.account === account)?.record.peerKey,
    onEffect: (effect) => {
      effects.push(effect);
    },
    onStopped: (error) => stopped.push(error.code),
    onEquivocation: () => undefined,
    isReturning,
    random: systemRandom,
    transport: {
      transmit: (to, message) => {
        if (isCut()) return;
        for (const other of others()) {
          if (to === null || other.node.account === to)
            queueMicrotask(() => other.loop.receiveMessage(node.account, message));
        }
      },
      forward: (operation) => {
        if (isCut()) return;
        for (const other of others()) {
          queueMicrotask(() => other.loop.receiveRequest(node.account, operation));
        }
      },
      fetch: async (from, request) => {
        const other = others().find((member) => member.node.account === from);
        if (other === undefined || isCut()) throw new Error('not reachable');
        return other.loop.decisionsFrom(request);
      },
    },
  });
  return { node, journal, effects, loop, isCut: false };
}

beforeEach(async () => {
  chain = new TestChain(nodes);
  chain.mineTo(25);
  network = [];
  stopped = [];
  for (const node of nodes) network.push(await start(node));
});

afterEach(() => {
  for (const { loop } of network) loop.close();
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const at = (index: number) => network[index] as Member;
const reported = ({ loop }: Member) => loop.state.reports.get(2)?.size ?? 0;
const report = (index: number) => at(index).loop.propose(emptyReport(at(index).node));

function emptyReport({ prove }: TestNode): OperationBody {
  const epochSeed = chain.history.epochSeed(2) ?? new Uint8Array(32);
  const { proof } = prove(attestAlpha({ networkId: NETWORK_ID, epochSeed }));
  return { kind: 'attest', epoch: 2, proof, attestations: [] };
}

/** What two replicas agree on, roster and reports included. */
function digestOf({ loop }: Member): string {
  const { roster, ledgerBlock, epochClosed } = loop.state;
  const members = [...roster.values()].map(({ account, credit }) => ({ account, credit }));
  const reports = [...loop.state.reports].map(([epoch, of]) => [epoch, [...of.keys()]]);
  return toHex(sha256(encodeCbor({ members, reports, ledgerBlock, epochClosed })));
}

function signedBy(node: TestNode, body: OperationBody, hash = chain.history.blockHash(25)): Uint8Array {
  const anchor = { block: 25, hash: hash ?? new Uint8Array(32) };
  const operation = encodeOperation({ author: node.account, anchor, body });
  return encodeSignedOperation(operation, node.sign(operationDigest(NETWORK_ID, operation)));
}

test('four replicas order what each of them proposes, and reach one state', async () => {
  for (const index of network.keys()) report(index);
  await until(() => network.every((member) => reported(member) === 4));
  expect(new Set(network.map(digestOf)).size).toBe(1);
});

test('a replica that starts again from its journal has the same state, and tells what others must hear again', async () => {
  for (const index of network.keys()) report(index);
  await until(() => network.every((member) => reported(member) === 4));
  chain.mineTo(31);
  at(0).loop.propose({ kind: 'close-epoch', epoch: 2 });
  await until(() => network.every(({ loop }) => loop.state.epochClosed === 2));
  const before = digestOf(at(1));
  at(1).loop.close();
  // Its layer 1 has moved on: what it knows of later blocks must not change what it did as of earlier ones.
  chain.mineTo(60);
  const effects: Effect[] = [];
  network[1] = await start(at(1).node, at(1).journal, effects);
  expect(digestOf(at(1))).toBe(before);
  expect(at(1).loop.sequence).toBe(at(0).loop.sequence);
  expect(effects.map(({ type }) => type)).toEqual(['epoch-closed', 'vote']);
});

test('a replica that was cut off fetches the decisions that it missed', async () => {
  at(3).isCut = true;
  for (const index of [0, 1, 2]) report(index);
  await until(() => network.slice(0, 3).every((member) => reported(member) === 3));
  expect(reported(at(3))).toBe(0);
  at(3).isCut = false;
  report(3);
  await until(() => network.every((member) => reported(member) === 4));
  expect(new Set(network.map(digestOf)).size).toBe(1);
  expect(at(3).loop.isCaughtUp).toBe(true);
});

describe('a history of more than two snapshots', () => {
  /** Orders so many operations, one a sequence, that have no effect but are all different. */
  async function orderMany(count: number, members: readonly Member[]): Promise<void> {
    for (let i = 0; i < count; i++) {
      const author = members[i % members.length] as Member;
      const { sequence } = author.loop;
      author.loop.propose({ kind: 'close-candidacy', candidate: systemRandom(32) });
      await until(() => members.every(({ loop }) => loop.sequence > sequence));
    }
  }

  /** What tells that a member votes: a quorum without one of the others. */
  async function decideWithout(absent: Member): Promise<void> {
    absent.isCut = true;
    const present = network.filter((member) => member !== absent);
    await orderMany(2, present);
    absent.isCut = false;
  }

  test('is forgotten but for the last decisions, and a start goes on from the older snapshot [CONS-27]', async () => {
    for (const index of network.keys()) report(index);
    await orderMany(140, network);
    const { journal, node } = at(1);
    expect(journal.read('decision').length).toBeLessThan(at(1).loop.sequence);
    expect(journal.read('snapshot')).toHaveLength(2);
    const before = digestOf(at(1));
    const { sequence } = at(1).loop;
    at(1).loop.close();
    network[1] = await start(node, journal);
    expect(at(1).loop.sequence).toBeGreaterThanOrEqual(sequence);
    expect(digestOf(at(1))).toBe(before);
    await decideWithout(at(0));
  });

  test('is no obstacle for a replica that missed it: it goes on from a snapshot, and votes', async () => {
    at(3).isCut = true;
    const others = network.slice(0, 3);
    for (const index of [0, 1, 2]) report(index);
    await orderMany(140, others);
    at(3).isCut = false;
    await until(() => at(3).loop.sequence >= at(0).loop.sequence);
    expect(at(3).journal.read('decision').length).toBeLessThan(100);
    expect(digestOf(at(3))).toBe(digestOf(at(0)));
    await decideWithout(at(0));
    // It can hand out what it got.
    const answer = orderAnswerCodec.parse(
      at(3).loop.decisionsFrom(decisionsRequestCodec.encode({ from: 1 })),
    );
    expect(answer.kind).toBe('snapshot');
  });

  test('that breaks off between a snapshot taken over and the decisions it makes useless is gone on with from the snapshot', async () => {
    await orderMany(5, network);
    at(3).isCut = true;
    await orderMany(140, network.slice(0, 3));
    const { journal, node } = at(3);
    const trim = journal.trim.bind(journal);
    journal.trim = (kind, keep) => {
      if (kind === 'decision') throw new Error('the process is gone');
      trim(kind, keep);
    };
    at(3).isCut = false;
    await until(() => stopped.length > 0);
    journal.trim = trim;
    expect(journal.read('snapshot')).toHaveLength(1);
    expect(journal.read('decision').length).toBeGreaterThanOrEqual(5);
    for (const starts of [1, 2]) {
      network[3] = await start(node, journal);
      await orderMany(starts, network.slice(0, 3));
      await until(() => at(3).loop.sequence >= at(0).loop.sequence);
      expect(digestOf(at(3))).toBe(digestOf(at(0)));
      at(3).loop.close();
    }
    network[3] = await start(node, journal);
    await decideWithout(at(0));
  });

  test('is had again by a member that lost its journal: it follows, and votes once its token is ordered [CONS-25]', async () => {
    for (const index of network.keys()) report(index);
    await orderMany(140, network);
    at(3).loop.close();
    const journal = new MemoryJournal();
    network[3] = await start(at(3).node, journal, [], true);
    expect(at(3).loop.isFollowing).toBe(true);
    expect(at(3).loop.isCaughtUp).toBe(false);
    await until(() => at(3).loop.sequence >= at(0).loop.sequence);
    expect(digestOf(at(3))).toBe(digestOf(at(0)));
    // A crash before it may speak must not make it speak.
    at(3).loop.close();
    network[3] = await start(at(3).node, journal, [], true);
    while (at(3).loop.isFollowing) {
      chain.mine();
      for (const { loop } of network) loop.onBlock();
      await orderMany(1, network.slice(0, 3));
    }
    await until(() => at(3).loop.sequence >= at(0).loop.sequence);
    expect(at(3).loop.state.rejoins.get(at(3).node.account)).toBe(1);
    await decideWithout(at(0));
    expect(digestOf(at(3))).toBe(digestOf(at(1)));
  });

  test('is not taken over from somebody who made it up', async () => {
    at(3).isCut = true;
    for (const index of [0, 1, 2]) report(index);
    await orderMany(140, network.slice(0, 3));
    const request = decisionsRequestCodec.encode({ from: 1 });
    const answer = orderAnswerCodec.parse(at(0).loop.decisionsFrom(request));
    if (answer.kind !== 'snapshot') throw new Error('no snapshot is handed out');
    const log = new OrderLog(new MemoryJournal(), { encode: encodeState, parse: parseState });
    expect(log.offer(answer).proofs.length).toBeGreaterThan(0);
    const state = { ...at(0).loop.state, epochClosed: 99 };
    expect(() => log.offer({ ...answer, state: encodeState(state) })).toThrow(
      'not the one of the checkpoint',
    );
    expect(() => log.offer({ ...answer, transfer: Uint8Array.of(1, 2) })).toThrow();
  });
});

describe('a request', () => {
  test('of a stranger, in another’s name, or altered on its way is not ordered', async () => {
    const [one, two] = nodes as [TestNode, TestNode];
    const forged = signedBy({ ...one, sign: two.sign }, emptyReport(one));
    const altered = signedBy(one, emptyReport(one)).slice();
    altered[altered.length - 1] = (altered.at(-1) as number) ^ 1;
    for (const request of [signedBy(stranger, emptyReport(stranger)), forged, altered]) {
      at(0).loop.receiveRequest(two.account, request);
    }
    report(2);
    await until(() => network.every((member) => reported(member) === 1));
    expect([...(at(0).loop.state.reports.get(2)?.keys() ?? [])]).toEqual([at(2).node.account]);
  });

  test('that cannot be read is refused with its code', () => {
    expect(() => at(0).loop.receiveRequest('peer', Uint8Array.of(1))).toThrow('signed operation');
  });

  test('that builds on a block to come waits for it, and one on a block that never was does not pass', async () => {
    chain.mineTo(25);
    const later = encodeOperation({
      author: at(1).node.account,
      anchor: { block: 26, hash: hashOfNext() },
      body: emptyReport(at(1).node),
    });
    const waiting = encodeSignedOperation(later, at(1).node.sign(operationDigest(NETWORK_ID, later)));
    const invented = signedBy(at(2).node, emptyReport(at(2).node), sha256());
    for (const { loop } of network) {
      loop.receiveRequest('peer', waiting);
      loop.receiveRequest('peer', invented);
    }
    report(3);
    await until(() => network.every((member) => reported(member) === 1));
    chain.mine();
    for (const { loop } of network) loop.onBlock();
    await until(() => network.every((member) => reported(member) === 2));
    expect(network.every(({ loop }) => loop.state.ledgerBlock === 26)).toBe(true);
  });
});

test('what one peer has waiting for a block crowds out nothing of the others [CONS-23]', async () => {
  const later = encodeOperation({
    author: at(1).node.account,
    anchor: { block: 26, hash: hashOfNext() },
    body: emptyReport(at(1).node),
  });
  const waiting = encodeSignedOperation(later, at(1).node.sign(operationDigest(NETWORK_ID, later)));
  const invented = encodeMessage({
    payload: Uint8Array.of(7),
    sender: at(3).node.account,
    signature: new Uint8Array(64),
    batch: [signedBy(at(2).node, emptyReport(at(2).node), sha256())],
    evidence: new Uint8Array(0),
  });
  for (const { loop } of network) {
    loop.receiveRequest('peer', waiting);
    for (let i = 0; i < 2_000; i++) loop.receiveMessage('flooding', invented);
  }
  chain.mine();
  for (const { loop } of network) loop.onBlock();
  await until(() => network.every((member) => reported(member) === 1));
});

test('a message that nobody signed, or that is none, is refused', () => {
  for (const { loop } of network) {
    expect(() => loop.receiveMessage('peer', Uint8Array.of(1, 2, 3))).toThrow();
  }
});

test('a replica whose journal cannot be written says nothing more, and tells its node that it is of no use', async () => {
  at(1).journal.append = () => {
    throw new Error('no space is left on the device');
  };
  for (const index of network.keys()) report(index);
  await until(() => stopped.length > 0);
  await until(() => [0, 2, 3].every((index) => reported(at(index)) >= 3));
  expect(stopped).toEqual(['LOOP_STOPPED']);
  expect(reported(at(1))).toBe(0);
});

test('a closed replica says and does nothing more', async () => {
  at(0).loop.close();
  report(0);
  report(1);
  await until(() => network.slice(1).every((member) => reported(member) >= 1));
  expect(at(0).loop.sequence).toBe(0);
});

function hashOfNext(): Uint8Array {
  const next = new TestChain(nodes);
  next.mineTo(26);
  const hash = next.history.blockHash(26);
  if (hash === undefined) throw new Error('no such block');
  return hash;
}
