import type { Decision } from '@nemea/consensus';
import { createEd25519Signer, createEd25519Verifier } from '@nemea/consensus/ed25519';
import { sha256 } from '@nemea/core';
import { expect, test } from 'vitest';
import { type Put, signBundle } from './bundle.ts';
import { Store } from './store.ts';

const networkId = new Uint8Array(32);
const client = createEd25519Signer(sha256(Uint8Array.of(1)));
const stranger = createEd25519Signer(sha256(Uint8Array.of(2)));

function openStore() {
  const executed: [number: number, revision: number][] = [];
  const store = new Store({
    networkId,
    client: client.publicKey,
    verify: createEd25519Verifier(),
    onExecuted: (...event) => executed.push(event),
  });
  return { store, executed };
}

const put = (key: string, byte: number): Put => ({ key, value: Uint8Array.of(byte) });

function bundle(number: number, puts: readonly Put[], by = client): Uint8Array {
  return signBundle(networkId, { client: by.publicKey, number, puts }, by.sign);
}

function decision(...batch: Uint8Array[]): Decision {
  const certificate = { epoch: 1, view: 0, sequence: 1, digest: new Uint8Array(32), signatures: [] };
  return { sequence: 1, batch, certificate };
}

test('a bundle takes effect once, however often it is ordered', async () => {
  const { store, executed } = openStore();
  const first = bundle(1, [put('a', 1), put('b', 2)]);
  await store.execute(decision(first, bundle(2, [put('a', 3)]), first));
  expect(executed).toEqual([
    [1, 2],
    [2, 3],
  ]);
  expect(store.state.values.get('a')).toEqual(Uint8Array.of(3));
  expect(store.revisionOf(1)).toBe(2);
  expect(store.revisionOf(3)).toBeUndefined();
});

test('what is not the client’s changes nothing', async () => {
  const { store, executed } = openStore();
  const altered = bundle(1, [put('a', 1)]);
  altered[40] = (altered[40] as number) ^ 1;
  await store.execute(decision(bundle(1, [put('a', 1)], stranger), altered, Uint8Array.of(1, 2, 3)));
  expect(executed).toEqual([]);
  expect(store.state.revision).toBe(0);
});

test('two stores with the same decisions write down the same state, and one restored from it goes on', async () => {
  const [one, two] = [openStore().store, openStore().store];
  for (const store of [one, two]) {
    await store.execute(decision(bundle(2, [put('b', 1)]), bundle(1, [put('a', 2)])));
  }
  const bytes = one.codec.encode(one.state);
  expect(two.codec.encode(two.state)).toEqual(bytes);
  two.restore(two.codec.parse(bytes));
  expect(two.state).toEqual(one.state);
  await two.execute(decision(bundle(1, [put('a', 9)])));
  expect(two.state).toEqual(one.state);
});
