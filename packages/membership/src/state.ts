import type { SignedContradiction } from './equivocation.ts';
import type { RejectionCode } from './errors.ts';
import type { Attestation, NodeRecord, OperationBody, Phase } from './operation.ts';
import type { Roster } from './roster.ts';

/** The shared state: a function of the ordered operations and of layer-1 facts that they anchored. */
export interface MembershipState {
  readonly networkId: Uint8Array;
  readonly roster: Roster;
  /** Highest layer-1 block that an ordered operation has anchored: every fact is read as of it. */
  readonly ledgerBlock: number;
  /** Layer-1 block up to which whoever was registered there is on the roster [MEMB-15]. */
  readonly enrolledThrough: number;
  /** Last epoch that was closed; its successor collects attestations. */
  readonly epochClosed: number;
  /** Reports of epochs still open, by epoch and attestor. */
  readonly reports: ReadonlyMap<number, ReadonlyMap<string, EpochReport>>;
  readonly candidacies: ReadonlyMap<string, Candidacy>;
  readonly tasks: ReadonlyMap<string, TaskState>;
  /** Enrolments and evictions since the last closed epoch, for its record. */
  readonly admissions: number;
  readonly evictions: number;
  /** Members whose evidence showed a missed update since the last closed epoch: its digest, by account [MEMB-37]. */
  readonly updatesMissed: ReadonlyMap<string, Uint8Array>;
  /** Members that were proven to have contradicted themselves since the last closed epoch, with the proof [MEMB-43]. */
  readonly equivocations: ReadonlyMap<string, SignedContradiction>;
  /** Epoch of consensus up to which nothing that a member said costs it any more; none up to which everything does. */
  readonly answeredThrough: ReadonlyMap<string, number>;
  readonly disputesJudged: ReadonlySet<string>;
  /** How often each member has come back without its journal since the last closed epoch. */
  readonly rejoins: ReadonlyMap<string, number>;
}

export type Judgement = Extract<OperationBody, { kind: 'judge' }>;
export type Accusation = Extract<OperationBody, { kind: 'accuse' }>;

export interface Candidacy {
  readonly record: NodeRecord;
  readonly applicationDigest: Uint8Array;
  /** The member that put the application into the order. */
  readonly sponsor: string;
  readonly epoch: number;
  readonly openedBlock: number;
  /** Members whose draw as judges was proven: the jury, whether or not the candidate turns to them. */
  readonly seated: ReadonlySet<string>;
  readonly judgements: ReadonlyMap<string, Judgement>;
  readonly outcome: 'open' | 'admitted' | 'refused';
}

export type Bid = Extract<OperationBody, { kind: 'bid' }>;
export type TaskReport = Extract<OperationBody, { kind: 'verify' }>;

export interface Election {
  readonly executor: string;
  readonly salt: Uint8Array;
  readonly verifiers: readonly string[];
  readonly electedBlock: number;
}

export interface TaskState {
  readonly attempt: number;
  /** Block whose hash seeds the draws of this attempt. */
  readonly startBlock: number;
  readonly bids: ReadonlyMap<string, Bid>;
  /** Block as of which the first of the bids was ordered: from here on the others have their time. */
  readonly firstBidBlock?: number;
  readonly excluded: readonly string[];
  readonly election?: Election;
  readonly certificate?: Uint8Array;
  readonly reports: ReadonlyMap<string, TaskReport>;
  readonly outcome: 'open' | 'settled' | 'failed';
}

