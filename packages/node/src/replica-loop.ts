import {
  authenticate,
  createReplica,
  type Decision,
  drive,
  encodeMessage,
  encodeRecord,
  type Input,
  isRedundant,
  type JournalRecord,
  type Outbound,
  parseDecision,
  parseHeader,
  parseMessage,
  parseRecord,
  primaryOf,
  restoreReplica,
  type Settings,
  type SigningReplica,
  settle,
  type TimerId,
} from '@nemea/consensus';
import { assert, bytesEqual, CodedError, errorCode, sha256, toHex } from '@nemea/core';
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
import { OrderLog } from './order-log.ts';
import { Rate } from './peers/rate.ts';
import { type Clock, sleep, type Timer } from './ports/clock.ts';
import type { Journal } from './ports/journal.ts';
import { decisionsRequestCodec, orderAnswerCodec } from './protocol.ts';

/** Inputs that may wait; beyond it new messages are dropped, as a network would. */
const QUEUE_MAX = 8_192;
/** Messages that wait for a block that this node has not seen, and for how long. */
const PARKED_MAX = 1_024;
const PARKED_TIMEOUT_MS = 5_000;
const BLOCK_WAIT_MS = 100;
/** Operations that one peer may bring first, on average; an honest member makes a few in an epoch. */
const NEW_REQUESTS_PER_SECOND = 64;
const RATES_MAX = 256;
/** Operations remembered as seen. Forgetting one costs a second look. */
const SEEN_MAX = 4_096;

export class LoopError extends CodedError<'LOOP_ANCHOR_UNKNOWN' | 'LOOP_STOPPED'> {}

