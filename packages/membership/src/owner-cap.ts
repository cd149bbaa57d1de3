/** No owner weighs more than one in this many, or than its heaviest member, once there are as many owners [MEMB-39]. */
export const OWNER_SHARES = 10;

/** A member's weight, and whose it is. */
export interface OwnedWeight {
  readonly owner: string;
  readonly weight: number;
}

/**
 * Weights with the cap on owners, in the order given. The cap is the largest whole number that is no more than a tenth of what all owners weigh
 * under it. An owner beyond it is cut to it, but never below its heaviest member: whoever runs one machine loses nothing by others
 * joining. Its members are cut in proportion, and what rounding leaves goes to the first of them. With fewer than ten owners
 * nobody can weigh a tenth only, and nothing is cut.
 */
export function capByOwner(members: readonly OwnedWeight[]): number[] {
  const owners = new Map<string, { total: number; heaviest: number }>();
  for (const { owner, weight } of members) {
    const { total, heaviest } = owners.get(owner) ?? NOTHING;
    owners.set(owner, { total: total + weight, heaviest: Math.max(heaviest, weight) });
  }
  const cap = ownerCap([...owners.values()].map(({ total }) => total));
  const limits = new Map(
    [...owners].map(([owner, { total, heaviest }]) => [owner, Math.min(total, Math.max(cap, heaviest))]),
  );
  const sums = new Map<string, number>();
  const shares = members.map(({ owner, weight }) => {
    const { total } = owners.get(owner) ?? NOTHING;
    const limit = limits.get(owner) ?? 0;
    const share = total === limit ? weight : Math.floor((weight * limit) / total);
    sums.set(owner, (sums.get(owner) ?? 0) + share);
    return share;
  });
  return shares.map((share, i) => {
    const { owner } = members[i] as OwnedWeight;
    const sum = sums.get(owner) ?? 0;
    if (sum === limits.get(owner)) return share;
    sums.set(owner, sum + 1);
    return share + 1;
  });
}

const NOTHING = { total: 0, heaviest: 0 };

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
