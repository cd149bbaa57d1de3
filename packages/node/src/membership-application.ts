import type { Decision } from '@nemea/consensus';
import { bytesEqual, errorCode } from '@nemea/core';
import {
  applyOperation,
  authenticateOperation,
  type Effect,
  encodeState,
  MembershipError,
  type MembershipState,
  parseSignedOperation,
  parseState,
  replicasOf,
  type SignedOperation,
} from '@nemea/membership';
import type { Ledger } from '@nemea/sdk';
import type { Logger } from 'pino';
import type { StateCodec } from './order-log.ts';
import { type Clock, sleep } from './ports/clock.ts';
import { type Application, LoopError, type Voters } from './replica-rim.ts';

const BLOCK_WAIT_MS = 100;

export interface MembershipApplicationOptions {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly logger: Logger;
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  onEffect(effect: Effect): void;
  onRefused(operation: Uint8Array): void;
}

const STATE_CODEC: StateCodec<MembershipState> = {
  encode(state) {
    try {
      return encodeState(state);
    } catch (error) {
      if (error instanceof MembershipError) return undefined;
      throw error;
    }
  },
  parse: parseState,
};

/** What ordered operations do to the membership: the one place where they meet layer-1 facts. */
export class MembershipApplication implements Application<MembershipState> {
  readonly codec = STATE_CODEC;
  readonly #options: MembershipApplicationOptions;
  #state: MembershipState;
  #isClosed = false;

  constructor(options: MembershipApplicationOptions, genesis: MembershipState) {
    this.#options = options;
    this.#state = genesis;
  }

  get state(): MembershipState {
    return this.#state;
  }

  restore(state: MembershipState, from: 'journal' | 'peers'): void {
    this.#state = state;
    if (from === 'peers') this.#tell({ type: 'roster', roster: state.roster });
  }

  /** Applies a decision; the state is that of the last one until this one is whole. Returns who is to vote if that changed. */
  async execute(decision: Decision, isReplay: boolean): Promise<Voters> {
    const before = replicasOf(this.#state.roster);
    const effects: Effect[] = [];
    let state = this.#state;
    for (const bytes of decision.batch) {
      const applied = await this.#apply(state, bytes, decision.certificate.epoch);
      state = applied.state;
      effects.push(...applied.effects);
    }
    this.#state = state;
    const after = replicasOf(state.roster);
    const renews = effects.some(({ type }) => type === 'rejoined');
    for (const effect of effects) if (!isReplay || isToldAgain(effect)) this.#tell(effect);
    return { members: renews || !sameReplicas(before, after) ? after : null, renews };
  }

  onRefused(operation: Uint8Array): void {
    this.#options.onRefused(operation);
  }

  isAuthentic(signed: SignedOperation): boolean {
    return this.#authenticate(signed, this.#state) !== undefined;
  }

  /** Whether this node has seen every block that the operations build on. */
  isAnchored(operations: readonly SignedOperation[]): boolean {
    const { history } = this.#options.ledger;
    return operations.every(({ operation }) => {
      const hash = history.blockHash(operation.anchor.block);
      return hash !== undefined && bytesEqual(hash, operation.anchor.hash);
    });
  }

  /** What is being executed ends with `LOOP_STOPPED`, and has changed nothing. */
  close(): void {
    this.#isClosed = true;
  }

  /** Effects only tell: what goes wrong in telling is no reason to stop ordering. */
  #tell(effect: Effect): void {
    try {
      this.#options.onEffect(effect);
    } catch (error) {
      this.#options.logger.error(
        { effect: effect.type, code: errorCode(error), err: error },
        'effect not carried out',
      );
    }
  }

  async #apply(
    state: MembershipState,
    bytes: Uint8Array,
    consensusEpoch: number,
  ): Promise<{ state: MembershipState; effects: readonly Effect[] }> {
    let signed: SignedOperation;
    try {
      signed = parseSignedOperation(bytes);
    } catch {
      // Every replica finds the same bytes unreadable and passes over them.
      return { state, effects: [] };
    }
    // A state that was taken over may stand further on than what this node has read, and facts are read as of it.
    await this.#waitForBlock(Math.max(signed.operation.anchor.block, state.ledgerBlock));
    const operation = this.isAnchored([signed]) ? this.#authenticate(signed, state) : undefined;
    if (operation === undefined) return { state, effects: [] };
    const { ledger, verifySignature } = this.#options;
    return applyOperation(state, operation, { ledger: ledger.history, verifySignature, consensusEpoch });
  }

  #authenticate(
    signed: SignedOperation,
    { roster }: MembershipState,
  ): ReturnType<typeof authenticateOperation> | undefined {
    const { ledger, logger, verifySignature } = this.#options;
    const { author } = signed.operation;
    const key = roster.get(author)?.peerKey;
    if (key === undefined) return undefined;
    try {
      return authenticateOperation(ledger.networkId, signed, key, verifySignature);
    } catch (error) {
      logger.warn({ author, code: errorCode(error) }, 'operation refused');
      return undefined;
    }
  }

  /**
   * A quorum has seen the block, so it exists; this node only has to read it, however long its RPC takes. Throws
   * `LOOP_STOPPED` when it is closed before: without the block it would pass over what all others carry out.
   */
  async #waitForBlock(block: number): Promise<void> {
    const { ledger, logger } = this.#options;
    while (ledger.history.head < block) {
      if (this.#isClosed) throw new LoopError('LOOP_STOPPED', `closed before block ${block} was read`);
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
  return type === 'evicted' || type === 'enrolled' || type === 'epoch-closed' || type === 'vote';
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
