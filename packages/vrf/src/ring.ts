import { VrfError } from './errors.ts';

/**
 * Draws of one output for many targets. Targets stand on a ring of 2^bits places; an output draws those that stand in the arc that
 * begins at it and is as long as its owner's draw bound. Where a target stands has nothing to do with the output, so it is
 * drawn with the very probability that a draw of its own would give it, for one proof instead of many [DRAW-3].
 */
export interface Ring {
  readonly bits: number;
  /** Places of the targets, rising. */
  readonly positions: ArrayLike<bigint>;
}

/** Steps from one place of a ring up to another: what is compared with the draw bound. */
export function ringDistance(from: bigint, to: bigint, bits: number): bigint {
  return BigInt.asUintN(bits, to - from);
}

/** Indexes of the positions in the arc of `bound` places that begins at `from`, in the order of the walk, each once. */
export function indexesInArc({ bits, positions }: Ring, from: bigint, bound: bigint): number[] {
  if (bound < 0n || from < 0n || from >> BigInt(bits) !== 0n) {
    throw new VrfError(
      'VRF_DRAW_INVALID',
      `arc: got ${bound} places from ${from}, want them on a ring of 2^${bits}`,
    );
  }
  const found: number[] = [];
  const count = positions.length;
  const first = firstAtLeast(positions, from);
  for (let step = 0; step < count; step++) {
    const index = first + step < count ? first + step : first + step - count;
    if (ringDistance(from, positions[index] as bigint, bits) >= bound) break;
    found.push(index);
  }
  return found;
}

/** Index of the first position that is not below a place; their number when all are. */
function firstAtLeast(positions: ArrayLike<bigint>, place: bigint): number {
  let [low, high] = [0, positions.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((positions[middle] as bigint) < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
