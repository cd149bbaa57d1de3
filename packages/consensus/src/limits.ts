/**
 * Bounds of everything a peer can make a replica hold [CONS-23]. Those on operations and batches are part of
 * the protocol: replicas that disagreed on them would disagree on which proposals are valid.
 */
export const MEMBERS_MAX = 128;
export const MEMBER_ID_LENGTH_MAX = 128;
/** With `VIEW_MAX` and `TURN_MAX` it keeps lap * weight in `primaryOf` an exact integer. */
export const WEIGHT_MAX = 2 ** 20;
export const VIEW_MAX = 2 ** 31;
export const TURN_MAX = 2 ** 31;

export const OPERATION_BYTES_MAX = 256 * 1024;
export const BATCH_OPERATIONS_MAX = 512;
export const BATCH_BYTES_MAX = 1024 * 1024;
/** A new view of 128 members with a prepared certificate in each view change fits twice. */
export const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;

export const PENDING_OPERATIONS_MAX = 4096;
export const PENDING_BYTES_MAX = 16 * 1024 * 1024;
/** How many executed operations are remembered, so that none of them is executed again. */
export const OPERATION_WINDOW = 8192;

/** Votes of views further away than this are not kept: a replica so far off catches up by decisions instead. */
export const VIEW_DISTANCE_MAX = 3;
/** Statements kept of one sender about the sequence that is not open yet. */
export const FUTURE_STATEMENTS_MAX = 6;
export const CLAIMS_MAX = 256;
export const DECISIONS_MAX = 256;
/** Oldest pending operations that a pulse passes on to the others. */
export const FORWARD_OPERATIONS_MAX = 16;

export const CHECKPOINT_INTERVAL = 16;
export const BACKOFF_DOUBLINGS_MAX = 6;
