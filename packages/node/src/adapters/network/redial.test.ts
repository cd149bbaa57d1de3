import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { toPeerAddress } from '../../peers/peer-address.ts';
import { peerIdOfSeed } from './identity.ts';
import { Redial, type RedialOptions } from './redial.ts';
import { LISTEN, seedOf } from './test/support.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function redialTo(peer: string, overrides: Partial<RedialOptions> = {}) {
  const dialled: number[] = [];
  const redial = new Redial({
    self: '0',
    firstMs: 100,
    maxMs: 1000,
    yieldMs: 5000,
    isWanted: () => true,
    isConnected: () => false,
    dial: () => {
      dialled.push(performance.now());
      return Promise.reject(new Error('nobody there'));
    },
    ...overrides,
  });
  const address = toPeerAddress(peer, LISTEN);
  redial.setTargets([address]);
  return { redial, address, dialled };
}

test('attempts at an unreachable peer grow apart up to a bound', async () => {
  const { redial, dialled } = await redialTo(await peerIdOfSeed(seedOf(1)));
  await vi.advanceTimersByTimeAsync(60_000);
  redial.close();
  const gaps = dialled.slice(1).map((at, index) => at - (dialled[index] ?? 0));
  expect(gaps[0]).toBeGreaterThanOrEqual(100);
  expect(Math.min(...gaps.slice(5))).toBeGreaterThanOrEqual(1000);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(1501);
});

test('the peer with the higher id leaves the first dial to the other', async () => {
  const { redial, dialled } = await redialTo(await peerIdOfSeed(seedOf(1)), { self: 'zzz' });
  await vi.advanceTimersByTimeAsync(4999);
  expect(dialled).toEqual([]);
  await vi.advanceTimersByTimeAsync(3000);
  expect(dialled.length).toBeGreaterThan(0);
  redial.close();
});

test('connected, unwanted and removed peers are not dialled', async () => {
  const peer = await peerIdOfSeed(seedOf(1));
  const connected = await redialTo(peer, { isConnected: () => true });
  const unwanted = await redialTo(peer, { isWanted: () => false });
  const removed = await redialTo(peer);
  removed.redial.setTargets([]);
  const self = await redialTo(peer, { self: peer });
  await vi.advanceTimersByTimeAsync(10_000);
  for (const { redial, dialled } of [connected, unwanted, removed, self]) {
    expect(dialled).toEqual([]);
    redial.close();
  }
});

test('a peer that was lost is dialled again soon, however long it was away before', async () => {
  let connected = false;
  const { redial, address, dialled } = await redialTo(await peerIdOfSeed(seedOf(1)), {
    isConnected: () => connected,
  });
  await vi.advanceTimersByTimeAsync(20_000);
  connected = true;
  await vi.advanceTimersByTimeAsync(20_000);
  connected = false;
  const before = dialled.length;
  redial.onDisconnected(address.peer);
  await vi.advanceTimersByTimeAsync(151);
  expect(dialled.length).toBe(before + 1);
  redial.close();
});

test('nothing is dialled after closing', async () => {
  const { redial, address, dialled } = await redialTo(await peerIdOfSeed(seedOf(1)));
  redial.close();
  redial.onDisconnected(address.peer);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(dialled).toEqual([]);
});
