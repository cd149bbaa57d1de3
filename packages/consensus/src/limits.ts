/**
 * Bounds of everything a peer can make a replica hold [CONS-23]. Those on operations, batches, intervals and the
 * window are part of the protocol: replicas that disagreed on them would disagree on which proposals are valid.
 */
export const MEMBERS_MAX = 128;
export const MEMBER_ID_LENGTH_MAX = 128;
/** With `VIEW_MAX` and `TURN_MAX` it keeps lap * weight in `primaryOf` an exact integer. */
export const WEIGHT_MAX = 2 ** 20;
export const VIEW_MAX = 2 ** 31;
export const TURN_MAX = 2 ** 31;

/** What a signature covers has fixed fields and is far shorter. */
export const PAYLOAD_BYTES_MAX = 256;
export const OPERATION_BYTES_MAX = 256 * 1024;
export const BATCH_OPERATIONS_MAX = 1024;
export const BATCH_BYTES_MAX = 1024 * 1024;
/** A batch of the largest size, or a new view of 128 members, with room to spare. */
export const MESSAGE_BYTES_MAX = 2 * 1024 * 1024;

/** Every so many sequences members sign what they have executed, and an epoch may begin [CONS-20] [CONS-11]. */
export const CHECKPOINT_INTERVAL = 16;
/** How far votes may run ahead of the last executed interval [CONS-7]. Two intervals: [CONS-26] rests on it. */
export const WINDOW = 2 * CHECKPOINT_INTERVAL;

export const PENDING_OPERATIONS_MAX = 40 * 1024;
export const PENDING_BYTES_MAX = 32 * 1024 * 1024;
/** How many operations are remembered after they were ordered, so that none of them is ordered again. */
export const OPERATION_WINDOW = 8192;

/** Executed sequences whose operations are remembered; among them may be some without operations. */
export const RECENT_MAX = 16 * OPERATION_WINDOW;
/** Checkpoints kept of one member, and own ones that are not stable yet. */
export const CHECKPOINTS_KEPT = 3;

/** Votes of views further away than this are not kept: a replica so far off catches up by decisions instead. */
export const VIEW_DISTANCE_MAX = 3;
/** Votes are kept this far ahead of what is decided, for a replica that runs a little behind the others. */
export const VOTES_AHEAD_MAX = 2 * WINDOW;
/** Batches kept of views that decided nothing, beside those that may be needed to go on: the newest. */
export const PROPOSALS_MAX = 8 * WINDOW;
/** Statements kept of one sender about the epoch that has not begun. */
export const FUTURE_STATEMENTS_MAX = 3 * CHECKPOINT_INTERVAL;
/** Of the batches among them: what is not kept is said again once the epoch has begun. */
export const FUTURE_BYTES_MAX = 4 * BATCH_BYTES_MAX;
export const CLAIMS_MAX = 256;
/** How often a peer is helped between two pulses, and within an interval: an answer may be a thousand times as long as what asked for it. */
export const HELP_MAX = 8;
export const DECISIONS_MAX = 256;
/** Decisions that may wait for the application; more are not taken over from peers. */
export const EXECUTION_QUEUE_MAX = WINDOW;
/** Oldest pending operations that a pulse passes on to the others. */
export const FORWARD_OPERATIONS_MAX = 16;
/** Undecided sequences whose statements a pulse repeats. */
export const REPEATED_SEQUENCES_MAX = 4;

/** The journal is replaced by one record at a stable checkpoint, but not more often than this. */
export const COMPACTION_INTERVAL = 4 * CHECKPOINT_INTERVAL;
export const BACKOFF_DOUBLINGS_MAX = 6;
/** Certificates of epoch beginnings in one transfer. */
export const LINKS_MAX = 1024;
