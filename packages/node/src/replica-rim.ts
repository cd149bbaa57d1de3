import {
  authenticate,
  BATCH_BYTES_MAX,
  ConsensusError,
  createReplica,
  type Decision,
  drive,
  type EquivocationProof,
  encodeMessage,
  encodeRecord,
  type Input,
  isRedundant,
  type JournalRecord,
  type Member,
  type Outbound,
  parseDecision,
  parseHeader,
  parseRecord,
  type ReplicaState,
  restoreReplica,
  type Settings,
  type SignedMessage,
  type SigningReplica,
  settle,
  type TimerId,
  WINDOW,
} from '@nemea/consensus';
import { assert, CodedError, errorCode } from '@nemea/core';
import type { Logger } from 'pino';
import { OrderLog, type StateCodec } from './order-log.ts';
import type { Clock, Timer } from './ports/clock.ts';
import type { Journal } from './ports/journal.ts';
import { decisionsRequestCodec, orderAnswerCodec } from './protocol.ts';

/** Requests that may wait; beyond it new ones are dropped, as a network would. */
const REQUESTS_MAX = 8_192;
/** Messages that may wait of one neighbour: nobody knows yet who signed them, so whoever floods drowns out itself alone. */
const HEARD_MAX = 512;
/** Of either; a primary may have proposed so much at a time. Who has less waiting may bring one more, of any size. */
export const WAITING_BYTES_MAX = WINDOW * BATCH_BYTES_MAX;
/** Inputs of one turn. What they write goes to disk as one, before anything that they say leaves. */
const TURN_INPUTS_MAX = 256;

export class LoopError extends CodedError<'LOOP_ANCHOR_UNKNOWN' | 'LOOP_STOPPED'> {}

/** What has to wait until all before it is in the journal. */
type Speech = Extract<Outbound, { type: 'transmit' | 'forward' | 'commit' }>;

/** What somebody said, not looked at yet. */
type Heard = {
  readonly type: 'heard';
  readonly message: SignedMessage;
  readonly neighbour: string;
  readonly bytes: number;
};

/** What waits of one bringer. */
type Share = { inputs: number; bytes: number };

/** What execution says of who is to vote: null when nothing changed. */
export type Voters = Pick<Extract<Input, { type: 'executed' }>, 'members' | 'renews'>;

/** How a replica reaches the others. */
export interface ReplicaTransport {
  /** Best effort to one replica, or to all others. */
  transmit(to: string | null, message: Uint8Array): void;
  forward(operation: Uint8Array): void;
  fetch(from: string, request: Uint8Array): Promise<Uint8Array>;
}

/** What the ordered operations mean. Two applications that were given the same decisions are in the same state. */
export interface Application<State> {
  readonly codec: StateCodec<State>;
  readonly state: State;
  /** Goes on from a state: its own of before this process began, or one that a quorum has signed. */
  restore(state: State, from: 'journal' | 'peers'): void;
  /** `isReplay`: it was executed before this process began. */
  execute(decision: Decision, isReplay: boolean): Promise<Voters>;
  /** A request that found no room; it may come again. */
  onRefused(operation: Uint8Array): void;
}

export interface RimOptions<State> {
  readonly id: string;
  readonly networkId: Uint8Array;
  /** Who votes at the first sequence. */
  readonly members: readonly Member[];
  readonly settings?: Partial<Settings>;
  /** See `ReplicaOptions` of consensus [CONS-25]. */
  readonly rejoinToken?: Uint8Array;
  readonly application: Application<State>;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly logger: Logger;
  readonly transport: ReplicaTransport;
  /** Keys of everybody who is, was or is about to be a member. */
  publicKeyOf(id: string): Uint8Array | undefined;
  sign(message: Uint8Array): Uint8Array;
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Journal or machine failed: this replica will not speak any more. */
  onStopped(error: LoopError): void;
  /** A member has contradicted itself; what that costs is the application's business [CONS-21]. */
  onEquivocation?(culprit: string, proof: EquivocationProof): void;
}

/**
 * The rim around consensus: takes what has arrived, steps the machine, performs the effects in order. What is written
 * ahead is on disk before anything is said: once for all that arrived together, because a disk takes its time.
 */
export class ReplicaRim<State> {
  readonly #options: RimOptions<State>;
  readonly #replica: SigningReplica;
  readonly #log: OrderLog<State>;
  #sequence = 0;
  #votersLast: Voters = { members: null };
  readonly #queue: (Input | Heard)[] = [];
  /** Inputs in the queue that a network may lose, by who brought them. */
  readonly #waiting = new Map<string, Share>();
  #turn: Timer | undefined;
  #isClosed = false;
  readonly #records: JournalRecord[] = [];
  readonly #speech: Speech[] = [];
  readonly #timers = new Map<TimerId, Timer>();

