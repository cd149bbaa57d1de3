/** No owner weighs more than one in this many, once there are as many owners [MEMB-39]. */
export const OWNER_SHARES = 10;

/** A member's weight, and whose it is. */
export interface OwnedWeight {
  readonly owner: string;
  readonly weight: number;
}

/**
 * Weights with the cap on owners, in the order given. The cap is the largest whole number that is no more than a tenth of what all owners weigh
 * under it; an owner beyond it is cut to it, its members in proportion, and what rounding leaves goes to the first of
 * them. With fewer than ten owners nobody can weigh a tenth only, and nothing is cut.
 */
export function capByOwner(members: readonly OwnedWeight[]): number[] {
  const owners = new Map<string, number>();
  for (const { owner, weight } of members) owners.set(owner, (owners.get(owner) ?? 0) + weight);
  const cap = ownerCap([...owners.values()]);
  const capped = members.map(({ owner, weight }) => {
    const total = owners.get(owner) ?? 0;
    return total <= cap ? weight : Math.floor((weight * cap) / total);
  });
  const sums = new Map<string, number>();
  for (const [i, { owner }] of members.entries())
    sums.set(owner, (sums.get(owner) ?? 0) + (capped[i] as number));
  return capped.map((weight, i) => {
    const { owner } = members[i] as OwnedWeight;
    const sum = sums.get(owner) ?? 0;
    if (sum >= Math.min(cap, owners.get(owner) ?? 0)) return weight;
    sums.set(owner, sum + 1);
    return weight + 1;
  });
}

/** The cap for owners of these weights; the largest safe integer where there is none. */
export function ownerCap(owners: readonly number[]): number {
  const rising = owners.filter((weight) => weight > 0).sort((a, b) => a - b);
  if (rising.length < OWNER_SHARES) return Number.MAX_SAFE_INTEGER;
  // With n owners left at or above the cap, it is a tenth of (those below) + n caps: (those below) / (10 - n).
  let below = 0;
  for (const [i, weight] of rising.entries()) {
    const capped = rising.length - i;
    const cap = capped < OWNER_SHARES ? Math.floor(below / (OWNER_SHARES - capped)) : Number.MAX_SAFE_INTEGER;
    if (cap < weight) return cap;
    below += weight;
  }
  return Number.MAX_SAFE_INTEGER;
}
