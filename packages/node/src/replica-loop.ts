import {
  authenticate,
  createReplica,
  DECISIONS_MAX,
  type Decision,
  drive,
  encodeDecision,
  encodeMessage,
  encodeRecord,
  type Input,
  isRedundant,
  type JournalRecord,
  type Outbound,
  parseDecision,
  parseMessage,
  parseRecord,
  primaryOf,
  restoreReplica,
  type Settings,
  type SigningReplica,
  settle,
  type TimerId,
} from '@nemea/consensus';
import { bytesEqual, CodedError, decodeCbor, encodeCbor, errorCode, sha256, toHex } from '@nemea/core';
import {
  applyOperation,
  authenticateOperation,
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
import { Rate } from './peers/rate.ts';
import { type Clock, sleep, type Timer } from './ports/clock.ts';
import type { Journal } from './ports/journal.ts';
import { decisionsRequestCodec } from './protocol.ts';

/** Inputs that may wait; beyond it new messages are dropped, as a network would. */
const QUEUE_MAX = 8_192;
/** Messages that wait for a block that this node has not seen, and for how long. */
const PARKED_MAX = 1_024;
const PARKED_TIMEOUT_MS = 5_000;
const BLOCK_WAIT_MS = 100;
const ANSWER_BYTES_MAX = 4 << 20;
/** Operations that one peer may bring first, on average; an honest member makes a few in an epoch. */
const NEW_REQUESTS_PER_SECOND = 64;
const RATES_MAX = 256;
/** Operations remembered as seen. Forgetting one costs a second look. */
const SEEN_MAX = 4_096;

export class LoopError extends CodedError<'LOOP_ANCHOR_UNKNOWN' | 'LOOP_NOT_STARTED' | 'LOOP_STOPPED'> {}

/** How the loop reaches other replicas; accounts are replica ids. */
export interface ReplicaTransport {
  /** Best effort to one replica, or to all others. */
  transmit(to: string | null, message: Uint8Array): void;
  forward(operation: Uint8Array): void;
  fetch(from: string, request: Uint8Array): Promise<Uint8Array>;
}

export interface ReplicaLoopOptions {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly logger: Logger;
  readonly transport: ReplicaTransport;
  readonly settings?: Partial<Settings>;
  sign(message: Uint8Array): Uint8Array;
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Keys of everybody who is, was or is about to be a member. */
  publicKeyOf(account: string): Uint8Array | undefined;
  onEffect(effect: Effect): void;
  /** Journal or machine failed: this replica will not speak any more. */
  onStopped(error: LoopError): void;
}

/**
 * The rim around consensus and membership: takes an input, steps the machines, performs the effects in order. The one
 * place where ordered operations meet layer-1 facts; what is written ahead is on disk before anything is said.
 */
export class ReplicaLoop {
  readonly #options: ReplicaLoopOptions;
  readonly #replica: SigningReplica;
  #state: MembershipState;
  #executedSequence = 0;
  #membersLast: ReturnType<typeof replicasOf> | null = null;
  readonly #queue: Input[] = [];
  #isRunning = false;
  #isClosed = false;
  readonly #seen = new Set<string>();
  readonly #rates = new Map<string, Rate>();
  readonly #timers = new Map<TimerId, Timer>();
  readonly #parked: {
    readonly operations: readonly SignedOperation[];
    readonly deadlineMs: number;
    run(): void;
  }[] = [];

  private constructor(options: ReplicaLoopOptions, replica: SigningReplica, state: MembershipState) {
    this.#options = options;
    this.#replica = replica;
    this.#state = state;
  }

  /** Rebuilds state from the journal, or starts at genesis. Layer 1 must be synchronised and genesis complete. */
  static async start(options: ReplicaLoopOptions): Promise<ReplicaLoop> {
    const { ledger, journal } = options;
    const state = initialState(ledger.networkId, ledger.history);
    const replicaOptions = {
      id: ledger.account,
      networkId: ledger.networkId,
      members: replicasOf(state.roster),
      verify: options.verifySignature,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    };
    const records = journal.read('replica').map(parseRecord);
    const started =
      records.length === 0 ? createReplica(replicaOptions) : restoreReplica(replicaOptions, records);
    const replica: SigningReplica = { state: started.state, sign: options.sign };
    const loop = new ReplicaLoop(options, replica, state);
    for (const bytes of journal.read('decision')) await loop.#execute(parseDecision(bytes), true);
    loop.#perform(settle(replica, started.effects));
    return loop;
  }

  get state(): MembershipState {
    return this.#state;
  }

  /** Highest sequence that this node has executed. */
  get sequence(): number {
    return this.#executedSequence;
  }

  get view(): number {
    return this.#replica.state.view;
  }

  /** Account of the member that leads the current view. */
  get primary(): string {
    const { configuration, view } = this.#replica.state;
    return primaryOf(configuration, view);
  }

  /** Whether this replica has executed all that it knows to be decided. */
  get isCaughtUp(): boolean {
    const claims = [...this.#replica.state.claims.values()];
    return this.#executedSequence >= Math.max(0, ...claims);
  }

  /** Signs an operation as of the newest block and gives it to every replica, this one first. */
  propose(body: OperationBody): void {
    const { ledger, transport } = this.#options;
    const { head } = ledger.history;
    const hash = ledger.history.blockHash(head);
    if (hash === undefined) throw new LoopError('LOOP_ANCHOR_UNKNOWN', 'layer 1 was not read yet');
    const operation = encodeOperation({ author: ledger.account, anchor: { block: head, hash }, body });
    const signature = this.#options.sign(operationDigest(ledger.networkId, operation));
    const signed = encodeSignedOperation(operation, signature);
    this.#enqueue({ type: 'request', operation: signed });
    transport.forward(signed);
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
    if (!this.#isAuthentic(signed)) return;
    this.#whenAnchored([signed], () => {
      this.#seen.add(digest);
      if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.values().next().value as string);
      this.#enqueue({ type: 'request', operation: bytes });
    });
  }

  /** A replica spoke. A proposal is looked at only once every block it builds on has been seen here, too. */
  receiveMessage(bytes: Uint8Array): void {
    const { ledger, publicKeyOf, verifySignature } = this.#options;
    const message = parseMessage(bytes);
    if (isRedundant(this.#replica.state, message)) return;
    const statement = authenticate({
      networkId: ledger.networkId,
      message,
      publicKeyOf,
      verify: verifySignature,
    });
    const operations = message.batch.map((operation) => parseSignedOperation(operation));
    this.#whenAnchored(operations, () => this.#enqueue({ type: 'message', statement }));
  }

  /** Answers a replica that lags behind. */
  decisionsFrom(request: Uint8Array): Uint8Array {
    const { from } = decisionsRequestCodec.parse(request);
    const answer: Uint8Array[] = [];
    let bytes = 0;
    const first = Math.max(0, from - 1);
    for (const decision of this.#options.journal.readRange('decision', first, DECISIONS_MAX)) {
      bytes += decision.length;
      if (bytes > ANSWER_BYTES_MAX) break;
      answer.push(decision);
    }
    return encodeCbor(answer);
  }

  /** Layer 1 moved on: what waited for a block may go ahead. */
  onBlock(): void {
    const now = this.#options.clock.elapsedMs();
    for (const waiting of this.#parked.splice(0)) {
      if (this.#isAnchored(waiting.operations)) waiting.run();
      else if (now < waiting.deadlineMs) this.#parked.push(waiting);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#queue.length = 0;
  }

  #isAuthentic(signed: SignedOperation): boolean {
    const key = this.#state.roster.get(signed.operation.author)?.peerKey;
    if (key === undefined) return false;
    try {
      authenticateOperation(this.#options.ledger.networkId, signed, key, this.#options.verifySignature);
      return true;
    } catch (error) {
      this.#options.logger.warn(
        { author: signed.operation.author, code: errorCode(error) },
        'request refused',
      );
      return false;
    }
  }

  #whenAnchored(operations: readonly SignedOperation[], run: () => void): void {
    if (this.#isAnchored(operations)) {
      run();
      return;
    }
    if (this.#parked.length >= PARKED_MAX) this.#parked.shift();
    this.#parked.push({ operations, deadlineMs: this.#options.clock.elapsedMs() + PARKED_TIMEOUT_MS, run });
  }

  #isAnchored(operations: readonly SignedOperation[]): boolean {
    const { history } = this.#options.ledger;
    return operations.every(({ operation }) => {
      const hash = history.blockHash(operation.anchor.block);
      return hash !== undefined && bytesEqual(hash, operation.anchor.hash);
    });
  }

  #enqueue(input: Input): void {
    if (this.#isClosed) return;
    // Only what a network may lose is dropped: the machine counts on its own timers and answers.
    const isDroppable = input.type === 'message' || input.type === 'request';
    if (this.#queue.length >= QUEUE_MAX && isDroppable) return;
    this.#queue.push(input);
    if (!this.#isRunning) this.#run();
  }

  #run(): void {
    this.#isRunning = true;
    try {
      for (
        let input = this.#queue.shift();
        input !== undefined && !this.#isClosed;
        input = this.#queue.shift()
      ) {
        this.#perform(drive(this.#replica, input));
      }
    } catch (error) {
      // Journal or machine failed: a replica that cannot write ahead must not speak.
      this.#stop(error);
    } finally {
      this.#isRunning = false;
    }
  }

  /** Effects in order; records that follow each other go to disk as one. */
  #perform(effects: readonly Outbound[]): void {
    let records: JournalRecord[] = [];
    for (const effect of effects) {
      if (effect.type === 'persist') {
        records.push(effect.record);
        continue;
      }
      this.#persist(records);
      records = [];
      this.#performOne(effect);
    }
    this.#persist(records);
  }

  #persist(records: readonly JournalRecord[]): void {
    if (records.length === 0) return;
    const { journal } = this.#options;
    journal.append('replica', records.map(encodeRecord));
    const base = records.findLastIndex((record) => record.type === 'base');
    if (base !== -1) journal.trim('replica', records.length - base);
  }

  #performOne(effect: Exclude<Outbound, { type: 'persist' }>): void {
    const { transport, logger } = this.#options;
    switch (effect.type) {
      case 'transmit':
        transport.transmit(effect.to, encodeMessage(effect.message));
        return;
      case 'forward':
        transport.forward(effect.operation);
        return;
      case 'commit':
        // Voting goes on meanwhile; the machine asks for the next decision only after this one.
        void this.#executeNext(effect.decision);
        return;
      case 'startTimer':
        this.#startTimer(effect.id, effect.timeoutMs);
        return;
      case 'stopTimer':
        this.#timers.get(effect.id)?.cancel();
        this.#timers.delete(effect.id);
        return;
      case 'fetch':
        void this.#fetch(effect.from, effect.sequence);
        return;
      case 'penalize':
        logger.error({ member: effect.id }, 'a member contradicted itself: proof of equivocation held');
        return;
      case 'refuse':
        // It may come again once there is room.
        if (effect.reason === 'pending-full') this.#seen.delete(toHex(sha256(effect.operation)));
        logger.debug({ reason: effect.reason }, 'operation not taken');
        return;
      case 'checkpoint':
      case 'install':
        // Every decision is kept and handed out, so nobody needs a transfer.
        return;
    }
  }

  async #executeNext(decision: Decision): Promise<void> {
    const { sequence } = decision;
    try {
      const members = await this.#execute(decision, false);
      this.#enqueue({ type: 'executed', sequence, members });
    } catch (error) {
      this.#stop(error);
    }
  }

  #stop(cause: unknown): void {
    if (this.#isClosed) return;
    const code = errorCode(cause);
    this.#options.logger.fatal({ code, err: cause }, 'consensus stopped');
    this.close();
    this.#options.onStopped(new LoopError('LOOP_STOPPED', `consensus stopped: ${code}`, { cause }));
  }

  #startTimer(id: TimerId, timeoutMs: number): void {
    this.#timers.get(id)?.cancel();
    this.#timers.set(
      id,
      this.#options.clock.after(timeoutMs, () => this.#enqueue({ type: 'timeout', id })),
    );
  }

  async #fetch(from: string, sequence: number): Promise<void> {
    try {
      const answer = decodeCbor(
        await this.#options.transport.fetch(from, decisionsRequestCodec.encode({ from: sequence })),
      );
      if (!Array.isArray(answer)) throw new LoopError('LOOP_NOT_STARTED', 'answer is no list of decisions');
      const decisions = answer.map((bytes) => parseDecision(bytes as Uint8Array));
      this.#enqueue({ type: 'decisions', decisions });
    } catch (error) {
      this.#options.logger.info({ from, sequence, code: errorCode(error) }, 'decisions not fetched');
    }
  }

  /** Applies a decision to the shared state; returns the replicas from the next sequence on if they changed. */
  async #execute(decision: Decision, isReplay: boolean): Promise<ReturnType<typeof replicasOf> | null> {
    if (decision.sequence <= this.#executedSequence) return this.#membersLast;
    if (!isReplay) this.#options.journal.append('decision', [encodeDecision(decision)]);
    const before = replicasOf(this.#state.roster);
    const effects: Effect[] = [];
    for (const bytes of decision.batch) effects.push(...(await this.#apply(bytes)));
    this.#executedSequence = decision.sequence;
    const after = replicasOf(this.#state.roster);
    this.#membersLast = sameReplicas(before, after) ? null : after;
    for (const effect of effects) if (!isReplay || isToldAgain(effect)) this.#tell(effect);
    return this.#membersLast;
  }

  /** Effects only tell: what goes wrong in telling is no reason to stop ordering. */
  #tell(effect: Effect): void {
    try {
      this.#options.onEffect(effect);
    } catch (error) {
      this.#options.logger.error({ effect: effect.type, code: errorCode(error) }, 'effect not carried out');
    }
  }

  async #apply(bytes: Uint8Array): Promise<readonly Effect[]> {
    let signed: SignedOperation;
    try {
      signed = parseSignedOperation(bytes);
    } catch {
      // Every replica finds the same bytes unreadable and passes over them.
      return [];
    }
    await this.#waitForBlock(signed.operation.anchor.block);
    if (!this.#isAnchored([signed]) || !this.#isAuthentic(signed)) return [];
    const key = this.#state.roster.get(signed.operation.author)?.peerKey as Uint8Array;
    const { ledger, verifySignature } = this.#options;
    const operation = authenticateOperation(ledger.networkId, signed, key, verifySignature);
    const { state, effects } = applyOperation(this.#state, operation, ledger.history, verifySignature);
    this.#state = state;
    return effects;
  }

  /** A quorum has seen the block, so it exists; this node only has to read it, however long its RPC takes. */
  async #waitForBlock(block: number): Promise<void> {
    const { ledger, logger } = this.#options;
    while (ledger.history.head < block && !this.#isClosed) {
      try {
        await ledger.sync();
      } catch (error) {
        logger.warn({ code: errorCode(error) }, 'layer 1 does not answer, execution waits');
      }
      if (ledger.history.head < block) await sleep(this.#options.clock, BLOCK_WAIT_MS);
    }
  }
}

/** What a restarted node needs again: what it knows of the others, and votes that layer 1 may lack still. */
function isToldAgain({ type }: Effect): boolean {
  return type === 'evicted' || type === 'candidacy-closed' || type === 'epoch-closed' || type === 'vote';
}

function sameReplicas(a: ReturnType<typeof replicasOf>, b: ReturnType<typeof replicasOf>): boolean {
  return (
    a.length === b.length &&
    a.every((replica, i) => {
      const other = b[i];
      return (
        other !== undefined &&
        replica.id === other.id &&
        replica.weight === other.weight &&
        bytesEqual(replica.publicKey, other.publicKey)
      );
    })
  );
}