  private constructor(options: RimOptions<State>, replica: SigningReplica) {
    this.#options = options;
    this.#replica = replica;
    this.#log = new OrderLog(options.journal, options.application.codec);
  }

  /** Goes on from the journal, or starts at sequence 0. */
  static async start<State>(options: RimOptions<State>): Promise<ReplicaRim<State>> {
    const { id, networkId, members, settings, rejoinToken, application } = options;
    const replicaOptions = {
      id,
      networkId,
      members,
      verify: options.verifySignature,
      ...(settings === undefined ? {} : { settings }),
      ...(rejoinToken === undefined ? {} : { rejoinToken }),
    };
    const records = options.journal.read('replica').map(parseRecord);
    const started =
      records.length === 0 ? createReplica(replicaOptions) : restoreReplica(replicaOptions, records);
    const replica: SigningReplica = { state: started.state, sign: options.sign };
    const rim = new ReplicaRim(options, replica);
    const base = rim.#log.base();
    if (base !== undefined) {
      application.restore(base.state, 'journal');
      rim.#sequence = base.sequence;
    }
    for (const decision of rim.#log.replay()) await rim.#execute(decision, true);
    rim.#perform(settle(replica, started.effects));
    rim.#speak();
    return rim;
  }

  /** Highest sequence that the application has executed. */
  get sequence(): number {
    return this.#sequence;
  }

  /** To look at only: it belongs to the machine. */
  get replica(): Readonly<ReplicaState> {
    return this.#replica.state;
  }

  /** Gives the machine what happened, after all that happened before. Returns false for a request that found no room. */
  take(input: Exclude<Input, { type: 'message' }>): boolean {
    return this.#enqueue(input);
  }

  /**
   * Takes what a replica said, from the neighbour that brought it. Its signature is checked in its turn: by then it may be one
   * voice more than needed.
   */
  hear(message: SignedMessage, neighbour: string): void {
    this.#enqueue({ type: 'heard', message, neighbour, bytes: bytesOf(message) });
  }

  #enqueue(input: Input | Heard): boolean {
    if (this.#isClosed || !this.#hasRoomFor(input)) return false;
    this.#queue.push(input);
    this.#turn ??= this.#options.clock.after(0, () => this.#takeTurn());
    return true;
  }

  /** Only what a network may lose finds none: the machine counts on its own timers and answers. */
  #hasRoomFor(input: Input | Heard): boolean {
    const bringer = bringerOf(input);
    if (bringer === undefined) return true;
    const share = this.#waiting.get(bringer) ?? { inputs: 0, bytes: 0 };
    const inputsMax = input.type === 'heard' ? HEARD_MAX : REQUESTS_MAX;
    if (share.inputs >= inputsMax || share.bytes >= WAITING_BYTES_MAX) return false;
    share.inputs++;
    share.bytes += sizeOf(input);
    this.#waiting.set(bringer, share);
    return true;
  }

