import { connect as connectSocket, type Socket } from 'node:net';
import { noise } from '@libp2p/noise';
import { fromUtf8 } from '@nemea/core';
import type { Libp2p } from 'libp2p';
import { afterEach, expect, test } from 'vitest';
import { parsePeerAddress } from '../../peers/peer-address.ts';
import { type Protocol, type PublicHostLimits, RefusalError } from '../../ports/transport.ts';
import { abortConnections, createHost } from './host.ts';
import { toPrivateKey } from './identity.ts';
import { openOutward } from './outward.ts';
import { openReception } from './reception.ts';
import { addressOf, codeOf, ECHO, echo, LISTEN, NETWORK, openMember, seedOf, until } from './test/support.ts';

const ADMISSION = '/nemea/admission/1';
const FOREIGN = ['/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0', '/ipfs/ping/1.0.0', '/ipfs/bitswap/1.2.0', ECHO];
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((host) => host.close()));
});

async function reception(limits: Partial<PublicHostLimits> = {}, overrides: Partial<Protocol> = {}) {
  const protocols = { [ADMISSION]: { ...echo, ...overrides } };
  const host = await openReception({
    privateKey: seedOf(20),
    listen: LISTEN,
    networkId: NETWORK,
    protocols,
    limits,
  });
  open.push(host);
  return host;
}

async function outward() {
  const host = await openOutward({ networkId: NETWORK });
  open.push(host);
  return host;
}

/** A host that knows libp2p and noise but no evidence. */
async function stranger(networkId = NETWORK): Promise<Libp2p> {
  const host = await createHost({
    privateKey: await toPrivateKey(undefined),
    encrypter: noise({ prologueBytes: networkId }),
    gater: {},
    streamsMax: 32,
    connectionsMax: 8,
    connectionsPerSecondMax: 100,
    pendingHandshakesMax: 8,
    handshakeTimeoutMs: 5000,
    monitored: false,
  });
  await host.start();
  open.push({ close: async () => host.stop() });
  return host;
}

async function socketTo(address: string): Promise<{ socket: Socket; closed: Promise<void> }> {
  const port = Number(/\/tcp\/(\d+)/.exec(address)?.[1]);
  const socket = connectSocket({ host: '127.0.0.1', port });
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.once('error', () => resolve());
  });
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  return { socket, closed };
}

test('a stranger reaches the admission protocol of the reception', async () => {
  const host = await reception();
  const asker = await outward();
  const answer = await asker.request(addressOf(host), ADMISSION, fromUtf8('let me in'), { timeoutMs: 5000 });
  expect(answer).toEqual(fromUtf8('let me in'));
});

test('the handler learns the proven identity of the asker', async () => {
  const host = await reception({}, { handle: async (peer) => fromUtf8(peer) });
  const asker = await outward();
  const answer = await asker.request(addressOf(host), ADMISSION, new Uint8Array(), { timeoutMs: 5000 });
  expect(answer).toEqual(fromUtf8(asker.peerId));
});

test('the reception serves nothing but what it was given', async () => {
  const host = await reception();
  const probe = await stranger();
  const connection = await probe.dial(parsePeerAddress(addressOf(host)).multiaddr);
  for (const protocol of FOREIGN) {
    await expect(connection.newStream(protocol)).rejects.toThrow('Protocol selection failed');
  }
  const stream = await connection.newStream(ADMISSION);
  expect(stream.protocol).toBe(ADMISSION);
});

test('a stranger with plain noise cannot connect to the overlay', async () => {
  const { overlay, events } = await openMember(0);
  open.push(overlay);
  const probe = await stranger();
  await expect(probe.dial(parsePeerAddress(addressOf(overlay)).multiaddr)).rejects.toThrow();
  expect(overlay.peers()).toEqual([]);
  expect(events).toEqual([]);
});

test('the overlay serves its members nothing but its own protocols', async () => {
  const a = await openMember(0);
  const b = await openMember(1, {
    protocols: { [ECHO]: echo, ...Object.fromEntries(FOREIGN.map((name) => [name, echo])) },
  });
  open.push(a.overlay, b.overlay);
  await b.overlay.connect(addressOf(a.overlay));
  for (const protocol of FOREIGN.filter((name) => name !== ECHO)) {
    const asked = b.overlay.request(a.overlay.peerId, protocol, new Uint8Array(), { timeoutMs: 5000 });
    expect(await codeOf(asked)).toBe('STREAM_CLOSED');
  }
});

