import { ByteWriter, concatBytes, fromUtf8, sha256 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { drawBound, indexesInArc, isDrawn, parseOutput, ringDistance } from './index.ts';

/**
 * Statistics of draws over as many outputs as are asked for: the same claims for the quick test and for the long one. The seed is fixed, so a
 * run is repeated to the last bit; each claim is refused at a significance of 0.001.
 */
const SEED = fromUtf8('nemea distribution of draws');
const WEIGHTS = [1, 1, 2, 3, 4, 5, 7, 10, 14, 20, 31, 44, 61, 77, 90, 100];
const EXPECTED = 4;
const WEIGHT_TOTAL = WEIGHTS.reduce((sum, weight) => sum + weight, 0);
const CHANCES = WEIGHTS.map((weight) => (EXPECTED * weight) / WEIGHT_TOTAL);

/** Values that chi-square exceeds with probability 0.001, by degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.4). */
const CRITICAL: Record<number, number> = { 6: 22.458, 7: 24.322, 16: 39.252, 64: 104.716 };

export function describeDistribution(draws: number): void {
  describe(`over ${draws} draws`, () => {
    const juries = Math.floor(draws / WEIGHTS.length);

    test('each member is drawn by its weight, no more and no less often [DRAW-2]', () => {
      const times = WEIGHTS.map(() => 0);
      forEachJury(juries, (_jury, drawn) => {
        for (const member of drawn) times[member] = (times[member] as number) + 1;
      });
      const distance = times.reduce((sum, drawn, member) => {
        const chance = CHANCES[member] as number;
        return sum + (drawn - juries * chance) ** 2 / (juries * chance * (1 - chance));
      }, 0);
      expectBelow(distance, WEIGHTS.length);
    });

    test('juries are as large as independent draws make them, about the expected size [DRAW-2]', () => {
      const sizes = [0, 0, 0, 0, 0, 0, 0];
      forEachJury(juries, (_jury, drawn) => count(sizes, drawn.length - 1));
      expectBelow(chiSquare(sizes, jurySizes(CHANCES)), sizes.length - 1);
    });

    test('juries of targets on a ring are just as large [DRAW-3]', () => {
      const sizes = [0, 0, 0, 0, 0, 0, 0];
      for (let jury = 0; jury < juries; jury++) {
        const place = parseOutput(output(jury, WEIGHTS.length));
        const drawn = WEIGHTS.filter((weight, member) => {
          const distance = ringDistance(parseOutput(output(jury, member)), place, 256);
          return distance < drawBound({ weight, weightTotal: WEIGHT_TOTAL, expected: EXPECTED });
        });
        count(sizes, drawn.length - 1);
      }
      expectBelow(chiSquare(sizes, jurySizes(CHANCES)), sizes.length - 1);
    });

    test('an arc draws every target equally often, and as many as draws of their own would [DRAW-3]', () => {
      const targets = 64;
      const rounds = Math.floor(draws / targets);
      const chance = 1 / 16;
      const times = new Array<number>(targets).fill(0);
      const sizes = [0, 0, 0, 0, 0, 0, 0, 0];
      const bound = drawBound({ weight: 1, weightTotal: 16, expected: 1 });
      for (let round = 0; round < rounds; round++) {
        const places = times
          .map((_times, target) => ({ target, place: parseOutput(output(round, target)) }))
          .sort((a, b) => (a.place < b.place ? -1 : 1));
        const ring = { bits: 256, positions: places.map(({ place }) => place) };
        const drawn = indexesInArc(ring, parseOutput(output(round, targets)), bound);
        count(sizes, drawn.length);
        for (const index of drawn) {
          const { target } = places[index] as { target: number };
          times[target] = (times[target] as number) + 1;
        }
      }
      const distance = times.reduce(
        (sum, drawn) => sum + (drawn - rounds * chance) ** 2 / (rounds * chance * (1 - chance)),
        0,
      );
      expectBelow(distance, targets);
      const binomial = sizesOf(new Array<number>(targets).fill(chance));
      expectBelow(chiSquare(sizes, tailed(binomial, 0, sizes.length)), sizes.length - 1);
    });
  });
}

function forEachJury(juries: number, visit: (jury: number, drawn: readonly number[]) => void): void {
  for (let jury = 0; jury < juries; jury++) {
    const drawn = WEIGHTS.flatMap((weight, member) => {
      const odds = { weight, weightTotal: WEIGHT_TOTAL, expected: EXPECTED };
      return isDrawn({ beta: output(jury, member), ...odds }) ? [member] : [];
    });
    visit(jury, drawn);
  }
}

/** What stands for a VRF output here: VRF outputs are hashes as well. */
function output(round: number, index: number): Uint8Array {
  return sha256(concatBytes(SEED, new ByteWriter().u32(round).u32(index).toBytes()));
}

/** Counts a value in its bin; what lies beyond the ends belongs to the first or last one. */
function count(bins: number[], value: number): void {
  const bin = Math.min(Math.max(value, 0), bins.length - 1);
  bins[bin] = (bins[bin] as number) + 1;
}

/** Chances of a jury of at most one, of two, ..., of six, and of more. */
function jurySizes(chances: readonly number[]): number[] {
  return tailed(sizesOf(chances), 1, 7);
}

/** Chances of 0, 1, 2, ... drawn among independent ones. */
function sizesOf(chances: readonly number[]): number[] {
  let sizes = [1];
  for (const chance of chances) {
    const next = [...sizes, 0].map((same, size) => same * (1 - chance) + (sizes[size - 1] ?? 0) * chance);
    sizes = next;
  }
  return sizes;
}

/** Some bins of a distribution from one value on; the first and last hold what lies beyond. */
function tailed(sizes: readonly number[], first: number, bins: number): number[] {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const middle = sizes.slice(first + 1, first + bins - 1);
  return [sum(sizes.slice(0, first + 1)), ...middle, sum(sizes.slice(first + bins - 1))];
}

function chiSquare(counts: readonly number[], chances: readonly number[]): number {
  const total = counts.reduce((sum, times) => sum + times, 0);
  return counts.reduce((distance, times, bin) => {
    const wanted = total * (chances[bin] as number);
    return distance + (times - wanted) ** 2 / wanted;
  }, 0);
}

function expectBelow(distance: number, degrees: number): void {
  const critical = CRITICAL[degrees];
  if (critical === undefined) throw new Error(`no critical value for ${degrees} degrees of freedom`);
  expect(distance).toBeLessThan(critical);
}
