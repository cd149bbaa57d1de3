import { randomBytes } from 'node:crypto';
import type {
  ConnectionEncrypter,
  MessageStream,
  SecureConnectionOptions,
  SecuredConnection,
} from '@libp2p/interface';
import { type NoiseComponents, noise } from '@libp2p/noise';
import { type LengthPrefixedStream, lpStream } from '@libp2p/utils';
import { EVIDENCE_BYTES_MAX } from '@nemea/attestation';
import { CodedError, errorCode } from '@nemea/core';
import {
  type EvidenceBinding,
  type EvidenceVerdict,
  RefusalError,
  RemoteError,
  TransportError,
} from '../../ports/transport.ts';
import { toCode } from './frame.ts';
import {
  CHALLENGE_BYTES,
  encodeHandshakeMessage,
  HANDSHAKE_MESSAGE_BYTES_MAX,
  type HandshakeMessage,
  parseHandshakeMessage,
  SHORT_MESSAGE_BYTES_MAX,
} from './handshake-message.ts';

export const ATTESTED_NOISE = '/nemea/attested-noise/1';
/** How long a refusing side waits for the other to have read the refusal. */
const REFUSAL_LINGER_MS = 1000;

export type Role = 'initiator' | 'responder';

export interface AttestedNoiseOptions {
  readonly networkId: Uint8Array;
  readonly handshakeTimeoutMs: number;
  collectEvidence(binding: EvidenceBinding): Promise<Uint8Array>;
  verifyEvidence(evidence: Uint8Array, binding: EvidenceBinding): Promise<EvidenceVerdict>;
  isAdmitted(peer: string): boolean;
  /** Every handshake that failed after the channel had proved who the peer is. */
  onFailure(peer: string, error: CodedError<string>, role: Role): void;
}

/**
 * A connection encrypter that runs noise and then, inside the encrypted channel, an exchange of evidence. Until both
 * sides accepted, no multiplexer and no protocol exists. The initiator shows evidence first: a stranger cannot make
 * this node quote. Evidence names both PeerIds and a challenge that the verifier drew, so it is of no use elsewhere.
 */
export function attestedNoise(
  options: AttestedNoiseOptions,
): (components: NoiseComponents) => ConnectionEncrypter {
  // One answer at a time for each peer: a member cannot queue up quotes by dialling many times at once.
  const answering = new Set<string>();
  return (components) => {
    const inner = noise({ prologueBytes: options.networkId })(components);
    const self = components.peerId.toString();
    const attest = async (
      secured: SecuredConnection,
      signal: AbortSignal,
      role: Role,
      exchange: (handshake: Handshake) => Promise<void>,
    ): Promise<SecuredConnection> => {
      const remote = secured.remotePeer.toString();
      const link = lpStream(secured.connection, readLimits(options.isAdmitted(remote)));
      await runHandshake(new Handshake({ options, link, self, remote, signal }), exchange, role, options);
      // Unwrapping pushes back what the peer's multiplexer already sent behind the handshake.
      return { ...secured, connection: link.unwrap() };
    };
    return {
      protocol: ATTESTED_NOISE,
      async secureOutbound(connection, secureOptions) {
        const signal = toSignal(secureOptions, options);
        const secured = await inner.secureOutbound(inOnePiece(connection), { ...secureOptions, signal });
        return attest(secured, signal, 'initiator', initiate);
      },
      async secureInbound(connection, secureOptions) {
        const signal = toSignal(secureOptions, options);
        const secured = await inner.secureInbound(inOnePiece(connection), { ...secureOptions, signal });
        const remote = secured.remotePeer.toString();
        return attest(secured, signal, 'responder', async (handshake) => {
          handshake.assertAdmitted();
          if (answering.has(remote))
            throw new RefusalError('HANDSHAKE_BUSY', 'peer has a handshake under way');
          answering.add(remote);
          try {
            await respond(handshake);
          } finally {
            answering.delete(remote);
          }
        });
      },
    };
  };
}

/** A socket makes a write, and often a packet, of each piece: of the length of a message of noise, and of the message. */
function inOnePiece(socket: MessageStream): MessageStream {
  const send = socket.send.bind(socket);
  socket.send = (data) => send(data.subarray());
  return socket;
}

/** As much as a member's multiplexer may send behind the handshake before it is read. */
const MEMBER_BUFFER_BYTES_MAX = 4 << 20;
/** One frame of noise: a stranger's greeting arrives in one, and nothing else of it is ever read. */
const STRANGER_BUFFER_BYTES_MAX = 64 << 10;

/** The peer is proven by now: only a member can make this node hold evidence, a stranger gets its refusal. */
export function readLimits(isMember: boolean): { maxDataLength: number; maxBufferSize: number } {
  return isMember
    ? { maxDataLength: HANDSHAKE_MESSAGE_BYTES_MAX, maxBufferSize: MEMBER_BUFFER_BYTES_MAX }
    : { maxDataLength: SHORT_MESSAGE_BYTES_MAX, maxBufferSize: STRANGER_BUFFER_BYTES_MAX };
}

async function initiate(handshake: Handshake): Promise<void> {
  handshake.assertAdmitted();
  const challenges = await handshake.exchangeChallenges();
  await handshake.showEvidence(challenges.theirs);
  await handshake.judgeEvidence(challenges.ours);
  await handshake.write({ type: 'accept' });
}

async function respond(handshake: Handshake): Promise<void> {
  const challenges = await handshake.exchangeChallenges();
  await handshake.judgeEvidence(challenges.ours);
  await handshake.showEvidence(challenges.theirs);
  await handshake.read('accept');
}

