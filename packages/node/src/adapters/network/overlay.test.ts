import { EVIDENCE_BYTES_MAX } from '@nemea/attestation';
import { fromUtf8 } from '@nemea/core';
import { afterEach, expect, test } from 'vitest';
import { type Overlay, type OverlayOptions, RefusalError, RemoteError } from '../../ports/transport.ts';
import { readLimits } from './attested-noise.ts';
import { peerIdOfSeed } from './identity.ts';
import { collectWith, verifyWith } from './test/fake-evidence.ts';
import { addressOf, codeOf, ECHO, echo, KEY, openMember, seedOf, until } from './test/support.ts';

const open: Overlay[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((overlay) => overlay.close()));
});

async function member(index: number, overrides: Partial<OverlayOptions> = {}) {
  const opened = await openMember(index, overrides);
  open.push(opened.overlay);
  return opened;
}

async function pair(left: Partial<OverlayOptions> = {}, right: Partial<OverlayOptions> = {}) {
  const a = await member(0, left);
  const b = await member(1, right);
  await a.overlay.connect(addressOf(b.overlay));
  await until(() => b.overlay.peers().length === 1);
  return { a, b };
}

const ask = (from: Overlay, to: Overlay, message: Uint8Array, timeoutMs = 5000) =>
  from.request(to.peerId, ECHO, message, { timeoutMs });

test('two members with genuine evidence connect and answer each other in both directions', async () => {
  const { a, b } = await pair();
  expect(await ask(a.overlay, b.overlay, fromUtf8('from a'))).toEqual(fromUtf8('from a'));
  expect(await ask(b.overlay, a.overlay, fromUtf8('from b'))).toEqual(fromUtf8('from b'));
  expect(a.events).toEqual([{ type: 'connected', peer: b.overlay.peerId }]);
  expect(b.events).toEqual([{ type: 'connected', peer: a.overlay.peerId }]);
});

test('many requests at once are answered each with its own answer', async () => {
  const { a, b } = await pair();
  const messages = Array.from({ length: 100 }, (_, index) => fromUtf8(`request ${index}`));
  const answers = await Promise.all(messages.map((message) => ask(a.overlay, b.overlay, message)));
  expect(answers).toEqual(messages);
});

test('requests beyond the slots of the asked node wait instead of failing', async () => {
  let running = 0;
  let runningMax = 0;
  const slow = {
    ...echo,
    maxInFlight: 3,
    handle: async (_peer: string, message: Uint8Array) => {
      running += 1;
      runningMax = Math.max(runningMax, running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      return message;
    },
  };
  const { a, b } = await pair({}, { protocols: { [ECHO]: slow } });
  await Promise.all(Array.from({ length: 40 }, () => ask(a.overlay, b.overlay, new Uint8Array(1000))));
  expect(runningMax).toBe(3);
});

test('plain messages arrive once and in order', async () => {
  const got: number[] = [];
  const collect = {
    ...echo,
    handle: async (_peer: string, message: Uint8Array) => {
      got.push(message[0] ?? -1);
      return undefined;
    },
  };
  const { a, b } = await pair({}, { protocols: { [ECHO]: collect } });
  for (let index = 0; index < 50; index++) a.overlay.send(b.overlay.peerId, ECHO, Uint8Array.of(index));
  await until(() => got.length === 50);
  expect(got).toEqual(Array.from({ length: 50 }, (_, index) => index));
  expect(a.overlay.counters.sendsDropped).toBe(0);
});

test('a handler that fails reaches the asker as a code and nothing else', async () => {
  const failing = {
    ...echo,
    handle: async () => {
      throw new RefusalError('POLICY_FORBIDS', 'because of a secret reason');
    },
  };
  const { a, b } = await pair({}, { protocols: { [ECHO]: failing } });
  const error = await ask(a.overlay, b.overlay, new Uint8Array()).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RemoteError);
  expect(error).toMatchObject({ code: 'POLICY_FORBIDS', message: 'peer answered POLICY_FORBIDS' });
});

test('a handler that never answers costs the asker one timed-out request', async () => {
  const silent = { ...echo, handle: () => new Promise<undefined>(() => undefined) };
  const { a, b } = await pair({}, { protocols: { [ECHO]: silent } });
  expect(await codeOf(ask(a.overlay, b.overlay, new Uint8Array(), 50))).toBe('REQUEST_TIMED_OUT');
});

