import { bytesEqual, type Verified } from '@nemea/core';
import type { VerifySignature } from './authenticate.ts';
import type { Ballot } from './ballot.ts';
import type { Decision } from './certificate.ts';
import type { CheckpointHeader, CheckpointProof, Transfer } from './checkpoint.ts';
import { type Configuration, createConfiguration, type Member, primaryOf } from './configuration.ts';
import type { Effect } from './effect.ts';
import type { Epoch, OwnStatement } from './journal.ts';
import { BATCH_OPERATIONS_MAX, CHECKPOINT_INTERVAL, WINDOW } from './limits.ts';
import type {
  Batch,
  Certificate,
  Checkpoint,
  SignedMessage,
  Statement,
  Tip,
  ViewChange,
  Vote,
} from './message.ts';
import { type BatchIds, chainDigest, identify, keyOf, type OperationId } from './operation.ts';

/** Durations in integer milliseconds; they affect speed only, never agreement. */
export type Settings = {
  /** How long the oldest pending operation may wait before the primary is given up. Doubles with every failed view. */
  readonly progressTimeoutMs: number;
  /** How often an unfinished replica repeats itself, against lost messages. */
  readonly pulseMs: number;
  /** How often a replica with nothing to do says where it stands. */
  readonly idlePulseMs: number;
  /** How long a replica that lags behind waits before it asks (again). */
  readonly catchUpMs: number;
  /** So many batches a primary has in flight without waiting until one is full. */
  readonly eagerBatches: number;
  /** A batch with so many operations is full. */
  readonly batchOperations: number;
};

export const DEFAULT_SETTINGS: Settings = {
  progressTimeoutMs: 2_000,
  pulseMs: 500,
  idlePulseMs: 5_000,
  catchUpMs: 250,
  eagerBatches: 4,
  batchOperations: BATCH_OPERATIONS_MAX,
};

/** A batch in its place, after all that the digest of its parent stands for. */
export type Proposal = {
  readonly sequence: number;
  readonly parent: Uint8Array;
  readonly digest: Uint8Array;
  readonly batch: Batch;
  readonly ids: readonly OperationId[];
  readonly idBytes: Uint8Array;
};

export type ViewChangeEntry = {
  readonly statement: Verified<Statement<ViewChange>>;
  /** Whether the certificate of its tip holds; judging costs a quorum of signatures. Null until it is needed. */
  isValid: boolean | null;
};

/** The operations of one executed sequence, remembered by name. */
export type RecentBatch = {
  readonly sequence: number;
  /** Of the decision. */
  readonly digest: Uint8Array;
  readonly idBytes: Uint8Array;
};

/** A checkpoint that no quorum has signed yet, with the weight of those who have. */
export type Unstable = {
  readonly transfer: Transfer;
  readonly header: CheckpointHeader;
  readonly encoded: Uint8Array;
  readonly digest: Uint8Array;
  weight: number;
};

/** A decision that the application has not executed yet. */
export type Waiting = { readonly decision: Decision; readonly proposal: Proposal };

/**
 * A replica. Sequences 1..`executed` are executed, 1..`committed` decided; those after it up to the high watermark
 * are open. The object belongs to `step`, which changes it in place.
 */
