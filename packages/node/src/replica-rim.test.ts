import { BATCH_BYTES_MAX, type Member, type SignedMessage, signStatement, WINDOW } from '@nemea/consensus';
import { createEd25519Signer, createEd25519Verifier } from '@nemea/consensus/ed25519';
import { fromUtf8, sha256, toUtf8 } from '@nemea/core';
import { expect, test } from 'vitest';
import type { Clock } from './ports/clock.ts';
import { type Application, ReplicaRim } from './replica-rim.ts';
import { MemoryJournal, silent } from './testing.ts';

/** A clock that runs what is due now when it is told to, and no timer. */
function stillClock(): Clock & { turn(): Promise<void> } {
  const due: (() => void)[] = [];
  return {
    wallMs: () => 0,
    elapsedMs: () => 0,
    after(delayMs, task) {
      if (delayMs === 0) due.push(task);
      return { cancel: () => void due.splice(0, due.length, ...due.filter((other) => other !== task)) };
    },
    async turn() {
      for (const task of due.splice(0)) task();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** Remembers what it was told to execute. */
function listApplication(): Application<readonly string[]> {
  let state: readonly string[] = [];
  return {
    codec: { encode: (list) => fromUtf8(list.join('\n')), parse: (bytes) => toUtf8(bytes).split('\n') },
    get state() {
      return state;
    },
    restore: (restored) => {
      state = restored;
    },
    execute: async ({ batch }) => {
      state = [...state, ...batch.map(toUtf8)];
      return { members: null };
    },
    onRefused: () => undefined,
  };
}

const unsigned: SignedMessage = {
  payload: Uint8Array.of(7),
  sender: 'r0',
  signature: new Uint8Array(64),
  batch: [],
  evidence: new Uint8Array(0),
};

async function startAlone(silentMembers: readonly Member[] = []) {
  const happened: string[] = [];
  /** Senders of messages whose signature was looked at. */
  const looked: string[] = [];
  const { publicKey, sign } = createEd25519Signer(sha256(fromUtf8('r0')));
  const journal = new MemoryJournal();
  const clock = stillClock();
  const application = listApplication();
  const write = journal.append.bind(journal);
  journal.append = (kind, records) => {
    happened.push(`write ${kind}`);
    write(kind, records);
  };
  const rim = await ReplicaRim.start({
    id: 'r0',
    networkId: new Uint8Array(32),
    members: [{ id: 'r0', publicKey, weight: 1 }, ...silentMembers],
    settings: { eagerBatches: 100 },
    application,
    clock,
    journal,
    logger: silent,
    transport: {
      transmit: () => happened.push('say'),
      forward: () => happened.push('say'),
      fetch: () => Promise.reject(new Error('nobody is there')),
    },
    publicKeyOf: (id) => {
      looked.push(id);
      return silentMembers.find((member) => member.id === id)?.publicKey ?? publicKey;
    },
    sign,
    verifySignature: createEd25519Verifier(),
    onStopped: (error) => happened.push(error.code),
    onEquivocation: (culprit, { first, second }) =>
      happened.push(`${culprit} said ${first.payload.at(-1)} and ${second.payload.at(-1)}`),
  });
  happened.length = 0;
  return { rim, clock, application, happened, looked };
}

test('what arrives together is written at once, and nothing of it is said before that [CONS-6]', async () => {
  const { rim, clock, application, happened } = await startAlone();
  for (const name of ['a', 'b', 'c']) rim.take({ type: 'request', operation: fromUtf8(name) });
  expect(happened).toEqual([]);
  await clock.turn();
  // Three sequences: a proposal and a commit of each.
  expect(happened.filter((event) => event === 'say')).toHaveLength(6);
  expect(happened.lastIndexOf('write replica')).toBe(0);
  for (let i = 0; i < 3; i++) await clock.turn();
  expect(application.state).toEqual(['a', 'b', 'c']);
  expect(rim.sequence).toBe(3);
});

test('a closed rim takes nothing more, not even what had arrived', async () => {
  const { rim, clock, application, happened } = await startAlone();
  rim.take({ type: 'request', operation: fromUtf8('a') });
  rim.close();
  rim.take({ type: 'request', operation: fromUtf8('b') });
  await clock.turn();
  expect(happened).toEqual([]);
  expect(application.state).toEqual([]);
});

test('what nobody signed is passed over, and what comes with it is taken', async () => {
  const { rim, clock, application } = await startAlone();
  rim.hear(unsigned, 'r1');
  rim.take({ type: 'request', operation: fromUtf8('a') });
  for (let i = 0; i < 3; i++) await clock.turn();
  expect(application.state).toEqual(['a']);
});

test('a neighbour that floods loses its own messages, and nobody else a vote or a request [CONS-23]', async () => {
  const { rim, clock, application, looked } = await startAlone();
  for (let i = 0; i < 10_000; i++) rim.hear(unsigned, 'flooding');
  rim.hear({ ...unsigned, sender: 'r1' }, 'r1');
  rim.take({ type: 'request', operation: fromUtf8('a') });
  for (let i = 0; i < 6; i++) await clock.turn();
  expect(looked.filter((sender) => sender === 'r0')).toHaveLength(512);
  expect(looked).toContain('r1');
  expect(application.state).toEqual(['a']);
  looked.length = 0;
  rim.hear(unsigned, 'flooding');
  await clock.turn();
  expect(looked).toEqual(['r0']);
});

test('large messages of one neighbour wait up to a window of the largest batches [CONS-23]', async () => {
  const { rim, clock, looked } = await startAlone();
  const large = { ...unsigned, batch: [new Uint8Array(BATCH_BYTES_MAX)] };
  for (let i = 0; i < 256; i++) rim.hear(large, 'flooding');
  rim.hear(unsigned, 'r1');
  await clock.turn();
  expect(looked).toHaveLength(WINDOW + 1);
  rim.hear(large, 'flooding');
  await clock.turn();
  expect(looked).toHaveLength(WINDOW + 2);
});

test('a request that finds no room is told so, and finds it once others have had their turn', async () => {
  const { rim, clock } = await startAlone();
  const request = { type: 'request', operation: new Uint8Array(BATCH_BYTES_MAX) } as const;
  const taken = Array.from({ length: 2 * WINDOW }, () => rim.take(request)).filter((isTaken) => isTaken);
  expect(taken.length).toBeGreaterThan(0);
  expect(taken.length).toBeLessThan(2 * WINDOW);
  await clock.turn();
  expect(rim.take(request)).toBe(true);
});

test('a proof that a member contradicted itself is handed out once, whatever else the member says [CONS-21]', async () => {
  const { publicKey, sign } = createEd25519Signer(sha256(fromUtf8('r1')));
  const { rim, clock, happened } = await startAlone([{ id: 'r1', publicKey, weight: 1 }]);
  for (const byte of [1, 2, 3]) {
    const place = { epoch: 1, view: 0, sequence: 1, digest: new Uint8Array(32).fill(byte) };
    const content = { kind: 'commit' as const, ...place };
    const networkId = new Uint8Array(32);
    rim.hear(signStatement({ networkId, sender: 'r1', content, batch: [], sign }).message, 'r1');
  }
  await clock.turn();
  expect(happened.filter((event) => event.startsWith('r1'))).toEqual(['r1 said 1 and 2']);
});
