import type { Context, Outcome } from './machine.ts';

/** Each asks consensus for an epoch of its own: no member may keep all others beginning anew. */
const REJOINS_PER_EPOCH = 2;

/**
 * A member that has lost its journal puts an operation into the order that nobody has seen before. It votes again in the
 * epoch of consensus that begins because of it [MEMB-42].
 */
export function rejoin({ state, author }: Context): Outcome {
  const count = state.rejoins.get(author.account) ?? 0;
  if (count >= REJOINS_PER_EPOCH) return { rejected: 'ALREADY_DONE' };
  const rejoins = new Map(state.rejoins).set(author.account, count + 1);
  return { state: { ...state, rejoins }, effects: [{ type: 'rejoined', account: author.account }] };
}
