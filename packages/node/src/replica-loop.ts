import { type EquivocationProof, parseMessage, primaryOf, type Settings } from '@nemea/consensus';
import { sha256, toHex } from '@nemea/core';
import {
  type Effect,
  encodeOperation,
  encodeSignedOperation,
  initialState,
  type MembershipState,
  type OperationBody,
  operationDigest,
  parseSignedOperation,
  replicasOf,
  type SignedOperation,
} from '@nemea/membership';
import type { Ledger } from '@nemea/sdk';
import type { Logger } from 'pino';
import { MembershipApplication } from './membership-application.ts';
import { Parked, type ParkedItem } from './parked.ts';
import { Rate } from './peers/rate.ts';
import type { Clock } from './ports/clock.ts';
import type { Journal } from './ports/journal.ts';
import type { Place } from './reads.ts';
import { LoopError, ReplicaRim, type ReplicaTransport, WAITING_BYTES_MAX } from './replica-rim.ts';

/**
 * Messages of one peer that wait for a block that this node has not seen, and for how long. Beyond it, or beyond
 * `WAITING_BYTES_MAX` of them, its oldest goes.
 */
const PARKED_MAX = 128;
const PARKED_TIMEOUT_MS = 5_000;
/** Operations that one peer may bring first, on average; an honest member makes a few in an epoch. */
const NEW_REQUESTS_PER_SECOND = 64;
const RATES_MAX = 256;
/** Operations remembered as seen. Forgetting one costs a second look. */
const SEEN_MAX = 4_096;

export interface ReplicaLoopOptions {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly logger: Logger;
  /** Accounts are replica ids. */
  readonly transport: ReplicaTransport;
  readonly settings?: Partial<Settings>;
  sign(message: Uint8Array): Uint8Array;
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Keys of everybody who is, was or is about to be a member. */
  publicKeyOf(account: string): Uint8Array | undefined;
  onEffect(effect: Effect): void;
  /** Journal or machine failed: this replica will not speak any more. */
  onStopped(error: LoopError): void;
  /** Consensus holds a proof that a member contradicted itself. */
  onEquivocation(culprit: string, proof: EquivocationProof): void;
  /**
   * Whether this account was a member before this process began. Without a journal it has then lost it, and has to come
   * back by a token [CONS-25].
   */
  readonly isReturning: boolean;
  random(byteLength: number): Uint8Array;
}

/** What builds on a block of layer 1 that is not here yet. */
interface Unanchored extends ParkedItem {
  readonly operations: readonly SignedOperation[];
  readonly deadlineMs: number;
  run(): void;
}

/** The door to the order of a node's operations: only what is authentic and builds on a block seen here comes in. */
export class ReplicaLoop {
  readonly #options: ReplicaLoopOptions;
  readonly #application: MembershipApplication;
  readonly #rim: ReplicaRim<MembershipState>;
  /** The operation by which a member without memory comes back. */
  readonly #token: Uint8Array | undefined;
  readonly #seen: Set<string>;
  readonly #rates = new Map<string, Rate>();
  readonly #parked = new Parked<Unanchored>({ itemsMax: PARKED_MAX, bytesMax: WAITING_BYTES_MAX });

  private constructor(
    options: ReplicaLoopOptions,
    parts: {
      application: MembershipApplication;
      rim: ReplicaRim<MembershipState>;
      token: Uint8Array | undefined;
      seen: Set<string>;
    },
  ) {
    this.#options = options;
    this.#application = parts.application;
    this.#rim = parts.rim;
    this.#token = parts.token;
    this.#seen = parts.seen;
  }

  /** Goes on from the journal, or starts at genesis. Layer 1 must be synchronised and genesis complete. */
  static async start(options: ReplicaLoopOptions): Promise<ReplicaLoop> {
    const { ledger, journal } = options;
    const genesis = initialState(ledger.networkId, ledger.history);
    const token = rejoinToken(options, journal.readRange('replica', 0, 1).length > 0);
    const seen = new Set<string>();
    // It may come again once there is room.
    const onRefused = (operation: Uint8Array) => void seen.delete(toHex(sha256(operation)));
    const application = new MembershipApplication({ ...options, onRefused }, genesis);
    const rim = await ReplicaRim.start({
      ...options,
      id: ledger.account,
      networkId: ledger.networkId,
      members: replicasOf(genesis.roster),
      application,
      ...(token === undefined ? {} : { rejoinToken: token }),
    });
    const loop = new ReplicaLoop(options, { application, rim, token, seen });
    loop.#comeBack();
    return loop;
  }

  get state(): MembershipState {
    return this.#application.state;
  }

  /** Highest sequence that this node has executed. */
  get sequence(): number {
    return this.#rim.sequence;
  }

  /** Who votes, as far as this node has executed, and whether this one does. */
  get place(): Place {
    const { configuration } = this.#rim.replica;
    return { configuration, sequence: this.sequence, isFollowing: this.isFollowing };
  }

  /** Puts what is executed on disk. */
  settle(): void {
    this.#options.journal.settle();
  }

