import { type EquivocationProof, equivocationEpoch, type SignedMessage } from '@nemea/consensus';
import { type MembershipState, ROSTER_MAX } from '@nemea/membership';
import type { NodeContext } from '../context.ts';

const AGAIN_MS = 10_000;
/** After it the proof is given up: nobody takes it, or the network rests. */
const FOR_MS = 3_600_000;

interface Held {
  readonly proof: EquivocationProof;
  readonly sinceMs: number;
  askedMs: number;
}

/** Puts proofs that a member contradicted itself into the order until each is decided, one of each member at a time [MEMB-43]. */
export class EquivocationDuty {
  readonly #context: NodeContext;
  readonly #held = new Map<string, Held>();

  constructor(context: NodeContext) {
    this.#context = context;
  }

  /** A newer proof takes the place of an older one: it is of a later epoch of consensus. */
  take(culprit: string, proof: EquivocationProof): void {
    // Whoever runs twice by mistake leaves it to the others to say so.
    if (culprit === this.#context.ledger.account) return;
    if (this.#held.size >= ROSTER_MAX && !this.#held.has(culprit)) return;
    const nowMs = this.#context.clock.elapsedMs();
    this.#held.set(culprit, { proof, sinceMs: nowMs, askedMs: Number.NEGATIVE_INFINITY });
  }

  onBlock(): void {
    const { clock, propose, self, state } = this.#context;
    if (self() === undefined) return;
    const nowMs = clock.elapsedMs();
    for (const [culprit, held] of this.#held) {
      if (isOver(state(), culprit, held.proof) || nowMs - held.sinceMs > FOR_MS) {
        this.#held.delete(culprit);
        continue;
      }
      if (nowMs - held.askedMs < AGAIN_MS) continue;
      held.askedMs = nowMs;
      const { first, second } = held.proof;
      propose({ kind: 'prove-equivocation', culprit, first: signedOf(first), second: signedOf(second) });
    }
  }
}

function signedOf({ payload, signature }: SignedMessage) {
  return { payload, signature };
}

/** Decided, by whosever operation; or about somebody who is no member any more. */
function isOver(
  { roster, answeredThrough }: MembershipState,
  culprit: string,
  proof: EquivocationProof,
): boolean {
  return !roster.has(culprit) || (answeredThrough.get(culprit) ?? 0) >= equivocationEpoch(proof);
}
