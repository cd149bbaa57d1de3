import type { Verified } from '@nemea/core';
import type { Decision } from './certificate.ts';
import type { Transfer } from './checkpoint.ts';
import type { Member } from './configuration.ts';
import type { Statement } from './message.ts';

export type TimerId = 'progress' | 'pulse' | 'catch-up';

export type Input =
  /** A message from a peer or, through the driver, from oneself. */
  | { readonly type: 'message'; readonly statement: Verified<Statement> }
  /** An operation that somebody wants ordered. The rim also passes it to all other replicas. */
  | { readonly type: 'request'; readonly operation: Uint8Array }
  /**
   * The application has executed the decision of the last `commit` effect. `members` is who is to vote from now on, or
   * null when execution did not change it; it takes effect at the beginning of an epoch [CONS-11]. `state` is the
   * digest of the application's state after a sequence that ends an interval; without it there is no transfer.
   */
  | {
      readonly type: 'executed';
      readonly sequence: number;
      readonly members: readonly Member[] | null;
      /** An epoch is to begin although `members` may be the same: somebody waits for one [CONS-25]. */
      readonly renews?: boolean;
      readonly state?: Uint8Array;
    }
  /** The answer to a `fetch` effect, unverified. */
  | { readonly type: 'decisions'; readonly decisions: readonly Decision[] }
  /** Another answer to a `fetch`: a state to go on from. The rim has the application's half of it, of the same digest. */
  | { readonly type: 'transfer'; readonly transfer: Transfer }
  | { readonly type: 'timeout'; readonly id: TimerId };
