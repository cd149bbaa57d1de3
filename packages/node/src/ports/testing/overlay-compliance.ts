import { assert, CodedError } from '@nemea/core';
import type { Overlay, OverlayOptions, Protocol } from '../transport.ts';
import type { ComplianceCase } from './journal-compliance.ts';

const ECHO = '/nemea/echo/1';
const BYTES_MAX = 1_024;

/** Where an overlay is opened, and how time passes there. */
export interface OverlayGround {
  /** Opens the overlay of member `index`, which listens and has an identity of its own. */
  open(index: number, options: Omit<OverlayOptions, 'privateKey' | 'listen' | 'networkId'>): Promise<Overlay>;
  /** Lets time pass until the work is done. */
  drive<T>(work: Promise<T>): Promise<T>;
  /** Lets time pass until something holds; at most as long as a test takes. */
  until(holds: () => boolean): Promise<void>;
}

type Options = Parameters<OverlayGround['open']>[1];

const echo: Protocol = {
  maxMessageBytes: BYTES_MAX,
  maxInFlight: 8,
  handle: async (_peer, message) => message,
};

/** Evidence that names its prover, its challenge and its verifier; what a TPM would sign. */
const honest: Pick<Options, 'collectEvidence' | 'verifyEvidence'> = {
  collectEvidence: async ({ challenge, self, remote }) => evidenceOf(challenge, self, remote),
  verifyEvidence: async (evidence, { challenge, self, remote }) =>
    Buffer.from(evidence).equals(evidenceOf(challenge, remote, self))
      ? { ok: true }
      : { ok: false, code: 'EVIDENCE_WRONG', detail: 'evidence of another handshake' },
};

function evidenceOf(challenge: Uint8Array, prover: string, verifier: string): Buffer {
  return Buffer.concat([challenge, Buffer.from(`${prover} to ${verifier}`)]);
}

