import type { NodeRecord } from './operation.ts';

/**
 * What the membership machine knows of layer 1: plain facts as of a block that consensus has agreed on. Every
 * replica that has seen the block answers the same, so executing an operation stays deterministic.
 */
export interface LedgerView {
  /** Highest block this view has seen. */
  readonly head: number;
  blockHash(block: number): Uint8Array | undefined;
  blockTimestampS(block: number): number | undefined;
  /** Epoch that a block lies in. */
  epochOf(block: number): number;
  /** Unpredictable until the first block of the epoch exists; undefined before. */
  epochSeed(epoch: number): Uint8Array | undefined;
  /** First block of an epoch. */
  epochBoundary(epoch: number): number | undefined;
  task(taskId: Uint8Array, atBlock: number): TaskOnLedger | undefined;
  /** Whether layer 1 has settled, failed or refunded a task by a block: nothing can be done about it any more. */
  isTaskClosed(taskId: Uint8Array, atBlock: number): boolean;
  dispute(disputeId: Uint8Array, atBlock: number): DisputeOnLedger | undefined;
  isDisputeClosed(disputeId: Uint8Array, atBlock: number): boolean;
  /** Digests (hex) approved in PolicyRegistry as of a block. */
  approvedReleases(atBlock: number): ReadonlySet<string>;
  approvedImages(atBlock: number): ReadonlySet<string>;
  approvedCodes(atBlock: number): ReadonlySet<string>;
  /** Digests (hex) that PolicyRegistry had approved and withdrew, as of a block, by the block that withdrew them last. */
  withdrawnReleases(atBlock: number): ReadonlyMap<string, number>;
  withdrawnImages(atBlock: number): ReadonlyMap<string, number>;
  policyVersion(atBlock: number): number;
  genesisRecords(): readonly NodeRecord[];
  /** Who was registered after a block and by another, in the order of layer 1; those of genesis are left out. */
  admissions(afterBlock: number, throughBlock: number): readonly Registration[];
  /** Accounts that gave up membership on layer 1, or were evicted there, and were not admitted again, as of a block. */
  leavers(atBlock: number): ReadonlySet<string>;
}

export interface Registration {
  readonly record: NodeRecord;
  readonly block: number;
}

export interface TaskOnLedger {
  readonly taskId: Uint8Array;
  readonly creator: string;
  readonly createdBlock: number;
  readonly codeDigest: Uint8Array;
  readonly imageDigest: Uint8Array;
  readonly capsuleIds: readonly Uint8Array[];
  readonly timeoutS: number;
  readonly minLevel: number;
  readonly minCredit: number;
  readonly fee: bigint;
  /** The task document as its author put it on chain (dag-cbor, see @nemea/capsule). */
  readonly spec: Uint8Array;
}

export interface DisputeOnLedger {
  readonly disputeId: Uint8Array;
  readonly reporter: string;
  readonly accused: string;
  readonly epoch: number;
  /** What the reported request asked for, by its number (see CHALLENGE_COMMANDS). */
  readonly command: number;
  readonly proof: Uint8Array;
}