export type ReplicaState = {
  readonly id: string;
  readonly networkId: Uint8Array;
  readonly settings: Settings;
  readonly verify: VerifySignature;

  /** By epoch: that of the last executed sequence, those that follow, and a few before [CONS-26]. */
  configurations: Configuration[];
  /** Of the first open sequence. */
  configuration: Configuration;
  committed: number;
  /** Of the last decision. */
  digest: Uint8Array;
  executed: number;
  /** Of the last executed decision. */
  executedDigest: Uint8Array;
  /** Decided and not executed, in order. The first is with the application when `isExecuting`. */
  readonly waiting: Waiting[];
  isExecuting: boolean;

  /** The lowest view of the epoch in which the replica may still vote. */
  view: number;
  /** False from the replica's own view change to the new view. */
  active: boolean;
  /** What the view must repeat before it may commit anything [CONS-16], or null. */
  anchor: Tip | null;
  newView: SignedMessage | null;
  /** View changes since the last decision. */
  attempts: number;
  /** The certificate of the last that the replica has committed to in this epoch [CONS-14]. */
  tip: Certificate | null;
  /** What the replica has voted to prepare in its view, one after the other from the first open sequence. */
  readonly accepted: Proposal[];
  /** The last sequence that it committed to in its view. */
  committedTo: number;
  /** Ballots of undecided sequences, by sequence and view. */
  readonly ballots: Map<number, Map<number, Ballot>>;
  /** Batches of undecided sequences, by digest. */
  readonly proposals: Map<string, Proposal>;
  /** The latest of each member. */
  readonly viewChanges: Map<string, ViewChangeEntry>;
  /** View changes, new views and checkpoints of the replica itself, by slot [CONS-6]. */
  readonly own: Map<string, OwnStatement>;

  /** Operations that wait, the oldest first. */
  readonly pending: Map<OperationId, Uint8Array>;
  pendingBytes: number;
  /** Those of them that are in no accepted batch. */
  readonly unproposed: Map<OperationId, Uint8Array>;
  /** Place in the order of each operation remembered, those in accepted batches among them [CONS-12]. */
  readonly places: Map<OperationId, number>;
  /** Of the next operation that is accepted or decided. */
  nextPlace: number;
  executedOperations: number;
  /** The executed sequences whose operations are remembered, without a gap, and the digest before them. */
  readonly recent: (RecentBatch & { readonly ids: readonly OperationId[] })[];
  recentParent: Uint8Array;
  recentOperations: number;

  /** The latest few of each member. */
  readonly checkpoints: Map<string, Verified<Statement<Checkpoint>>[]>;
  /** Own checkpoints that no quorum has signed yet, the latest few. */
  readonly unstable: Unstable[];
  stable: (CheckpointProof & { readonly sequence: number; readonly payload: Uint8Array }) | null;
  /** Where the journal begins. */
  compacted: number;

  /** Statements about the epoch to come, by sender. */
  readonly future: Map<string, Verified<Statement<Vote>>[]>;
  /** The highest sequence that each peer says is decided. */
  readonly claims: Map<string, number>;
  asked: { readonly id: string; readonly committed: number } | null;
  /** How often each peer was helped since the last pulse or end of an interval. */
  readonly helped: Map<string, number>;
  transfer: Decision[];

  /** A member whose journal was lost: until its token is ordered, then until an epoch begins [CONS-25]. */
  muted: OperationId | 'until-epoch' | null;
  /** Members of whom a proof was handed out in this epoch. */
  readonly penalized: Set<string>;
  readonly timers: {
    progress: string | number | null;
    progressView: number;
    pulse: string | null;
    pulsedView: number;
    pulsedAt: number;
    catchUp: boolean;
  };
};

/** One run of `step`: the state it may change and the effects it collects. */
export type Turn = { readonly state: ReplicaState; readonly effects: Effect[] };

export type ReplicaOptions = {
  readonly id: string;
  readonly networkId: Uint8Array;
  readonly members: readonly Member[];
  readonly verify: VerifySignature;
  readonly settings?: Partial<Settings>;
  /**
   * For a member that starts without the journal it once had: an operation that nobody can have seen before. Once
   * it is ordered (the rim requests it) and an epoch has begun after it, the member votes again [CONS-25].
   */
  readonly rejoinToken?: Uint8Array;
};

/** A replica before sequence 1. One that is no member yet follows the decisions and does not vote [CONS-24]. */
export function initialState(options: ReplicaOptions): ReplicaState {
  const configuration = createConfiguration(options.members);
  return {
    id: options.id,
    networkId: options.networkId,
    settings: { ...DEFAULT_SETTINGS, ...options.settings },
    verify: options.verify,
    configurations: [configuration],
    configuration,
    committed: 0,
    digest: new Uint8Array(32),
    executed: 0,
    executedDigest: new Uint8Array(32),
    waiting: [],
    isExecuting: false,
    view: 0,
    active: true,
    anchor: null,
    newView: null,
    attempts: 0,
    tip: null,
    accepted: [],
    committedTo: 0,
    ballots: new Map(),
    proposals: new Map(),
    viewChanges: new Map(),
    own: new Map(),
    pending: new Map(),
    pendingBytes: 0,
    unproposed: new Map(),
    places: new Map(),
    nextPlace: 0,
    executedOperations: 0,
    recent: [],
    recentParent: new Uint8Array(32),
    recentOperations: 0,
    checkpoints: new Map(),
    unstable: [],
    stable: null,
    compacted: 0,
    future: new Map(),
    claims: new Map(),
    asked: null,
    helped: new Map(),
    transfer: [],
    muted: options.rejoinToken === undefined ? null : (identify([options.rejoinToken]).ids[0] as OperationId),
    penalized: new Set(),
    timers: { progress: null, progressView: -1, pulse: null, pulsedView: 0, pulsedAt: 0, catchUp: false },
  };
}