test('a peer that is not a member is refused before any evidence is asked for', async () => {
  let asked = 0;
  const countingCollect = async (...args: Parameters<OverlayOptions['collectEvidence']>) => {
    asked += 1;
    return collectWith(KEY)(...args);
  };
  const outsider = await peerIdOfSeed(seedOf(0));
  const a = await member(0, { collectEvidence: countingCollect });
  const b = await member(1, { collectEvidence: countingCollect, isMember: (peer) => peer !== outsider });
  expect(await codeOf(a.overlay.connect(addressOf(b.overlay)))).toBe('NOT_A_MEMBER');
  await until(() => b.events.length === 1);
  expect(asked).toBe(0);
  expect(b.events).toMatchObject([{ type: 'refused', peer: outsider, code: 'NOT_A_MEMBER', by: 'us' }]);
  expect(a.events).toMatchObject([
    { type: 'refused', peer: b.overlay.peerId, code: 'NOT_A_MEMBER', by: 'them' },
  ]);
  expect([a.overlay.peers(), b.overlay.peers()]).toEqual([[], []]);
});

test('forged evidence of the dialler is refused before the other side quotes, and both learn the code', async () => {
  let quoted = 0;
  const a = await member(0, { collectEvidence: collectWith('forged') });
  const b = await member(1, {
    collectEvidence: async (binding) => {
      quoted += 1;
      return collectWith(KEY)(binding);
    },
  });
  const error = await a.overlay.connect(addressOf(b.overlay)).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RemoteError);
  expect(error).toMatchObject({ code: 'EVIDENCE_FORGED' });
  await until(() => b.events.length === 1);
  expect(b.events).toMatchObject([{ type: 'refused', code: 'EVIDENCE_FORGED', by: 'us' }]);
  expect(quoted).toBe(0);
  expect([a.overlay.peers(), b.overlay.peers()]).toEqual([[], []]);
});

test('forged evidence of the dialled side makes the dial fail, and both learn the code', async () => {
  const a = await member(0);
  const b = await member(1, { collectEvidence: collectWith('forged') });
  const error = await a.overlay.connect(addressOf(b.overlay)).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RefusalError);
  expect(error).toMatchObject({ code: 'EVIDENCE_FORGED', message: 'made for a test' });
  await until(() => b.events.length === 1);
  expect(b.events).toMatchObject([{ type: 'refused', code: 'EVIDENCE_FORGED', by: 'them' }]);
  expect([a.overlay.peers(), b.overlay.peers()]).toEqual([[], []]);
});

test('evidence recorded in an earlier handshake does not answer a new challenge', async () => {
  let recorded: Uint8Array | undefined;
  const a = await member(0, {
    collectEvidence: async (binding) => {
      recorded ??= await collectWith(KEY)(binding);
      return recorded;
    },
  });
  const b = await member(1);
  await a.overlay.connect(addressOf(b.overlay));
  await b.overlay.evict(a.overlay.peerId);
  await until(() => a.overlay.peers().length === 0);
  b.overlay.readmit(a.overlay.peerId);
  expect(await codeOf(a.overlay.connect(addressOf(b.overlay)))).toBe('CHALLENGE_MISMATCH');
});

test('evidence that a third node made for somebody else is refused', async () => {
  const third = await peerIdOfSeed(seedOf(9));
  const relay = ({ challenge, remote }: { challenge: Uint8Array; remote: string }) =>
    collectWith(KEY)({ challenge, self: third, remote });
  const a = await member(0, { collectEvidence: relay });
  const b = await member(1);
  expect(await codeOf(a.overlay.connect(addressOf(b.overlay)))).toBe('EVIDENCE_OF_ANOTHER');
});

test('a node that cannot collect evidence says so instead of leaving the peer to wait', async () => {
  const broken = { collectEvidence: () => Promise.reject(new Error('tpm is busy')) };
  const a = await member(0);
  const b = await member(1, broken);
  expect(await codeOf(a.overlay.connect(addressOf(b.overlay)))).toBe('EVIDENCE_UNAVAILABLE');
  expect(await codeOf(b.overlay.connect(addressOf(a.overlay)))).toBe('EVIDENCE_UNAVAILABLE');
});

test('members show each other evidence as large as it may be', async () => {
  const evidence = new Uint8Array(EVIDENCE_BYTES_MAX).fill(7);
  const large: Partial<OverlayOptions> = {
    collectEvidence: async () => evidence,
    verifyEvidence: async (got) =>
      got.length === EVIDENCE_BYTES_MAX ? { ok: true } : { ok: false, code: 'CUT', detail: 'cut' },
  };
  const { a, b } = await pair(large, large);
  expect(await ask(a.overlay, b.overlay, fromUtf8('hello'))).toEqual(fromUtf8('hello'));
});

test('only a member can make a node hold evidence: of a stranger no more is read than its greeting', () => {
  expect(readLimits(true).maxDataLength).toBeGreaterThan(EVIDENCE_BYTES_MAX);
  expect(readLimits(false)).toEqual({ maxDataLength: 256, maxBufferSize: 65_536 });
});

