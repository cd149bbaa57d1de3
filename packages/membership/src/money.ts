/**
 * How deposits and fees are shared out on layer 1, in basis points of whole units of the token; what rounding leaves stays with the
 * reserve. Forfeit.sol and FeeSplit.sol say the same; `vectors/credit` holds both to one truth [MEMB-40].
 */
const BPS = 10_000n;
export const SLASH_BPS = 5_000n;
export const REWARD_BPS = 5_000n;
export const EXECUTOR_BPS = 5_000n;
export const VERIFIERS_BPS = 2_000n;
export const OWNERS_BPS = 2_500n;

export interface Slash {
  readonly forfeited: bigint;
  /** What the reporter gets of it. */
  readonly reward: bigint;
  readonly reserve: bigint;
  /** What the offender keeps for now. */
  readonly deposit: bigint;
}

/** A proven fault forfeits half of the deposit, and half of that goes to whoever reported it. An eviction forfeits all of it to the reserve. */
export function slash(deposit: bigint): Slash {
  const forfeited = (deposit * SLASH_BPS) / BPS;
  const reward = (forfeited * REWARD_BPS) / BPS;
  return { forfeited, reward, reserve: forfeited - reward, deposit: deposit - forfeited };
}

export interface FeeShares {
  readonly executor: bigint;
  readonly perVerifier: bigint;
  readonly perCapsule: bigint;
  /** The owners' share where a task uses no capsule. */
  readonly creator: bigint;
  readonly reserve: bigint;
}

/** Divides the fee of a settled task among at least one verifier and the owners of its capsules. */
export function divideFee(fee: bigint, verifiers: number, capsules: number): FeeShares {
  const executor = (fee * EXECUTOR_BPS) / BPS;
  const perVerifier = (fee * VERIFIERS_BPS) / BPS / BigInt(verifiers);
  const owners = (fee * OWNERS_BPS) / BPS;
  const perCapsule = capsules === 0 ? 0n : owners / BigInt(capsules);
  const creator = capsules === 0 ? owners : 0n;
  const reserve = fee - executor - creator - perVerifier * BigInt(verifiers) - perCapsule * BigInt(capsules);
  return { executor, perVerifier, perCapsule, creator, reserve };
}