  get view(): number {
    return this.#rim.replica.view;
  }

  /** Account of the member that leads the current view. */
  get primary(): string {
    const { configuration, view } = this.#rim.replica;
    return primaryOf(configuration, view);
  }

  /** Whether this member only follows, because it has lost its journal and no epoch has begun since [CONS-25]. */
  get isFollowing(): boolean {
    return this.#rim.replica.muted !== null;
  }

  /**
   * Whether this replica has executed all that it knows to be decided. One that has lost its journal knows nothing at
   * first: it is level with the others once its own token has come back to it.
   */
  get isCaughtUp(): boolean {
    const { claims, muted } = this.#rim.replica;
    if (muted !== null && muted !== 'until-epoch') return false;
    return this.sequence >= Math.max(0, ...claims.values());
  }

  /** Signs an operation as of the newest block and gives it to every replica, this one first. */
  propose(body: OperationBody): void {
    this.#request(signOperation(this.#options, body));
  }

  /** A member passed on an operation: only an authentic one may wait for its turn. */
  receiveRequest(peer: string, bytes: Uint8Array): void {
    // Every member passes every operation on: most arrive many times, and are looked at once.
    const digest = toHex(sha256(bytes));
    if (this.#seen.has(digest)) return;
    // What is new is charged to who brings it, so that nobody can fill the order by flooding or by old operations.
    const rate = this.#rates.get(peer) ?? new Rate(NEW_REQUESTS_PER_SECOND, this.#options.clock.elapsedMs());
    this.#rates.set(peer, rate);
    if (this.#rates.size > RATES_MAX) this.#rates.delete(this.#rates.keys().next().value as string);
    if (rate.take(this.#options.clock.elapsedMs()) > 0) return;
    const signed = parseSignedOperation(bytes);
    if (!this.#application.isAuthentic(signed)) return;
    const run = () => {
      // What found no room is looked at again when another member passes it on.
      if (!this.#rim.take({ type: 'request', operation: bytes })) return;
      this.#seen.add(digest);
      if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.values().next().value as string);
    };
    this.#whenAnchored({ peer, bytes: bytes.length, operations: [signed], run });
  }

  /** A member brought what a replica said. A proposal is looked at only once every block it builds on has been seen here, too. */
  receiveMessage(peer: string, bytes: Uint8Array): void {
    const message = parseMessage(bytes);
    const operations = message.batch.map((operation) => parseSignedOperation(operation));
    this.#whenAnchored({ peer, bytes: bytes.length, operations, run: () => this.#rim.hear(message, peer) });
  }

  /** Answers a replica that lags behind. */
  decisionsFrom(request: Uint8Array): Uint8Array {
    return this.#rim.decisionsFrom(request);
  }

  /** Layer 1 moved on: what waited for a block may go ahead. */
  onBlock(): void {
    this.#comeBack();
    const now = this.#options.clock.elapsedMs();
    for (const waiting of this.#parked.takeAll()) {
      if (this.#application.isAnchored(waiting.operations)) waiting.run();
      else if (now < waiting.deadlineMs) this.#parked.add(waiting);
    }
  }

  close(): void {
    this.#application.close();
    this.#rim.close();
  }

  #request(operation: Uint8Array): void {
    this.#rim.take({ type: 'request', operation });
    this.#options.transport.forward(operation);
  }

  #whenAnchored(waiting: Omit<Unanchored, 'deadlineMs'>): void {
    if (this.#application.isAnchored(waiting.operations)) waiting.run();
    else this.#parked.add({ ...waiting, deadlineMs: this.#options.clock.elapsedMs() + PARKED_TIMEOUT_MS });
  }

  /** Asks for its token to be ordered, again and again: while it is not, this member only follows [CONS-25]. */
  #comeBack(): void {
    const { muted } = this.#rim.replica;
    if (this.#token === undefined || muted === null || muted === 'until-epoch') return;
    this.#request(this.#token);
  }
}

/** Signed once and kept: after a second crash it must still be known that there was a first one. */
function rejoinToken(options: ReplicaLoopOptions, hasJournal: boolean): Uint8Array | undefined {
  const { journal, isReturning, random } = options;
  const [kept] = journal.read('rejoin');
  if (kept !== undefined || hasJournal || !isReturning) return kept;
  const token = signOperation(options, { kind: 'rejoin', nonce: random(32) });
  journal.append('rejoin', [token]);
  return token;
}

/** An operation as of the newest block that this node has seen. */
function signOperation(
  { ledger, sign }: Pick<ReplicaLoopOptions, 'ledger' | 'sign'>,
  body: OperationBody,
): Uint8Array {
  const { head } = ledger.history;
  const hash = ledger.history.blockHash(head);
  if (hash === undefined) throw new LoopError('LOOP_ANCHOR_UNKNOWN', 'layer 1 was not read yet');
  const operation = encodeOperation({ author: ledger.account, anchor: { block: head, hash }, body });
  return encodeSignedOperation(operation, sign(operationDigest(ledger.networkId, operation)));
}