test('an asker of another network is not let into the reception', async () => {
  const host = await reception();
  const probe = await stranger(fromUtf8('another network'));
  await expect(probe.dial(parsePeerAddress(addressOf(host)).multiaddr)).rejects.toThrow();
});

test('an outward host serves nothing and listens nowhere', async () => {
  const asker = await outward();
  expect('addresses' in asker).toBe(false);
  const gone = asker.request(
    `${LISTEN.replace('/tcp/0', '/tcp/9')}/p2p/${asker.peerId}`,
    ADMISSION,
    new Uint8Array(),
    {
      timeoutMs: 2000,
    },
  );
  expect(await codeOf(gone)).toBe('CONNECTION_FAILED');
});

test('what the admission handler refuses reaches the stranger as a code', async () => {
  const refuse = () => Promise.reject(new RefusalError('ADMISSION_DENIED', 'details stay here'));
  const host = await reception({}, { handle: refuse });
  const asked = (await outward()).request(addressOf(host), ADMISSION, new Uint8Array(), { timeoutMs: 5000 });
  expect(await codeOf(asked)).toBe('ADMISSION_DENIED');
});

test('an oversized question costs the stranger its stream', async () => {
  const host = await reception({}, { maxMessageBytes: 1024 });
  const asker = await outward();
  const ask = (length: number) =>
    asker.request(addressOf(host), ADMISSION, new Uint8Array(length), { timeoutMs: 5000 });
  expect(await codeOf(ask(4096))).toBe('STREAM_CLOSED');
  expect(await ask(1024)).toHaveLength(1024);
});

test('more questions than the rate allows are answered late, not lost', async () => {
  const host = await reception({ requestsPerSecondMax: 20 });
  const asker = await outward();
  const ask = () => asker.request(addressOf(host), ADMISSION, new Uint8Array(1), { timeoutMs: 10_000 });
  expect(await Promise.all(Array.from({ length: 30 }, ask))).toHaveLength(30);
});

test('a connection that asks nothing is closed', async () => {
  const host = await reception({ idleTimeoutMs: 100 });
  const probe = await stranger();
  const connection = await probe.dial(parsePeerAddress(addressOf(host)).multiaddr);
  await until(() => connection.status !== 'open');
});

test('a connection is not idle while its question is being answered', async () => {
  const slow = async (_peer: string, message: Uint8Array) => {
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    return message;
  };
  // Long enough for a busy machine to ask after it has connected, and shorter than the answer takes.
  const host = await reception({ idleTimeoutMs: 1_000 }, { handle: slow });
  const asked = (await outward()).request(addressOf(host), ADMISSION, new Uint8Array(3), {
    timeoutMs: 20_000,
  });
  expect(await asked).toHaveLength(3);
});

test('one machine gets no more connections than its share', async () => {
  const host = await reception({ connectionsPerHostMax: 2 });
  const probes = [await stranger(), await stranger(), await stranger()];
  const dial = (probe: Libp2p) => probe.dial(parsePeerAddress(addressOf(host)).multiaddr);
  const [first, second, third] = probes as [Libp2p, Libp2p, Libp2p];
  await dial(first);
  await dial(second);
  await expect(dial(third)).rejects.toThrow();
  await abortConnections(() => first.getConnections(), new Error('leaves'));
  await until(() => first.getConnections().length === 0);
  await expect.poll(() => dial(third).then((connection) => connection.status)).toBe('open');
});

test('a socket that never speaks is dropped by reception and overlay', async () => {
  const host = await reception({ handshakeTimeoutMs: 150 });
  const { overlay } = await openMember(0, { limits: { handshakeTimeoutMs: 150 } });
  open.push(overlay);
  for (const address of [addressOf(host), addressOf(overlay)]) {
    const { closed } = await socketTo(address);
    await closed;
  }
});

test('a socket that sends nonsense is dropped', async () => {
  const { overlay } = await openMember(0, { limits: { handshakeTimeoutMs: 500 } });
  open.push(overlay);
  const { socket, closed } = await socketTo(addressOf(overlay));
  socket.write(new Uint8Array(4096).fill(0xff));
  await closed;
});