/** Runs the exchange; a refusal of ours is told to the peer, and every failure is reported once. */
async function runHandshake(
  handshake: Handshake,
  exchange: (handshake: Handshake) => Promise<void>,
  role: Role,
  options: AttestedNoiseOptions,
): Promise<void> {
  try {
    await exchange(handshake);
    // Membership may have ended while evidence was collected.
    handshake.assertAdmitted();
  } catch (error) {
    const failure = handshake.toFailure(error);
    if (failure instanceof RefusalError) await handshake.refuse(failure.code);
    options.onFailure(handshake.remote, failure, role);
    throw failure;
  }
}

function toSignal(
  secureOptions: SecureConnectionOptions | undefined,
  options: AttestedNoiseOptions,
): AbortSignal {
  return secureOptions?.signal ?? AbortSignal.timeout(options.handshakeTimeoutMs);
}

class Handshake {
  readonly remote: string;
  readonly #self: string;
  readonly #options: AttestedNoiseOptions;
  readonly #link: LengthPrefixedStream;
  readonly #signal: AbortSignal;

  constructor(init: {
    options: AttestedNoiseOptions;
    link: LengthPrefixedStream;
    self: string;
    remote: string;
    signal: AbortSignal;
  }) {
    this.remote = init.remote;
    this.#self = init.self;
    this.#options = init.options;
    this.#link = init.link;
    this.#signal = init.signal;
  }

  assertAdmitted(): void {
    if (!this.#options.isAdmitted(this.remote)) {
      throw new RefusalError('NOT_A_MEMBER', 'peer is not a member of the network');
    }
  }

  async exchangeChallenges(): Promise<{ ours: Uint8Array; theirs: Uint8Array }> {
    const ours = new Uint8Array(randomBytes(CHALLENGE_BYTES));
    await this.write({ type: 'hello', challenge: ours });
    const { challenge } = await this.read('hello');
    return { ours, theirs: challenge };
  }

  async showEvidence(challenge: Uint8Array): Promise<void> {
    const evidence = await this.#collect({ challenge, self: this.#self, remote: this.remote });
    await this.write({ type: 'evidence', evidence });
  }

  async judgeEvidence(challenge: Uint8Array): Promise<void> {
    const { evidence } = await this.read('evidence');
    const binding = { challenge, self: this.#self, remote: this.remote };
    const verdict = await this.#within(this.#options.verifyEvidence(evidence, binding));
    if (!verdict.ok) throw new RefusalError(toCode(verdict.code), verdict.detail);
  }

  async write(message: HandshakeMessage): Promise<void> {
    await this.#link.write(encodeHandshakeMessage(message), { signal: this.#signal });
  }

  /** The next message, which must be of this type. A refusal by the peer throws `RemoteError`. */
  async read<T extends HandshakeMessage['type']>(type: T): Promise<Extract<HandshakeMessage, { type: T }>> {
    const bytes = await this.#link.read({ signal: this.#signal });
    const message = parseHandshakeMessage(bytes.subarray());
    if (message.type === 'refuse') throw new RemoteError(message.code, `peer refused us: ${message.code}`);
    if (message.type !== type) {
      throw new TransportError(
        'HANDSHAKE_MALFORMED',
        `handshake out of order: got ${message.type}, want ${type}`,
      );
    }
    return message as Extract<HandshakeMessage, { type: T }>;
  }

  /** Tells the peer why, then waits shortly for it to hang up: closing at once could destroy the message. */
  async refuse(code: string): Promise<void> {
    const signal = AbortSignal.timeout(REFUSAL_LINGER_MS);
    try {
      await this.#link.write(encodeHandshakeMessage({ type: 'refuse', code }), { signal });
      // What the peer sent before it read the refusal is skipped.
      for (;;) await this.#link.read({ signal });
    } catch {
      // Hanging up or falling silent are the two expected endings; the caller reports the refusal itself.
      return;
    }
  }

  toFailure(error: unknown): CodedError<string> {
    if (error instanceof CodedError) return error;
    if (this.#signal.aborted) {
      return new TransportError('HANDSHAKE_TIMED_OUT', 'handshake took too long', { cause: error });
    }
    return new TransportError('CONNECTION_FAILED', 'connection broke during the handshake', { cause: error });
  }

  async #collect(binding: EvidenceBinding): Promise<Uint8Array> {
    let evidence: Uint8Array;
    try {
      evidence = await this.#within(this.#options.collectEvidence(binding));
    } catch (cause) {
      if (this.#signal.aborted) throw cause;
      const data = { reason: errorCode(cause) };
      throw new RefusalError('EVIDENCE_UNAVAILABLE', 'own evidence could not be collected', { cause, data });
    }
    if (evidence.length > EVIDENCE_BYTES_MAX) {
      const detail = `own evidence too large: got ${evidence.length}, want at most ${EVIDENCE_BYTES_MAX}`;
      throw new RefusalError('EVIDENCE_UNAVAILABLE', detail);
    }
    return evidence;
  }

  async #within<T>(work: Promise<T>): Promise<T> {
    const { promise: expired, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => {
      reject(new TransportError('HANDSHAKE_TIMED_OUT', 'evidence took longer than the handshake may'));
    };
    if (this.#signal.aborted) onAbort();
    this.#signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([work, expired]);
    } finally {
      this.#signal.removeEventListener('abort', onAbort);
    }
  }
}
