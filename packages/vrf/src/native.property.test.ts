import { sha256 } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nativeCommitments, portableCommitments } from './commitments.ts';
import { BASE, type CurvePoint, ORDER } from './curve.ts';
import { hashToCurvePoint } from './hash-to-curve.ts';
import { type NativeCurve, nativeCurve } from './native.ts';
import { decompressPortable } from './point.ts';

const native = nativeCurve as NativeCurve;
const EDGES = [1n, 2n, 3n, ORDER - 3n, ORDER - 2n, ORDER >> 1n, 1n << 127n, (1n << 128n) - 1n];
const scalar = fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: 1n, max: ORDER - 2n }));
const point = fc.bigInt({ min: 1n, max: ORDER - 1n }).map((k) => affine(BASE.multiply(k)));

function affine(it: CurvePoint): CurvePoint {
  return decompressPortable(it.toBytes(true)) as CurvePoint;
}

function textOf(it: CurvePoint): string {
  return it.is0() ? 'zero' : it.toHex(true);
}

test('there is a native curve in Node', () => {
  expect(nativeCurve).not.toBeNull();
});

test('OpenSSL and noble multiply alike, also near the ends of the range', () => {
  fc.assert(
    fc.property(scalar, point, point, (k, first, second) => {
      const got = native.multiply(k, [first, second, BASE]);
      const want = [first, second, BASE].map((it) => it.multiplyUnsafe(k));
      expect(got?.base.equals(BASE.multiplyUnsafe(k))).toBe(true);
      expect(got?.multiples.map((it) => it.toHex(true))).toEqual(want.map((it) => it.toHex(true)));
    }),
    { numRuns: 40 },
  );
});

test('a multiple of a point with itself or its inverse as a neighbour is right', () => {
  for (const k of EDGES) {
    const [got] = native.multiply(k, [BASE.negate()])?.multiples ?? [];
    expect(got?.equals(BASE.negate().multiplyUnsafe(k)), String(k)).toBe(true);
  }
});

test('scalars that OpenSSL does not take, or whose neighbour it does not, get no answer', () => {
  for (const k of [0n, -1n, ORDER - 1n, ORDER, ORDER + 1n]) expect(native.multiply(k, [BASE])).toBeNull();
});

test('both decompress alike, and find the same digests to be no point', () => {
  let points = 0;
  for (let i = 0; i < 200; i++) {
    const bytes = Uint8Array.of(2 + (i & 1), ...sha256(Uint8Array.of(i)));
    const want = decompressPortable(bytes);
    const got = native.decompress(bytes);
    expect(got === null ? null : got.toHex(true)).toBe(want === null ? null : want.toHex(true));
    points += want === null ? 0 : 1;
  }
  expect(points).toBeGreaterThan(50);
  expect(points).toBeLessThan(150);
  for (const x of [new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
    const bytes = Uint8Array.of(2, ...x);
    expect(native.decompress(bytes) === null).toBe(decompressPortable(bytes) === null);
  }
});

test('both find the same commitments, for true and for false claims', () => {
  fc.assert(
    fc.property(scalar, scalar, point, point, fc.boolean(), (s, c, y, other, honest) => {
      const h = hashToCurvePoint(y.toBytes(true), new Uint8Array(1));
      const gamma = honest ? affine(h.multiply(s)) : other;
      const claim = { y, h, gamma, s, c };
      const got = nativeCommitments(native, claim)?.map(textOf);
      expect(got).toEqual(portableCommitments(claim).map(textOf));
    }),
    { numRuns: 25 },
  );
});

test('both find the same where key, image and base coincide', () => {
  const h = hashToCurvePoint(BASE.toBytes(true), new Uint8Array(1));
  for (const gamma of [BASE, BASE.negate(), h, h.negate()]) {
    for (const y of [BASE, BASE.negate(), h]) {
      const claim = { y, h, gamma, s: 7n, c: 5n };
      const got = nativeCommitments(native, claim)?.map(textOf);
      expect(got).toEqual(portableCommitments(claim).map(textOf));
    }
  }
});