  #dequeue(): (Input | Heard)[] {
    const inputs = this.#queue.splice(0, TURN_INPUTS_MAX);
    for (const input of inputs) {
      const bringer = bringerOf(input);
      const share = bringer === undefined ? undefined : this.#waiting.get(bringer);
      if (bringer === undefined || share === undefined) continue;
      share.inputs--;
      share.bytes -= sizeOf(input);
      if (share.inputs === 0) this.#waiting.delete(bringer);
    }
    return inputs;
  }

  /** Answers a replica that lags behind. */
  decisionsFrom(request: Uint8Array): Uint8Array {
    return orderAnswerCodec.encode(this.#log.answer(decisionsRequestCodec.parse(request).from));
  }

  close(): void {
    this.#isClosed = true;
    this.#turn?.cancel();
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#queue.length = 0;
  }

  #takeTurn(): void {
    this.#turn = undefined;
    try {
      for (const input of this.#dequeue()) {
        if (this.#isClosed) return;
        const known = input.type === 'heard' ? this.#authenticate(input.message) : input;
        if (known !== undefined) this.#perform(drive(this.#replica, known));
      }
      // Records that nothing waits for stay until something does.
      if (this.#speech.length > 0) this.#speak();
    } catch (error) {
      // Journal or machine failed: a replica that cannot write ahead must not speak.
      this.#stop(error);
      return;
    }
    if (this.#queue.length > 0) this.#turn = this.#options.clock.after(0, () => this.#takeTurn());
  }

  #authenticate(message: SignedMessage): Input | undefined {
    const { networkId, publicKeyOf, verifySignature: verify, logger } = this.#options;
    if (isRedundant(this.#replica.state, message)) return undefined;
    try {
      return { type: 'message', statement: authenticate({ networkId, message, publicKeyOf, verify }) };
    } catch (error) {
      if (!(error instanceof ConsensusError)) throw error;
      logger.info({ sender: message.sender, code: error.code }, 'message refused');
      return undefined;
    }
  }

  /** Effects in order, but for what speaks: it waits for the records of the whole turn. */
  #perform(effects: readonly Outbound[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'persist':
          this.#records.push(effect.record);
          break;
        case 'transmit':
        case 'forward':
        case 'commit':
          this.#speech.push(effect);
          break;
        case 'checkpoint':
        case 'install':
          // What is written after these counts on them.
          this.#speak();
          this.#performOne(effect);
          break;
        default:
          this.#performOne(effect);
      }
    }
  }

  /**
   * Writes, then speaks. What is decided a quorum has on disk as votes, so that to execute it need not wait for the own
   * disk: a crash makes this replica ask the others again [CONS-22].
   */
  #speak(): void {
    this.#persist(
      this.#records.splice(0),
      this.#speech.every(({ type }) => type === 'commit'),
    );
    for (const effect of this.#speech.splice(0)) this.#performOne(effect);
  }

  #persist(records: readonly JournalRecord[], mayWait: boolean): void {
    if (records.length === 0) return;
    const { journal } = this.#options;
    const encoded = records.map(encodeRecord);
    if (mayWait) journal.appendLater('replica', encoded);
    else journal.append('replica', encoded);
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
        this.#options.onEquivocation?.(effect.id, effect.proof);
        return;
      case 'refuse':
        if (effect.reason === 'pending-full') this.#options.application.onRefused(effect.operation);
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
    const { application } = this.#options;
    try {
      const voters = await this.#execute(decision, false);
      const state = this.#log.stateAt(sequence, application.state);
      this.take({ type: 'executed', sequence, ...voters, ...(state === undefined ? {} : { state }) });
    } catch (error) {
      this.#stop(error);
    }
  }

  /** Returns who is to vote if that changed. After a restart the machine may ask for the last decision once more. */
  async #execute(decision: Decision, isReplay: boolean): Promise<Voters> {
    const { application } = this.#options;
    if (decision.sequence <= this.#sequence) return this.#votersLast;
    assert(decision.sequence === this.#sequence + 1, `decision ${decision.sequence} after a gap`);
    if (!isReplay) this.#log.append(decision);
    this.#votersLast = await application.execute(decision, isReplay);
    this.#sequence = decision.sequence;
    if (isReplay) this.#log.stateAt(decision.sequence, application.state);
    return this.#votersLast;
  }

  /** Goes on from the state of a checkpoint that a quorum has signed, as consensus does [CONS-27]. */
  #install(header: Uint8Array): void {
    const checkpoint = parseHeader(header);
    if (checkpoint.sequence <= this.#sequence) return;
    const state = this.#log.install(checkpoint);
    this.#sequence = checkpoint.sequence;
    this.#votersLast = { members: null };
    this.#options.logger.info({ sequence: checkpoint.sequence }, 'goes on from a snapshot');
    this.#options.application.restore(state, 'peers');
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
      this.#options.clock.after(timeoutMs, () => this.take({ type: 'timeout', id })),
    );
  }

  async #fetch(from: string, sequence: number): Promise<void> {
    try {
      const request = decisionsRequestCodec.encode({ from: sequence });
      const answer = orderAnswerCodec.parse(await this.#options.transport.fetch(from, request));
      if (this.#isClosed) return;
      if (answer.kind === 'decisions')
        this.take({ type: 'decisions', decisions: answer.decisions.map(parseDecision) });
      else if (!this.#replica.state.isExecuting)
        this.take({ type: 'transfer', transfer: this.#log.offer(answer) });
    } catch (error) {
      this.#options.logger.info({ from, sequence, code: errorCode(error) }, 'decisions not fetched');
    }
  }
}

/** Requests come from one door, which counts who brings them. */
function bringerOf(input: Input | Heard): string | undefined {
  if (input.type === 'heard') return `neighbour ${input.neighbour}`;
  return input.type === 'request' ? 'requests' : undefined;
}

function sizeOf(input: Input | Heard): number {
  if (input.type === 'heard') return input.bytes;
  return input.type === 'request' ? input.operation.length : 0;
}

function bytesOf({ payload, batch, evidence }: SignedMessage): number {
  return batch.reduce((sum, operation) => sum + operation.length, payload.length + evidence.length);
}
