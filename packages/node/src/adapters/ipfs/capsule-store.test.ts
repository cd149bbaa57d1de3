import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromUtf8 } from '@nemea/core';
import { afterEach, expect, test } from 'vitest';
import type { CapsuleStore, CapsuleStoreOptions } from '../../ports/block-store.ts';
import { openOutward } from '../network/outward.ts';
import { addressOf, codeOf, ECHO, echo, LISTEN, NETWORK, seedOf } from '../network/test/support.ts';
import { openCapsuleStore } from './capsule-store.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function store(index: number, overrides: Partial<CapsuleStoreOptions> = {}): Promise<CapsuleStore> {
  const options = {
    privateKey: seedOf(index),
    listen: LISTEN,
    networkId: NETWORK,
    protocols: { [ECHO]: echo },
  };
  const opened = await openCapsuleStore({ ...options, ...overrides });
  cleanups.push(() => opened.close());
  return opened;
}

async function directory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'nemea-blocks-'));
  cleanups.push(() => rm(dir, { recursive: true }));
  return dir;
}

async function filesIn(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}

const fetchFrom = (holder: CapsuleStore, maxBytes = 16 * 1024 * 1024, timeoutMs = 20_000) => ({
  from: addressOf(holder),
  timeoutMs,
  maxBytes,
});

test('a capsule put on one store is fetched by another, byte for byte', async () => {
  const holder = await store(0);
  const reader = await store(1);
  const capsule = new Uint8Array(randomBytes(3 * 1024 * 1024 + 17));
  const cid = await holder.put(capsule);
  expect(Buffer.compare(await reader.get(cid, fetchFrom(holder)), capsule)).toBe(0);
});

// The identifiers were computed from the UnixFS format by hand, not read off this implementation.
test('the same bytes have the same content identifier on every store', async () => {
  const holder = await store(0);
  expect(await holder.put(fromUtf8('nemea'))).toBe(
    'bafkreihhoodhg7becyfxkoyrsdpsydw3hbwcolvhaqiib2ekklkpcgfxba',
  );
  expect(await holder.put(new Uint8Array(600_000).fill(7))).toBe(
    'bafybeid3a3lcmihd3ymli2ln4m3rha6djdrh5kenaz2zqgdlpau5hyesty',
  );
  expect(await holder.put(new Uint8Array())).toBe(
    'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
  );
});

test('small and empty capsules travel as well', async () => {
  const holder = await store(0);
  const reader = await store(1);
  for (const capsule of [new Uint8Array(), fromUtf8('x'), new Uint8Array(256 * 1024)]) {
    const cid = await holder.put(capsule);
    expect(await reader.get(cid, fetchFrom(holder))).toEqual(capsule);
  }
});

test('blocks on disk survive the store that wrote them', async () => {
  const dir = await directory();
  const capsule = new Uint8Array(randomBytes(700_000));
  const first = await openCapsuleStore({ dir, privateKey: seedOf(0), listen: LISTEN, protocols: {} });
  const cid = await first.put(capsule);
  await first.close();
  const second = await store(0, { dir });
  const reader = await store(1);
  expect(await reader.get(cid, fetchFrom(second))).toEqual(capsule);
});

test('what is here already is read without asking anybody', async () => {
  const holder = await store(0);
  const cid = await holder.put(new Uint8Array(randomBytes(600_000)));
  const nobody = `/ip4/127.0.0.1/tcp/9/p2p/${holder.peerId}`;
  const capsule = await holder.get(cid, { from: nobody, timeoutMs: 1000, maxBytes: 600_000 });
  expect(capsule).toHaveLength(600_000);
});

test('a capsule that was deleted here is fetched again', async () => {
  const holder = await store(0);
  const reader = await store(1);
  const cid = await holder.put(new Uint8Array(600_000));
  for (let round = 0; round < 3; round++) {
    expect(await reader.get(cid, fetchFrom(holder))).toHaveLength(600_000);
    await reader.delete(cid);
  }
});

test('more fetches at once than there are slots all arrive', async () => {
  const holder = await store(0);
  const reader = await store(1);
  const capsules = Array.from({ length: 10 }, () => new Uint8Array(randomBytes(700_000)));
  const cids = await Promise.all(capsules.map((capsule) => holder.put(capsule)));
  const fetched = await Promise.all(cids.map((cid) => reader.get(cid, fetchFrom(holder))));
  expect(fetched.every((bytes, index) => Buffer.compare(bytes, capsules[index] ?? bytes) === 0)).toBe(true);
});

