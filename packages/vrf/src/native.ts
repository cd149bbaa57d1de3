import { fromHex } from '@nemea/core';
import { p256 } from '@noble/curves/nist.js';
import { BASE, type CurvePoint, ORDER, toScalar } from './curve.ts';

type NodeCrypto = typeof import('node:crypto');

/** Arithmetic on public points of P-256 by OpenSSL: exact, and twenty times as fast as in JavaScript. */
export interface NativeCurve {
  /** The point of a compressed form; null when it is none. */
  decompress(bytes: Uint8Array): CurvePoint | null;
  /**
   * The base point times k, and each of the points times k in projective coordinates; null unless 0 < k < n - 1. The
   * points are on the curve, not the identity, and in affine form.
   */
  multiply(k: bigint, points: readonly CurvePoint[]): { base: CurvePoint; multiples: CurvePoint[] } | null;
}

const CURVE_NAME = 'prime256v1';
const { a: A, b: B, p: P } = p256.Point.CURVE();
const COORDINATE_DIGITS = 64;

/** Node's own crypto, asked for at run time so that this package loads in a browser; null where it is not, or errs. */
export const nativeCurve: NativeCurve | null = openNativeCurve();

function openNativeCurve(): NativeCurve | null {
  const crypto = globalThis.process?.getBuiltinModule?.('node:crypto');
  if (typeof crypto?.ECDH?.convertKey !== 'function') return null;
  try {
    const curve = curveOf(crypto);
    return isRight(curve) ? curve : null;
  } catch {
    return null; // an OpenSSL without this curve: the arithmetic in JavaScript does the same
  }
}

function curveOf({ createECDH, ECDH }: NodeCrypto): NativeCurve {
  // One object for all scalars, which are public: opening another costs as much as a multiplication of the base point.
  const key = createECDH(CURVE_NAME);
  const load = (k: bigint): void => key.setPrivateKey(digits(k), 'hex');
  return {
    decompress(bytes) {
      try {
        return fromUncompressed(String(ECDH.convertKey(bytes, CURVE_NAME, undefined, 'hex', 'uncompressed')));
      } catch {
        return null; // OpenSSL reports a point off the curve only by throwing
      }
    },
    multiply(k, points) {
      if (k <= 0n || k >= ORDER - 1n) return null;
      const encoded = points.map(toHex);
      const abscissas = (): bigint[] => encoded.map((hex) => toBigInt(key.computeSecret(hex, 'hex', 'hex')));
      load(k);
      const base = fromUncompressed(key.getPublicKey('hex'));
      const xs = abscissas();
      load(k + 1n);
      const xsNext = abscissas();
      const multiples = points.map((point, i) => recover(point, xs[i] as bigint, xsNext[i] as bigint));
      return { base, multiples };
    },
  };
}

function fromUncompressed(hex: string): CurvePoint {
  const middle = 2 + COORDINATE_DIGITS;
  return new p256.Point(toBigInt(hex.slice(2, middle)), toBigInt(hex.slice(middle)), 1n);
}

function toHex({ x, y }: CurvePoint): string {
  return `04${digits(x)}${digits(y)}`;
}

function toBigInt(hex: string): bigint {
  return BigInt(`0x${hex}`);
}

function digits(value: bigint): string {
  return value.toString(16).padStart(COORDINATE_DIGITS, '0');
}

/**
 * kP from the abscissas of kP and (k+1)P, which is all that ECDH tells. From the addition law for kP + P,
 * y(kP) = ((x' + x)(x'x + a) + 2b - x''(x' - x)^2) / 2y with P = (x, y), x' of kP and x'' of (k+1)P (Brier and Joye 2002,
 * proposition 3). It holds for every k but 0, -1; 2y is never 0, because no point of P-256 has order 2.
 */
function recover(point: CurvePoint, x: bigint, xNext: bigint): CurvePoint {
  const { x: px, y: py } = point;
  const difference = x - px;
  const numerator = (x + px) * (x * px + A) + 2n * B - xNext * ((difference * difference) % P);
  const denominator = (2n * py) % P;
  return new p256.Point((x * denominator) % P, modP(numerator), denominator);
}

function modP(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

/** One known answer, so that a runtime that only looks like Node is never believed. */
function isRight(curve: NativeCurve): boolean {
  const k = toScalar(fromHex('c3'.repeat(32))) % ORDER;
  const want = BASE.multiply(k);
  const base = curve.decompress(BASE.toBytes(true));
  const got = base === null ? null : curve.multiply(k, [base]);
  return (
    got?.base.equals(want) === true &&
    got.multiples[0]?.equals(want) === true &&
    curve.decompress(fromHex(`02${'ff'.repeat(32)}`)) === null
  );
}
