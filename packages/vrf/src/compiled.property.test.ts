import { fromUtf8, sha256 } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compiledCommitments, portableCommitments } from './commitments.ts';
import { type CompiledCurve, compiledCurve, type Term } from './compiled.ts';
import { BASE, type CurvePoint, ORDER } from './curve.ts';
import { hashToCurvePoint } from './hash-to-curve.ts';
import { decompressPortable } from './point.ts';

const curve = compiledCurve as CompiledCurve;
const EDGES = [0n, 1n, 2n, 3n, ORDER - 2n, ORDER - 1n, ORDER >> 1n, (1n << 128n) - 1n, 1n << 128n];
const scalar = fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: 0n, max: ORDER - 1n }));
/** Of which nobody knows what multiples they are of each other or the base point. */
const point = fc.nat().map((seed) => hashToCurvePoint(BASE.toBytes(true), fromUtf8(`${seed}`)));

function affine(it: CurvePoint): CurvePoint {
  return decompressPortable(it.toBytes(true)) as CurvePoint;
}

function textOf(it: CurvePoint): string {
  return it.is0() ? 'zero' : it.toHex(true);
}

test('there is a compiled curve in Node', () => {
  expect(compiledCurve).not.toBeNull();
});

test('WebAssembly and noble combine alike, also at the ends of the range', () => {
  fc.assert(
    fc.property(scalar, scalar, scalar, point, point, (k, a, b, first, second) => {
      const got = curve.combine(k, [
        { point: first, scalar: a },
        { point: second, scalar: b },
      ]);
      const want = [BASE.multiplyUnsafe(k), first.multiplyUnsafe(a), second.multiplyUnsafe(b)];
      expect(got).not.toBeNull();
      expect(textOf(got as CurvePoint)).toBe(textOf(want.reduce((sum, it) => sum.add(it))));
    }),
    { numRuns: 100 },
  );
});

test('what comes by the identity on the way gets no answer, what ends there does', () => {
  const opposite = (scalarOfIt: bigint): [Term, Term] => [
    { point: BASE, scalar: scalarOfIt },
    { point: BASE.negate(), scalar: scalarOfIt },
  ];
  expect(curve.combine(0n, opposite(ORDER >> 1n))).toBeNull();
  expect(curve.combine(0n, opposite(1n))?.is0()).toBe(true);
  expect(curve.combine(0n, opposite(0n))?.is0()).toBe(true);
  expect(curve.combine(ORDER - 1n, [{ point: BASE, scalar: 1n }])?.is0()).toBe(true);
});

test('both decompress alike, and find the same digests to be no point', () => {
  let points = 0;
  for (let i = 0; i < 200; i++) {
    const bytes = Uint8Array.of(2 + (i & 1), ...sha256(Uint8Array.of(i)));
    const want = decompressPortable(bytes);
    const got = curve.decompress(bytes);
    expect(got === null ? null : got.toHex(true)).toBe(want === null ? null : want.toHex(true));
    points += want === null ? 0 : 1;
  }
  expect(points).toBeGreaterThan(50);
  expect(points).toBeLessThan(150);
  for (const x of [new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
    const bytes = Uint8Array.of(2, ...x);
    expect(curve.decompress(bytes) === null).toBe(decompressPortable(bytes) === null);
  }
});

test('both find the same commitments, for true and for false claims', () => {
  fc.assert(
    fc.property(scalar, scalar, point, point, fc.boolean(), (s, c, y, other, honest) => {
      const h = hashToCurvePoint(y.toBytes(true), new Uint8Array(1));
      const gamma = honest ? affine(h.multiplyUnsafe(s === 0n ? 1n : s)) : other;
      const claim = { y, h, gamma, s, c };
      const got = compiledCommitments(curve, claim)?.map(textOf);
      expect(got).toEqual(portableCommitments(claim).map(textOf));
    }),
    { numRuns: 50 },
  );
});

test('both find the same where key, image and base coincide', () => {
  const h = hashToCurvePoint(BASE.toBytes(true), new Uint8Array(1));
  for (const gamma of [BASE, BASE.negate(), h, h.negate()]) {
    for (const y of [BASE, BASE.negate(), h]) {
      const claim = { y, h, gamma, s: 7n, c: 5n };
      const got = compiledCommitments(curve, claim)?.map(textOf);
      expect(got).toEqual(portableCommitments(claim).map(textOf));
    }
  }
});