/** EIP-712 messages that members sign once an operation decided them. Values as the contracts expect them. */
export type Vote =
  | { readonly type: 'Admission'; readonly record: NodeRecord; readonly epoch: number }
  | {
      readonly type: 'Eviction';
      readonly account: string;
      readonly epoch: number;
      readonly evidenceDigest: Uint8Array;
      readonly reason: number;
    }
  | {
      readonly type: 'EpochRecord';
      readonly epoch: number;
      readonly seed: Uint8Array;
      readonly rosterRoot: Uint8Array;
      readonly attestationRoot: Uint8Array;
      readonly creditRoot: Uint8Array;
      readonly admissions: number;
      readonly evictions: number;
      readonly policyVersion: number;
      readonly boundaryBlock: number;
    }
  | {
      readonly type: 'Election';
      readonly taskId: Uint8Array;
      readonly attempt: number;
      readonly executor: string;
      readonly salt: Uint8Array;
    }
  | {
      readonly type: 'Settlement';
      readonly taskId: Uint8Array;
      readonly attempt: number;
      readonly executor: string;
      readonly salt: Uint8Array;
      readonly verifiers: readonly string[];
      readonly certificateDigest: Uint8Array;
    }
  | {
      readonly type: 'TaskFailure';
      readonly taskId: Uint8Array;
      readonly attempt: number;
      readonly reason: number;
    }
  | { readonly type: 'DisputeVerdict'; readonly disputeId: Uint8Array; readonly guilty: boolean };

/** What the rim does after an operation. Decisions are in the state; effects only tell that they were made. */
export type Effect =
  | { readonly type: 'vote'; readonly vote: Vote }
  | { readonly type: 'roster'; readonly roster: Roster }
  /** Consensus is to begin an epoch, whether or not the members change. */
  | { readonly type: 'rejoined'; readonly account: string }
  | { readonly type: 'candidacy'; readonly candidate: Uint8Array }
  | {
      readonly type: 'candidacy-closed';
      readonly candidate: Uint8Array;
      readonly admitted: boolean;
      readonly record: NodeRecord;
    }
  | { readonly type: 'enrolled'; readonly record: NodeRecord }
  | {
      readonly type: 'evicted';
      readonly account: string;
      readonly peerKey: Uint8Array;
      readonly accuser: string;
      readonly accusation: Accusation;
    }
  | { readonly type: 'update-missed'; readonly account: string; readonly accuser: string }
  | { readonly type: 'equivocated'; readonly account: string; readonly accuser: string }
  | { readonly type: 'epoch-closed'; readonly epoch: number; readonly leaves: readonly EpochLeaf[] }
  | { readonly type: 'bidding'; readonly taskId: Uint8Array; readonly attempt: number }
  | {
      readonly type: 'elected';
      readonly taskId: Uint8Array;
      readonly attempt: number;
      readonly election: Election;
    }
  | {
      readonly type: 'task-closed';
      readonly taskId: Uint8Array;
      readonly attempt: number;
      readonly outcome: 'settled' | 'failed';
      readonly reason: number;
    }
  | {
      readonly type: 'rejected';
      readonly author: string;
      readonly kind: OperationBody['kind'];
      readonly code: RejectionCode;
    };

/** What an attestor reported of an epoch: its draw, and what those it was drawn for answered. */
export interface EpochReport {
  readonly proof: Uint8Array;
  readonly beta: Uint8Array;
  readonly results: readonly Attestation[];
}

/** An attestor's draw: with it, anybody knows for whom it was seated, heard or not. */
export interface SeatLeaf {
  readonly attestor: string;
  readonly epoch: number;
  readonly proof: Uint8Array;
  readonly beta: Uint8Array;
}

export interface ResultLeaf extends Attestation {
  readonly attestor: string;
  readonly epoch: number;
}

/** A member whose evidence showed a missed update: every member judged it; here is what it was. */
export interface OutdatedLeaf {
  readonly outdated: string;
  readonly epoch: number;
  readonly evidenceDigest: Uint8Array;
}

/** A member that contradicted itself in consensus, with the proof: whoever knows its peer key can verify it. */
export interface EquivocationLeaf extends SignedContradiction {
  readonly equivocator: string;
  readonly epoch: number;
}

/** A leaf of an epoch's attestation tree, public once its record is on layer 1. */
export type EpochLeaf = SeatLeaf | ResultLeaf | OutdatedLeaf | EquivocationLeaf;

export type { Phase };