/** The suite for an overlay. Each case has a ground of its own. */
export function overlayCompliance(prepare: () => Promise<OverlayGround>): ComplianceCase[] {
  const member = (protocols: Options['protocols'], change: Partial<Options> = {}): Options => ({
    ...honest,
    isMember: () => true,
    protocols,
    ...change,
  });

  async function pair(ground: OverlayGround, left: Options, right: Options) {
    const a = await ground.open(0, left);
    const b = await ground.open(1, right);
    await ground.drive(a.connect(b.addresses[0] as string));
    await ground.until(() => b.peers().includes(a.peerId));
    return { a, b };
  }

  async function codeOf(ground: OverlayGround, work: Promise<unknown>): Promise<string> {
    try {
      await ground.drive(work);
      return 'OK';
    } catch (error) {
      return error instanceof CodedError ? error.code : String(error);
    }
  }

  const ask = (from: Overlay, to: Overlay, message: Uint8Array, protocol = ECHO) =>
    from.request(to.peerId, protocol, message, { timeoutMs: 2_000 });

  const expectCode = (got: string, want: string): void => assert(got === want, `got ${got}, want ${want}`);

  return [
    {
      title: 'connects two members that accept each other’s evidence, and answers in both directions',
      async run() {
        const ground = await prepare();
        const { a, b } = await pair(ground, member({ [ECHO]: echo }), member({ [ECHO]: echo }));
        assert((await ground.drive(ask(a, b, Uint8Array.of(1))))[0] === 1, 'b answers a');
        assert((await ground.drive(ask(b, a, Uint8Array.of(2))))[0] === 2, 'a answers b');
      },
    },
    {
      title: 'hands the PeerId of the other side to a handler',
      async run() {
        const ground = await prepare();
        const seen: string[] = [];
        const tell: Protocol = {
          ...echo,
          handle: async (peer, message) => {
            seen.push(peer);
            return message;
          },
        };
        const { a, b } = await pair(ground, member({ [ECHO]: echo }), member({ [ECHO]: tell }));
        await ground.drive(ask(a, b, Uint8Array.of(1)));
        assert(seen.length === 1 && seen[0] === a.peerId, `got ${seen.join()}`);
      },
    },
    {
      title: 'delivers plain messages once and in order',
      async run() {
        const ground = await prepare();
        const got: number[] = [];
        const collect: Protocol = {
          ...echo,
          handle: async (_peer, message) => {
            got.push(message[0] ?? -1);
            return undefined;
          },
        };
        const { a, b } = await pair(ground, member({ [ECHO]: echo }), member({ [ECHO]: collect }));
        for (let value = 0; value < 20; value++) a.send(b.peerId, ECHO, Uint8Array.of(value));
        await ground.until(() => got.length >= 20);
        assert(got.join() === Array.from({ length: 20 }, (_, value) => value).join(), `got ${got.join()}`);
      },
    },
    {
      title: 'tells who asks the code of a handler that failed, and nothing else',
      async run() {
        const ground = await prepare();
        const failing: Protocol = {
          ...echo,
          handle: () => Promise.reject(new CodedError('HANDLER_REFUSED', 'secret detail')),
        };
        const { a, b } = await pair(ground, member({ [ECHO]: echo }), member({ [ECHO]: failing }));
        expectCode(await codeOf(ground, ask(a, b, Uint8Array.of(1))), 'HANDLER_REFUSED');
      },
    },
    {
      title: 'gives up a request that is not answered in time',
      async run() {
        const ground = await prepare();
        const mute: Protocol = { ...echo, handle: () => new Promise(() => undefined) };
        const { a, b } = await pair(ground, member({ [ECHO]: echo }), member({ [ECHO]: mute }));
        const work = a.request(b.peerId, ECHO, Uint8Array.of(1), { timeoutMs: 300 });
        expectCode(await codeOf(ground, work), 'REQUEST_TIMED_OUT');
      },
    },
    {
      title: 'sends nothing to a peer that is not connected, and counts what it dropped',
      async run() {
        const ground = await prepare();
        const a = await ground.open(0, member({ [ECHO]: echo }));
        const b = await ground.open(1, member({ [ECHO]: echo }));
        a.send(b.peerId, ECHO, Uint8Array.of(1));
        assert(a.counters.sendsDropped === 1, `dropped: got ${a.counters.sendsDropped}, want 1`);
        expectCode(await codeOf(ground, ask(a, b, Uint8Array.of(1))), 'PEER_NOT_CONNECTED');
      },
    },
    {
      title: 'refuses whose evidence is of another handshake',
      async run() {
        const ground = await prepare();
        const stale = member({ [ECHO]: echo }, { collectEvidence: async () => new Uint8Array(8) });
        const a = await ground.open(0, member({ [ECHO]: echo }));
        const b = await ground.open(1, stale);
        expectCode(await codeOf(ground, a.connect(b.addresses[0] as string)), 'EVIDENCE_WRONG');
        assert(a.peers().length === 0, 'nobody is connected');
      },
    },
    {
      title: 'reaches members by itself, and nobody who is none',
      async run() {
        const ground = await prepare();
        let strangers: readonly string[] = [];
        const a = await ground.open(
          0,
          member({ [ECHO]: echo }, { isMember: (peer) => !strangers.includes(peer) }),
        );
        const b = await ground.open(1, member({ [ECHO]: echo }));
        const c = await ground.open(2, member({ [ECHO]: echo }));
        strangers = [c.peerId];
        a.setMembers(
          [b, c].map(({ peerId, addresses }) => ({ peer: peerId, address: addresses[0] as string })),
        );
        b.setMembers([{ peer: a.peerId, address: a.addresses[0] as string }]);
        await ground.until(() => a.peers().includes(b.peerId) && b.peers().includes(a.peerId));
        assert(!a.peers().includes(c.peerId), 'a stranger is not reached');
        expectCode(await codeOf(ground, a.connect(c.addresses[0] as string)), 'NOT_A_MEMBER');
      },
    },
    {
      title: 'cuts whom it evicts at once, and takes it back when it is readmitted',
      async run() {
        const ground = await prepare();
        const { a, b } = await pair(ground, member({ [ECHO]: echo }), member({ [ECHO]: echo }));
        await ground.drive(a.evict(b.peerId));
        assert(!a.peers().includes(b.peerId), 'the connection is cut');
        await ground.until(() => !b.peers().includes(a.peerId));
        assert(
          (await codeOf(ground, b.connect(a.addresses[0] as string))) !== 'OK',
          'it is not let in again',
        );
        a.readmit(b.peerId);
        await ground.drive(a.connect(b.addresses[0] as string));
        assert((await ground.drive(ask(a, b, Uint8Array.of(3))))[0] === 3, 'it is a peer again');
      },
    },
    {
      title: 'knows no protocol that it was not opened with',
      async run() {
        const ground = await prepare();
        const { a, b } = await pair(ground, member({ [ECHO]: echo }), member({ [ECHO]: echo }));
        const work = (async () => ask(a, b, Uint8Array.of(1), '/nemea/other/1'))();
        expectCode(await codeOf(ground, work), 'PROTOCOL_UNKNOWN');
      },
    },
    {
      title: 'loses its connections when it is closed',
      async run() {
        const ground = await prepare();
        const { a, b } = await pair(ground, member({ [ECHO]: echo }), member({ [ECHO]: echo }));
        await ground.drive(b.close());
        await ground.until(() => a.peers().length === 0);
      },
    },
  ];
}