test('evidence beyond the limit never leaves the node', async () => {
  const a = await member(0, { collectEvidence: async () => new Uint8Array(EVIDENCE_BYTES_MAX + 1) });
  const b = await member(1);
  expect(await codeOf(a.overlay.connect(addressOf(b.overlay)))).toBe('EVIDENCE_UNAVAILABLE');
});

test('evidence that takes too long ends the handshake on both sides', async () => {
  const limits = { handshakeTimeoutMs: 200 };
  const a = await member(0, { limits });
  const b = await member(1, { limits, verifyEvidence: () => new Promise(() => undefined) });
  expect(['HANDSHAKE_TIMED_OUT', 'CONNECTION_FAILED']).toContain(
    await codeOf(a.overlay.connect(addressOf(b.overlay))),
  );
  await until(() => b.events.length === 1);
  expect(b.events[0]?.type).toBe('refused');
  expect([a.overlay.peers(), b.overlay.peers()]).toEqual([[], []]);
});

test('a node of another network fails before it is known who it is', async () => {
  const a = await member(0, { networkId: fromUtf8('another network') });
  const b = await member(1);
  expect(await codeOf(a.overlay.connect(addressOf(b.overlay)))).toBe('CONNECTION_FAILED');
  expect(b.events).toEqual([]);
});

test('an address that names another peer than the one who answers is refused', async () => {
  const a = await member(0);
  const b = await member(1);
  const other = await peerIdOfSeed(seedOf(7));
  const address = addressOf(b.overlay).replace(b.overlay.peerId, other);
  expect(await codeOf(a.overlay.connect(address))).toBe('CONNECTION_FAILED');
  expect(await codeOf(a.overlay.connect(address.replace(/\/p2p\/.*/, '')))).toBe('ADDRESS_INVALID');
});

test('eviction closes the connection on both sides and refuses the way back', async () => {
  const { a, b } = await pair();
  const waiting = codeOf(ask(a.overlay, b.overlay, new Uint8Array(1)));
  await waiting;
  await b.overlay.evict(a.overlay.peerId);
  await until(() => a.overlay.peers().length === 0 && b.overlay.peers().length === 0);
  expect(a.events.at(-1)).toEqual({ type: 'disconnected', peer: b.overlay.peerId });
  expect(await codeOf(a.overlay.connect(addressOf(b.overlay)))).toBe('NOT_A_MEMBER');
  expect(await codeOf(b.overlay.connect(addressOf(a.overlay)))).toBe('NOT_A_MEMBER');
  expect(await codeOf(ask(b.overlay, a.overlay, new Uint8Array(1)))).toBe('PEER_NOT_CONNECTED');
});

test('eviction fails the requests that wait for the evicted peer', async () => {
  const silent = { ...echo, handle: () => new Promise<undefined>(() => undefined) };
  const { a, b } = await pair({}, { protocols: { [ECHO]: silent } });
  const waiting = codeOf(ask(a.overlay, b.overlay, new Uint8Array(1), 60_000));
  await a.overlay.evict(b.overlay.peerId);
  expect(await waiting).toBe('STREAM_CLOSED');
});

test('a member evicted in the middle of a handshake does not get in', async () => {
  const b = await member(1, {
    verifyEvidence: async (evidence, binding) => {
      await b.overlay.evict(binding.remote);
      return verifyWith(KEY)(evidence, binding);
    },
  });
  const a = await member(0);
  await a.overlay.connect(addressOf(b.overlay)).catch(() => undefined);
  await until(() => b.events.some(({ code }) => code === 'NOT_A_MEMBER'));
  await until(() => a.overlay.peers().length === 0);
  expect(b.overlay.peers()).toEqual([]);
});

test('a message beyond the protocol limit is refused at home and resets the stream abroad', async () => {
  const generous = { ...echo, maxMessageBytes: 256 * 1024 };
  const { a, b } = await pair({ protocols: { [ECHO]: generous } });
  expect(await codeOf(ask(b.overlay, a.overlay, new Uint8Array(64 * 1024 + 1)))).toBe('MESSAGE_TOO_LARGE');
  expect(await codeOf(ask(a.overlay, b.overlay, new Uint8Array(200 * 1024)))).toBe('STREAM_CLOSED');
  await until(() => b.overlay.counters.streamsAborted === 1);
  expect(await ask(a.overlay, b.overlay, fromUtf8('still friends'))).toEqual(fromUtf8('still friends'));
});

