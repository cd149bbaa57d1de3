import type { Verified } from '@nemea/core';
import type { Decision } from './certificate.ts';
import type { Member } from './configuration.ts';
import type { Statement } from './message.ts';

export type TimerId = 'progress' | 'pulse' | 'catch-up';

export type Input =
  /** A message from a peer or, through the driver, from oneself. */
  | { readonly type: 'message'; readonly statement: Verified<Statement> }
  /** An operation that somebody wants ordered. The rim also passes it to all other replicas. */
  | { readonly type: 'request'; readonly operation: Uint8Array }
  /**
   * The application has executed the decision of the last `commit` effect. `members` is the configuration from the
   * next sequence on, or null when execution did not change it [CONS-11].
   */
  | { readonly type: 'executed'; readonly sequence: number; readonly members: readonly Member[] | null }
  /** The answer to a `fetch` effect, unverified. */
  | { readonly type: 'decisions'; readonly decisions: readonly Decision[] }
  | { readonly type: 'timeout'; readonly id: TimerId };
