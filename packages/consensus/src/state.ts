import { bytesEqual, type Verified } from '@nemea/core';
import type { VerifySignature } from './authenticate.ts';
import type { Decision } from './certificate.ts';
import { type Configuration, createConfiguration, type Member, primaryOf } from './configuration.ts';
import type { Effect } from './effect.ts';
import type { Anchor, OwnStatement, Prepared } from './journal.ts';
import {
  type Batch,
  type Checkpoint,
  decisionDigest,
  type NewView,
  type Statement,
  type ViewChange,
  type Vote,
} from './message.ts';

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
};

export const DEFAULT_SETTINGS: Settings = {
  progressTimeoutMs: 2_000,
  pulseMs: 500,
  idlePulseMs: 5_000,
  catchUpMs: 250,
};

/** What is known about the open sequence in one view. */
export type Ballot = {
  readonly view: number;
  proposal: { readonly statement: Verified<Statement<Vote>>; readonly batch: Batch } | null;
  /** Votes to prepare by sender, the primary's pre-prepare among them. */
  readonly prepares: Map<string, Verified<Statement<Vote>>>;
  readonly commits: Map<string, Verified<Statement<Vote>>>;
};

export type ViewChangeEntry = {
  readonly statement: Verified<Statement<ViewChange>>;
  /** Whether its prepared certificate holds, judged at `judgedAt`; judging costs a quorum of signatures. */
  valid: boolean;
  judgedAt: number;
};

/**
 * A replica. Sequences 1..`committed` are decided; `committed + 1` is the only open one. The object belongs to
 * `step`, which changes it in place.
 */
export type ReplicaState = {
  readonly id: string;
  readonly networkId: Uint8Array;
  readonly settings: Settings;
  readonly verify: VerifySignature;

  /** Of the open sequence; its epoch began with the last change of members. */
  configuration: Configuration;
  committed: number;
  /** Of the last decision. */
  digest: Uint8Array;
  /** The last decision while the application executes it; nothing is voted on meanwhile [CONS-11]. */
  executing: Decision | null;

  /** The lowest view of the epoch in which the replica may still vote. */
  view: number;
  /** False from the replica's own view change to the new view. */
  active: boolean;
  anchor: Anchor | null;
  newView: Statement<NewView> | null;
  /** View changes since the last decision. */
  attempts: number;
  /** The best certificate known to this replica that the open sequence has been prepared. */
  prepared: Prepared | null;
  readonly ballots: Map<number, Ballot>;
  /** The latest of each member. */
  readonly viewChanges: Map<string, ViewChangeEntry>;
  /** A new view of a sequence that is not open here yet. */
  waitingNewView: Verified<Statement<NewView>> | null;
  /** What the replica itself has said, by slot: never anything else in the same slot [CONS-6]. */
  readonly own: Map<string, OwnStatement>;

  readonly pending: Map<string, Uint8Array>;
  pendingBytes: number;
  /** Ids of executed operations, the oldest first. */
  readonly executed: Set<string>;

  readonly checkpoints: Map<string, Verified<Statement<Checkpoint>>>;
  stable: number;

  /** Statements about the next sequence, by sender and slot. */
  readonly future: Map<string, Map<string, Verified<Statement>>>;
  /** The highest sequence that each peer says is decided. */
  readonly claims: Map<string, number>;
  asked: { readonly id: string; readonly committed: number } | null;
  transfer: Decision[];

  readonly penalized: Set<string>;
  readonly timers: {
    progress: string | null;
    pulse: string | null;
    pulsedAt: string | null;
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
};

/** A replica before sequence 1. One that is no member yet follows the decisions and does not vote [CONS-24]. */
export function initialState(options: ReplicaOptions): ReplicaState {
  return {
    id: options.id,
    networkId: options.networkId,
    settings: { ...DEFAULT_SETTINGS, ...options.settings },
    verify: options.verify,
    configuration: createConfiguration(options.members),
    committed: 0,
    digest: new Uint8Array(32),
    executing: null,
    view: 0,
    active: true,
    anchor: null,
    newView: null,
    attempts: 0,
    prepared: null,
    ballots: new Map(),
    viewChanges: new Map(),
    waitingNewView: null,
    own: new Map(),
    pending: new Map(),
    pendingBytes: 0,
    executed: new Set(),
    checkpoints: new Map(),
    stable: 0,
    future: new Map(),
    claims: new Map(),
    asked: null,
    transfer: [],
    penalized: new Set(),
    timers: { progress: null, pulse: null, pulsedAt: null, catchUp: false },
  };
}

/** The sequence that is being decided. */
export function openSequence(state: ReplicaState): number {
  return state.committed + 1;
}

export function isMember(state: ReplicaState): boolean {
  return state.configuration.byId.has(state.id);
}

export function primaryOfView(state: ReplicaState): string {
  return primaryOf(state.configuration, state.view);
}

/** The ballot of a view at the open sequence, opened on first use. */
export function ballotOf(state: ReplicaState, view: number): Ballot {
  let ballot = state.ballots.get(view);
  if (ballot === undefined) {
    ballot = { view, proposal: null, prepares: new Map(), commits: new Map() };
    state.ballots.set(view, ballot);
  }
  return ballot;
}

/** The batch of a digest at the open sequence, from wherever it was seen, or null. */
export function findBatch(state: ReplicaState, digest: Uint8Array): Batch | null {
  const matches = (batch: Batch) => bytesEqual(decisionDigest(state.digest, batch), digest);
  for (const { proposal } of state.ballots.values()) {
    if (proposal !== null && bytesEqual(proposal.statement.content.digest, digest)) return proposal.batch;
  }
  if (state.prepared !== null && bytesEqual(state.prepared.certificate.digest, digest))
    return state.prepared.batch;
  for (const { statement } of state.viewChanges.values()) {
    const { batch } = statement.message;
    if (batch.length > 0 && matches(batch)) return batch;
  }
  return null;
}
