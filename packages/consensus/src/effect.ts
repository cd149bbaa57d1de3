import type { Decision } from './certificate.ts';
import type { CheckpointProof, Transfer } from './checkpoint.ts';
import type { EquivocationProof } from './equivocation.ts';
import type { TimerId } from './input.ts';
import type { JournalRecord } from './journal.ts';
import type { Batch, Content, SignedMessage } from './message.ts';

/**
 * What the rim does for the replica, in this order. A `persist` is durable before anything after it is said, kept or taken
 * over; until then it may wait for others, so that they reach the disk together, and in order. A `commit` need not wait.
 */
export type Effect =
  /** Write ahead. Once a `base` record is durable, all earlier records may be deleted. */
  | { readonly type: 'persist'; readonly record: JournalRecord }
  /** Sign, deliver to oneself, send to all others (members and followers). */
  | {
      readonly type: 'broadcast';
      readonly content: Content;
      readonly batch: Batch;
      readonly evidence: Uint8Array;
    }
  /** Sign and send to one peer. */
  | { readonly type: 'send'; readonly to: string; readonly content: Content; readonly batch: Batch }
  /** Pass on what somebody else has signed. */
  | { readonly type: 'relay'; readonly to: string; readonly message: SignedMessage }
  /** Pass a pending operation to all others, as a request. */
  | { readonly type: 'forward'; readonly operation: Uint8Array }
  /**
   * Execute the operations, then feed `executed`; the next `commit` comes only after that. Keep the decision to answer
   * the fetches of others. After a restart the last decision may be repeated: ignore the sequences already executed.
   */
  | { readonly type: 'commit'; readonly decision: Decision }
  /**
   * The checkpoint is stable. Whoever holds `transfer`, the application's state of that sequence and the decisions after
   * it can go on from there. Proofs of checkpoints that announce an epoch are kept for ever: they lead there.
   */
  | { readonly type: 'checkpoint'; readonly transfer: Transfer; readonly announcesEpoch: boolean }
  /** Take over the application state of this checkpoint, whose digest was fed with `transfer`. May be repeated. */
  | { readonly type: 'install'; readonly checkpoint: CheckpointProof }
  /** Start the timer, or restart it when it runs. */
  | { readonly type: 'startTimer'; readonly id: TimerId; readonly timeoutMs: number }
  | { readonly type: 'stopTimer'; readonly id: TimerId }
  /** A member has contradicted itself; anyone can check the proof. */
  | { readonly type: 'penalize'; readonly id: string; readonly proof: EquivocationProof }
  /**
   * Ask `from` for its decisions from `sequence` on (at most 256 at once), and feed them as `decisions`; or, when it does
   * not keep them any more, for a `transfer`.
   */
  | { readonly type: 'fetch'; readonly from: string; readonly sequence: number }
  /** The request was not taken; the client may try again later or elsewhere. */
  | { readonly type: 'refuse'; readonly operation: Uint8Array; readonly reason: RefusalReason };

export type RefusalReason = 'operation-size' | 'pending-full' | 'already-executed';
