import { createConfiguration, type Member, primaryOf } from '@nemea/consensus';
import { CodedError } from '@nemea/core';
import { PUTS_MAX, type Put, parseReply, signBundle } from './bundle.ts';

/** Puts that may wait for their turn. */
const WAITING_MAX = 16_384;

export class ClientError extends CodedError<'CLIENT_FULL' | 'CLIENT_CLOSED'> {}

export interface ClientOptions {
  readonly networkId: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly members: readonly Member[];
  /** What nobody has answered after this long is sent to all replicas. */
  readonly resendMs: number;
  sign(message: Uint8Array): Uint8Array;
  send(replica: string, bundle: Uint8Array): void;
}

/** How a client signs: so many puts together at most, and so many bundles on their way at the same time. */
export interface ClientLimits {
  readonly putsMax: number;
  readonly bundlesMax: number;
}

interface Waiting {
  readonly put: Put;
  resolve(): void;
  reject(error: Error): void;
}

interface Sent {
  readonly bytes: Uint8Array;
  readonly waiting: readonly Waiting[];
  readonly timer: NodeJS.Timeout;
  /** Who says which revision. */
  readonly revisions: Map<string, number>;
}

/**
 * A client process of many users. What they want while bundles are on their way is signed together, given to the
 * primary, and to all when it does not answer. Done is what more than a third of the weight says was executed: one of
 * them is honest. The channel proves who says it.
 */
export class BundleClient {
  limits: ClientLimits = { putsMax: PUTS_MAX, bundlesMax: 4 };
  readonly #options: ClientOptions;
  readonly #configuration: ReturnType<typeof createConfiguration>;
  readonly #waiting: Waiting[] = [];
  readonly #sent = new Map<number, Sent>();
  #number = 0;
  #view = 0;
  #isPlanned = false;
  #isClosed = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#configuration = createConfiguration(options.members);
  }

  /** Who leads, as far as this client knows. */
  get primary(): string {
    return primaryOf(this.#configuration, this.#view);
  }

  /** Resolves once the put is executed and nothing can undo it. */
  put(put: Put): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new ClientError('CLIENT_CLOSED', 'client is closed'));
      if (this.#waiting.length >= WAITING_MAX)
        return reject(new ClientError('CLIENT_FULL', `${WAITING_MAX} puts wait already`));
      this.#waiting.push({ put, resolve, reject });
      this.#plan();
    });
  }

  receive(replica: string, bytes: Uint8Array): void {
    const { number, revision, view } = parseReply(bytes);
    const sent = this.#sent.get(number);
    if (sent === undefined) return;
    sent.revisions.set(replica, revision);
    let weight = 0;
    for (const [id, said] of sent.revisions)
      if (said === revision) weight += this.#configuration.byId.get(id)?.weight ?? 0;
    if (3 * weight <= this.#configuration.weightTotal) return;
    this.#view = view;
    this.#forget(number, sent);
    for (const { resolve } of sent.waiting) resolve();
    this.#plan();
  }

  close(): void {
    this.#isClosed = true;
    const error = new ClientError('CLIENT_CLOSED', 'client is closed');
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    for (const [number, sent] of this.#sent) {
      this.#forget(number, sent);
      for (const { reject } of sent.waiting) reject(error);
    }
  }

  /** After whoever was just answered has said what it wants next. */
  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      while (this.#waiting.length > 0 && this.#sent.size < this.limits.bundlesMax) this.#sendNext();
    });
  }

  #sendNext(): void {
    const { networkId, publicKey, sign, send, resendMs, members } = this.#options;
    const waiting = this.#waiting.splice(0, this.limits.putsMax);
    const number = ++this.#number;
    const puts = waiting.map(({ put }) => put);
    const bytes = signBundle(networkId, { client: publicKey, number, puts }, sign);
    const timer = setInterval(() => {
      for (const { id } of members) send(id, bytes);
    }, resendMs);
    this.#sent.set(number, { bytes, waiting, timer, revisions: new Map() });
    send(this.primary, bytes);
  }

  #forget(number: number, { timer }: Sent): void {
    clearInterval(timer);
    this.#sent.delete(number);
  }
}