test('a protocol that the other side does not serve fails the request', async () => {
  const { a, b } = await pair({ protocols: { '/nemea/unknown/1': echo } });
  const asked = a.overlay.request(b.overlay.peerId, '/nemea/unknown/1', new Uint8Array(), {
    timeoutMs: 5000,
  });
  expect(await codeOf(asked)).toBe('STREAM_CLOSED');
  const send = () => a.overlay.send(b.overlay.peerId, '/nemea/not-configured/1', new Uint8Array());
  expect(send).toThrow('protocol is not configured');
});

test('messages to a peer that is not connected are dropped and counted', async () => {
  const a = await member(0);
  a.overlay.send(await peerIdOfSeed(seedOf(5)), ECHO, new Uint8Array(1));
  expect(a.overlay.counters.sendsDropped).toBe(1);
});

test('a full queue drops the oldest messages and counts them', async () => {
  const got: number[] = [];
  const collect = {
    ...echo,
    handle: async (_peer: string, message: Uint8Array) => {
      got.push(message[0] ?? -1);
      return undefined;
    },
  };
  const { a, b } = await pair({ limits: { queueMessagesMax: 8 } }, { protocols: { [ECHO]: collect } });
  for (let index = 0; index < 20; index++) a.overlay.send(b.overlay.peerId, ECHO, Uint8Array.of(index));
  await until(() => got.length === 8);
  expect(a.overlay.counters.sendsDropped).toBe(12);
  expect(got).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
});

test('members find each other by address and again after the link broke', async () => {
  const limits = { redialFirstMs: 20, dialYieldMs: 50 };
  const a = await member(0, { limits });
  const b = await member(1, { limits });
  const members = [a, b].map(({ overlay }) => ({ peer: overlay.peerId, address: addressOf(overlay) }));
  a.overlay.setMembers(members);
  b.overlay.setMembers(members);
  await until(() => a.overlay.peers().length === 1 && b.overlay.peers().length === 1);
  await a.overlay.evict(b.overlay.peerId);
  await until(() => b.overlay.peers().length === 0);
  a.overlay.readmit(b.overlay.peerId);
  await until(() => a.overlay.peers().length === 1 && b.overlay.peers().length === 1);
  expect(await ask(a.overlay, b.overlay, fromUtf8('again'))).toEqual(fromUtf8('again'));
});

test('a peer has one handshake under way at a time, however often it dials', async () => {
  const { promise: never } = Promise.withResolvers<Uint8Array>();
  const limits = { handshakeTimeoutMs: 1000 };
  const slow = await member(0, { limits, collectEvidence: () => never });
  const twin = await member(0, { limits });
  const b = await member(1, { limits });
  const first = codeOf(slow.overlay.connect(addressOf(b.overlay)));
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await codeOf(twin.overlay.connect(addressOf(b.overlay)))).toBe('HANDSHAKE_BUSY');
  expect(['HANDSHAKE_TIMED_OUT', 'CONNECTION_FAILED']).toContain(await first);
  expect(await codeOf(twin.overlay.connect(addressOf(b.overlay)))).toBe('NO_ERROR');
});

test('a peer that stops reading loses the stream instead of filling memory', async () => {
  const stuck = { ...echo, maxInFlight: 1, handle: () => new Promise<undefined>(() => undefined) };
  const { a, b } = await pair({ limits: { writeTimeoutMs: 200 } }, { protocols: { [ECHO]: stuck } });
  const asked = Array.from({ length: 100 }, () =>
    codeOf(ask(a.overlay, b.overlay, new Uint8Array(64 * 1024), 60_000)),
  );
  expect(new Set(await Promise.all(asked))).toEqual(new Set(['STREAM_CLOSED']));
});

test('two members that dial each other at the same moment still talk', async () => {
  const a = await member(0);
  const b = await member(1);
  await Promise.all([a.overlay.connect(addressOf(b.overlay)), b.overlay.connect(addressOf(a.overlay))]);
  expect(await ask(a.overlay, b.overlay, fromUtf8('a'))).toEqual(fromUtf8('a'));
  expect(await ask(b.overlay, a.overlay, fromUtf8('b'))).toEqual(fromUtf8('b'));
  expect([a.overlay.peers(), b.overlay.peers()]).toEqual([[b.overlay.peerId], [a.overlay.peerId]]);
});

test('an address that is taken is named when the overlay opens', async () => {
  const a = await member(0);
  const listen = addressOf(a.overlay).replace(/\/p2p\/.*/, '');
  expect(await codeOf(member(1, { listen }))).toBe('LISTEN_FAILED');
});

test('a closed overlay refuses work with a code', async () => {
  const { overlay } = await openMember(0);
  await overlay.close();
  await overlay.close();
  expect(await codeOf(overlay.connect(`/ip4/127.0.0.1/tcp/9/p2p/${await peerIdOfSeed(seedOf(1))}`))).toBe(
    'HOST_CLOSED',
  );
});