/** What execution says of who is to vote: null when nothing changed. */
type Voters = Pick<Extract<Input, { type: 'executed' }>, 'members' | 'renews'>;

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
  /**
   * Whether this account was a member before this process began. Without a journal it has then lost it, and has to come
   * back by a token [CONS-25].
   */
  readonly isReturning: boolean;
  random(byteLength: number): Uint8Array;
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
  #votersLast: Voters = { members: null };
  readonly #log: OrderLog;
  /** The operation by which a member without memory comes back. */
  readonly #token: Uint8Array | undefined;
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

  private constructor(
    options: ReplicaLoopOptions,
    parts: {
      replica: SigningReplica;
      log: OrderLog;
      token: Uint8Array | undefined;
      genesis: MembershipState;
    },
  ) {
    const { replica, log, token, genesis } = parts;
    this.#options = options;
    this.#replica = replica;
    this.#log = log;
    this.#token = token;
    const base = log.base();
    this.#state = base?.state ?? genesis;
    this.#executedSequence = base?.sequence ?? 0;
  }

  /** Goes on from the journal, or starts at genesis. Layer 1 must be synchronised and genesis complete. */
  static async start(options: ReplicaLoopOptions): Promise<ReplicaLoop> {
    const { ledger, journal } = options;
    const genesis = initialState(ledger.networkId, ledger.history);
    const records = journal.read('replica').map(parseRecord);
    const token = rejoinToken(options, records.length > 0);
    const replicaOptions = {
      id: ledger.account,
      networkId: ledger.networkId,
      members: replicasOf(genesis.roster),
      verify: options.verifySignature,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
      ...(token === undefined ? {} : { rejoinToken: token }),
    };
    const started =
      records.length === 0 ? createReplica(replicaOptions) : restoreReplica(replicaOptions, records);
    const replica: SigningReplica = { state: started.state, sign: options.sign };
    const log = new OrderLog(journal);
    const loop = new ReplicaLoop(options, { replica, log, token, genesis });
    for (const decision of log.replay()) await loop.#execute(decision, true);
    loop.#perform(settle(replica, started.effects));
    loop.#comeBack();
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

  /** Whether this member only follows, because it has lost its journal and no epoch has begun since [CONS-25]. */
  get isFollowing(): boolean {
    return this.#replica.state.muted !== null;
  }

  /**
   * Whether this replica has executed all that it knows to be decided. One that has lost its journal knows nothing at
   * first: it is level with the others once its own token has come back to it.
   */
  get isCaughtUp(): boolean {
    const { claims, muted } = this.#replica.state;
    if (muted !== null && muted !== 'until-epoch') return false;
    return this.#executedSequence >= Math.max(0, ...claims.values());
  }

  /** Signs an operation as of the newest block and gives it to every replica, this one first. */
  propose(body: OperationBody): void {
    const signed = signOperation(this.#options, body);
    this.#enqueue({ type: 'request', operation: signed });
    this.#options.transport.forward(signed);
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
    return orderAnswerCodec.encode(this.#log.answer(decisionsRequestCodec.parse(request).from));
  }

  /** Layer 1 moved on: what waited for a block may go ahead. */
  onBlock(): void {
    this.#comeBack();
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
        this.#log.onCheckpoint(effect.transfer, effect.announcesEpoch);
        return;
      case 'install':
        this.#install(effect.checkpoint.header);
        return;
    }
  }

  async #executeNext(decision: Decision): Promise<void> {
    const { sequence } = decision;
    try {
      const voters = await this.#execute(decision, false);
      const state = this.#log.stateAt(sequence, this.#state);
      this.#enqueue({ type: 'executed', sequence, ...voters, ...(state === undefined ? {} : { state }) });
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
      const request = decisionsRequestCodec.encode({ from: sequence });
      const answer = orderAnswerCodec.parse(await this.#options.transport.fetch(from, request));
      if (this.#isClosed) return;
      if (answer.kind === 'decisions')
        this.#enqueue({ type: 'decisions', decisions: answer.decisions.map(parseDecision) });
      else if (!this.#replica.state.isExecuting)
        this.#enqueue({ type: 'transfer', transfer: this.#log.offer(answer) });
    } catch (error) {
      this.#options.logger.info({ from, sequence, code: errorCode(error) }, 'decisions not fetched');
    }
  }

  /** Goes on from the state of a checkpoint that a quorum has signed, as consensus does [CONS-27]. */
  #install(header: Uint8Array): void {
    const checkpoint = parseHeader(header);
    if (checkpoint.sequence <= this.#executedSequence) return;
    this.#state = this.#log.install(checkpoint);
    this.#executedSequence = checkpoint.sequence;
    this.#votersLast = { members: null };
    this.#options.logger.info({ sequence: checkpoint.sequence }, 'goes on from a snapshot');
    this.#tell({ type: 'roster', roster: this.#state.roster });
  }

  /** Asks for its token to be ordered, again and again: while it is not, this member only follows [CONS-25]. */
  #comeBack(): void {
    const { muted } = this.#replica.state;
    if (this.#token === undefined || muted === null || muted === 'until-epoch') return;
    this.#enqueue({ type: 'request', operation: this.#token });
    this.#options.transport.forward(this.#token);
  }

  /** Applies a decision to the shared state; returns who is to vote if that changed. */
  async #execute(decision: Decision, isReplay: boolean): Promise<Voters> {
    if (decision.sequence <= this.#executedSequence) return this.#votersLast;
    assert(decision.sequence === this.#executedSequence + 1, `decision ${decision.sequence} after a gap`);
    if (!isReplay) this.#log.append(decision);
    const before = replicasOf(this.#state.roster);
    const effects: Effect[] = [];
    for (const bytes of decision.batch) effects.push(...(await this.#apply(bytes)));
    this.#executedSequence = decision.sequence;
    const after = replicasOf(this.#state.roster);
    const renews = effects.some(({ type }) => type === 'rejoined');
    this.#votersLast = { members: renews || !sameReplicas(before, after) ? after : null, renews };
    if (isReplay) this.#log.stateAt(decision.sequence, this.#state);
    for (const effect of effects) if (!isReplay || isToldAgain(effect)) this.#tell(effect);
    return this.#votersLast;
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