/** The first sequence that is not decided. */
export function openSequence(state: ReplicaState): number {
  return state.committed + 1;
}

/** The last sequence of the interval in which a sequence lies. */
export function intervalEnd(sequence: number): number {
  return Math.ceil(sequence / CHECKPOINT_INTERVAL) * CHECKPOINT_INTERVAL;
}

/** How many sequences are in progress in the replica's view. */
export function inFlight({ accepted }: ReplicaState): number {
  return accepted.length;
}

/**
 * The high watermark: the last sequence on which the replica may vote. Two intervals ahead of the last that is wholly
 * executed, and never beyond the end of an epoch [CONS-7] [CONS-26].
 */
export function highWatermark(state: ReplicaState): number {
  const end = epochEnd(state);
  const high = state.executed - (state.executed % CHECKPOINT_INTERVAL) + WINDOW;
  return end !== null && end < high ? end : high;
}

/** The last sequence of the current epoch once its end is known, else null. */
export function epochEnd({ configurations, configuration }: ReplicaState): number | null {
  const last = configurations[configurations.length - 1] as Configuration;
  if (last === configuration) return null;
  const next = configurations[configurations.indexOf(configuration) + 1];
  return next === undefined ? null : next.epoch - 1;
}

/** The configurations from that of a sequence on. */
export function retainedEpochs(state: ReplicaState, sequence: number): Epoch[] {
  const first = configurationOf(state, sequence);
  return state.configurations
    .slice(first === undefined ? 0 : state.configurations.indexOf(first))
    .map(({ epoch, members }) => ({ epoch, members }));
}

/** The configuration of a sequence among those kept. */
export function configurationOf(state: ReplicaState, sequence: number): Configuration | undefined {
  return state.configurations.findLast(({ epoch }) => epoch <= sequence);
}

export function isMember(state: ReplicaState): boolean {
  return state.configuration.byId.has(state.id);
}

/** Whether the replica may say anything that counts. */
export function mayVote(state: ReplicaState): boolean {
  return state.muted === null && isMember(state);
}

export function primaryOfView(state: ReplicaState): string {
  return primaryOf(state.configuration, state.view);
}

/** The last that the replica has accepted in its view, or the last decision when it has accepted nothing on top. */
export function acceptedEnd(state: ReplicaState): { sequence: number; digest: Uint8Array } {
  const last = state.accepted[state.accepted.length - 1];
  return last ?? { sequence: state.committed, digest: state.digest };
}

/** `known` are the names of the operations when they need not be hashed again. */
export function makeProposal(sequence: number, parent: Uint8Array, batch: Batch, known?: BatchIds): Proposal {
  const { ids, bytes } = known ?? identify(batch);
  return { sequence, parent, digest: chainDigest(parent, bytes), batch, ids, idBytes: bytes };
}

/** The batch that a digest stands for after the last decision, from wherever it was seen, or null. */
export function findProposal(state: ReplicaState, digest: Uint8Array): Proposal | null {
  const known = state.proposals.get(keyOf(digest));
  if (known !== undefined) return known;
  for (const { proposal } of state.ballots.get(openSequence(state))?.values() ?? []) {
    if (proposal === null || !bytesEqual(proposal.digest, digest)) continue;
    const found = makeProposal(openSequence(state), state.digest, proposal.batch);
    if (bytesEqual(found.digest, digest)) return found;
  }
  return null;
}

/** The latest comes last. */
export function rememberProposal({ proposals }: ReplicaState, proposal: Proposal): void {
  const key = keyOf(proposal.digest);
  proposals.delete(key);
  proposals.set(key, proposal);
}

/** Where the view is bound to repeat undecided sequences [CONS-16], or null. */
export function openAnchor({ anchor, committed }: ReplicaState): Tip | null {
  return anchor !== null && anchor.sequence > committed ? anchor : null;
}

/** What leads from the last decision to an anchor, or null when a batch is missing. */
export function pathTo(state: ReplicaState, anchor: Tip): Proposal[] | null {
  const path: Proposal[] = [];
  let { digest } = anchor;
  for (let { sequence } = anchor; sequence > state.committed; sequence--) {
    const proposal = state.proposals.get(keyOf(digest));
    if (proposal === undefined) return null;
    path.unshift(proposal);
    digest = proposal.parent;
  }
  return bytesEqual(digest, state.digest) ? path : null;
}