test('a capsule that the holder does not have times out with a code', async () => {
  const holder = await store(0);
  const reader = await store(1);
  const elsewhere = await (await store(2)).put(fromUtf8('never sent to the holder'));
  expect(await codeOf(reader.get(elsewhere, fetchFrom(holder, 1024, 300)))).toBe('CAPSULE_TIMED_OUT');
});

test('a holder that is gone is named unreachable', async () => {
  const holder = await store(0);
  const reader = await store(1);
  const from = `/ip4/127.0.0.1/tcp/9/p2p/${holder.peerId}`;
  const cid = await holder.put(fromUtf8('unreachable'));
  expect(await codeOf(reader.get(cid, { from, timeoutMs: 3000, maxBytes: 1024 }))).toBe(
    'CAPSULE_UNREACHABLE',
  );
});

test('a holder that hangs up in the middle ends the fetch at once', async () => {
  const holder = await store(0);
  const reader = await store(1);
  const elsewhere = await (await store(2)).put(fromUtf8('not at the holder'));
  const fetched = codeOf(reader.get(elsewhere, fetchFrom(holder, 1024, 60_000)));
  setTimeout(() => void holder.close(), 200);
  expect(await fetched).toBe('CAPSULE_UNREACHABLE');
});

test('a capsule beyond the limit is refused and leaves no block behind', async () => {
  const dir = await directory();
  const holder = await store(0);
  const reader = await store(1, { dir });
  const cid = await holder.put(new Uint8Array(randomBytes(2 * 1024 * 1024)));
  expect(await codeOf(reader.get(cid, fetchFrom(holder, 1024 * 1024)))).toBe('CAPSULE_TOO_LARGE');
  expect(await filesIn(dir)).toBe(0);
  expect(await reader.get(cid, fetchFrom(holder, 2 * 1024 * 1024))).toHaveLength(2 * 1024 * 1024);
});

test('a refused fetch does not delete what was stored here before', async () => {
  const holder = await store(0);
  const cid = await holder.put(new Uint8Array(randomBytes(600_000)));
  expect(await codeOf(holder.get(cid, fetchFrom(await store(1), 1000)))).toBe('CAPSULE_TOO_LARGE');
  expect(await holder.get(cid, fetchFrom(await store(2), 600_000))).toHaveLength(600_000);
});

test('a deleted capsule is gone from disk', async () => {
  const dir = await directory();
  const holder = await store(0, { dir });
  const cid = await holder.put(new Uint8Array(randomBytes(1024 * 1024)));
  expect(await filesIn(dir)).toBeGreaterThan(4);
  await holder.delete(cid);
  expect(await filesIn(dir)).toBe(0);
});

test.each([
  ['no identifier', 'hello'],
  ['version 0', 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'],
  [
    'another hash function',
    'bafkrgqdr5lhgvpncc2pvq7wxwjmpdfhrrh6wdplzmdrd2ojgpxdvhwdtajv3vzlpmgz6zqwnyjk2gddvqrd2lqefzq2kyvvbcwhxmtcfrpvt2',
  ],
  ['upper case', 'BAFKREIGH2AKISCAILDCQABSYG3DFR6CHU3FGPREGIYMSCK7E7AQA4S52ZY'],
])('a content identifier is refused: %s', async (_what, cid) => {
  const reader = await store(1);
  expect(await codeOf(reader.get(cid, fetchFrom(reader)))).toBe('CID_INVALID');
});

test('protocols are served beside the blocks, to askers of every kind', async () => {
  const holder = await store(0);
  const reader = await store(1);
  const outward = await openOutward({ networkId: NETWORK });
  cleanups.push(() => outward.close());
  const ask = { timeoutMs: 5000 };
  expect(await reader.request(addressOf(holder), ECHO, fromUtf8('store'), ask)).toEqual(fromUtf8('store'));
  expect(await outward.request(addressOf(holder), ECHO, fromUtf8('outward'), ask)).toEqual(
    fromUtf8('outward'),
  );
  for (const foreign of ['/ipfs/id/1.0.0', '/ipfs/ping/1.0.0', '/ipfs/kad/1.0.0', '/libp2p/autonat/1.0.0']) {
    expect(await codeOf(outward.request(addressOf(holder), foreign, new Uint8Array(), ask))).toBe(
      'STREAM_CLOSED',
    );
  }
});
