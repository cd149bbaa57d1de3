import { sha256 } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawBound, indexesInArc, isDrawn, type Odds, parseOutput, ringDistance, VrfError } from './index.ts';

const SPACE = 1n << 256n;
const ZEROS = new Uint8Array(32);
const ONES = new Uint8Array(32).fill(0xff);
const MAX = Number.MAX_SAFE_INTEGER;

const output = fc.oneof(fc.constant(0n), fc.constant(SPACE - 1n), fc.bigInt({ min: 0n, max: SPACE - 1n }));
const odds: fc.Arbitrary<Odds> = fc.oneof(fc.nat(1_000), fc.maxSafeNat()).chain((weightTotal) =>
  fc.record({
    weight: fc.oneof(fc.constant(0), fc.constant(Math.min(1, weightTotal)), fc.nat(weightTotal)),
    weightTotal: fc.constant(weightTotal),
    expected: fc.oneof(fc.nat(100), fc.maxSafeNat()),
  }),
);
const bytesOf = (value: bigint) => Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'));

describe('a draw [DRAW-2]', () => {
  test('is exactly beta * W < k * w * 2^256, at every size of numbers', () => {
    fc.assert(
      fc.property(output, odds, (beta, { weight, weightTotal, expected }) => {
        const wanted = beta * BigInt(weightTotal) < BigInt(expected) * BigInt(weight) * SPACE;
        expect(isDrawn({ beta: bytesOf(beta), weight, weightTotal, expected })).toBe(wanted);
      }),
      { numRuns: 1_000 },
    );
  });

  test('turns at one output: the bound is not drawn, what is just below it is', () => {
    fc.assert(
      fc.property(odds, (given) => {
        const bound = drawBound(given);
        if (bound < SPACE) expect(isDrawn({ beta: bytesOf(bound), ...given })).toBe(false);
        if (bound > 0n && bound <= SPACE) expect(isDrawn({ beta: bytesOf(bound - 1n), ...given })).toBe(true);
      }),
    );
  });

  test('of all zeros takes everybody who weighs anything, and nobody else', () => {
    const of = (weight: number, weightTotal: number, expected: number) =>
      isDrawn({ beta: ZEROS, weight, weightTotal, expected });
    expect([of(1, MAX, 1), of(MAX, MAX, 1), of(1, 1, 1)]).toEqual([true, true, true]);
    expect([of(0, MAX, MAX), of(0, 0, 1), of(1, 2, 0)]).toEqual([false, false, false]);
  });

  test('of all ones takes those only whose share is the whole jury', () => {
    const of = (weight: number, weightTotal: number, expected: number) =>
      isDrawn({ beta: ONES, weight, weightTotal, expected });
    expect([of(MAX - 1, MAX, 1), of(1, MAX, MAX - 1), of(0, MAX, MAX)]).toEqual([false, false, false]);
    expect([of(MAX, MAX, 1), of(1, MAX, MAX), of(MAX, MAX, MAX), of(1, 1, 1)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });

  test('takes everybody when as many are expected as there is weight, or more', () => {
    fc.assert(
      fc.property(output, fc.integer({ min: 1, max: MAX }), fc.nat(1_000), (beta, weightTotal, more) => {
        const expected = Math.min(MAX, weightTotal + more);
        expect(isDrawn({ beta: bytesOf(beta), weight: 1, weightTotal, expected })).toBe(true);
      }),
    );
  });

  test('takes nobody less often for more weight, a larger jury, or less weight of others', () => {
    fc.assert(
      fc.property(odds, fc.nat(1_000), ({ weight, weightTotal, expected }, more) => {
        fc.pre(weightTotal + more <= MAX && expected + more <= MAX);
        const bound = drawBound({ weight, weightTotal: weightTotal + more, expected });
        expect(drawBound({ weight: weight + more, weightTotal: weightTotal + more, expected }) >= bound).toBe(
          true,
        );
        expect(
          drawBound({ weight, weightTotal: weightTotal + more, expected: expected + more }) >= bound,
        ).toBe(true);
        if (weightTotal > 0) expect(drawBound({ weight, weightTotal, expected }) >= bound).toBe(true);
      }),
    );
  });

  test('gives all members together just the expected share of outputs, but for the rounding', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(10_000), { minLength: 1 }), fc.nat(1_000), (weights, expected) => {
        const weightTotal = weights.reduce((sum, weight) => sum + weight, 0);
        fc.pre(weightTotal > 0);
        const shares = weights.reduce(
          (sum, weight) => sum + drawBound({ weight, weightTotal, expected }),
          0n,
        );
        const excess = shares - BigInt(expected) * SPACE;
        expect(excess >= 0n && excess < BigInt(weights.length)).toBe(true);
      }),
    );
  });
});

describe('an arc of a ring [DRAW-3]', () => {
  const bits = 16;
  const place = fc.bigInt({ min: 0n, max: (1n << 16n) - 1n });
  const positions = fc
    .uniqueArray(place, { maxLength: 40 })
    .map((places) => places.sort((a, b) => (a < b ? -1 : 1)));

  test('holds those whose distance lies below the bound, each once', () => {
    fc.assert(
      fc.property(positions, place, fc.bigInt({ min: 0n, max: 1n << 17n }), (given, from, bound) => {
        const found = indexesInArc({ bits, positions: given }, from, bound);
        const wanted = given.flatMap((at, index) => (ringDistance(from, at, bits) < bound ? [index] : []));
        expect([...found].sort((a, b) => a - b)).toEqual(wanted);
        expect(new Set(found).size).toBe(found.length);
      }),
      { numRuns: 500 },
    );
  });

  test('has its ends as a draw has them: empty for no weight, the whole ring for all of it, and around the end', () => {
    const ring = { bits, positions: [0n, 5n, 65_535n] };
    expect(indexesInArc(ring, 0n, 0n)).toEqual([]);
    expect(indexesInArc(ring, 5n, 1n << 16n)).toEqual([1, 2, 0]);
    expect(indexesInArc(ring, 65_535n, 2n)).toEqual([2, 0]);
    expect(indexesInArc({ bits, positions: [] }, 3n, 1n << 16n)).toEqual([]);
  });

  test('is refused when it does not begin on the ring', () => {
    for (const from of [-1n, 1n << 16n]) {
      expect(() => indexesInArc({ bits, positions: [0n] }, from, 1n)).toThrow(VrfError);
    }
    expect(() => indexesInArc({ bits, positions: [0n] }, 0n, -1n)).toThrow(VrfError);
    expect(() => parseOutput(sha256().subarray(1))).toThrow(VrfError);
  });
});
