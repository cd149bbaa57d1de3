import { concatBytes, sha256 } from '@nemea/core';
import { p256 } from '@noble/curves/nist.js';
import { BACK, type CurvePoint, HASH_TO_CURVE_FRONT, SUITE } from './curve.ts';
import { VrfError } from './errors.ts';

const EVEN = Uint8Array.of(0x02);
const COUNTER_MAX = 255;

/**
 * Try-and-increment (RFC 9381 section 5.4.1.1): the first counter whose hash is the abscissa of a point gives H,
 * with even ordinate. Not constant in time, so `alpha` must be public, as it is in every draw.
 */
export function hashToCurvePoint(publicKey: Uint8Array, alpha: Uint8Array): CurvePoint {
  for (let counter = 0; counter <= COUNTER_MAX; counter++) {
    const digest = sha256(SUITE, HASH_TO_CURVE_FRONT, publicKey, alpha, Uint8Array.of(counter), BACK);
    const point = pointAt(digest);
    if (point !== null) return point;
  }
  throw new VrfError('VRF_HASH_TO_CURVE_FAILED', `no counter up to ${COUNTER_MAX} gives a point`);
}

/** H in compressed form, as the TPM prover and the contract need it. */
export function hashToCurveTai(publicKey: Uint8Array, alpha: Uint8Array): Uint8Array {
  return hashToCurvePoint(publicKey, alpha).toBytes(true);
}

/** Null when the digest is no abscissa: half of all digests are not, so it is no error. */
function pointAt(digest: Uint8Array): CurvePoint | null {
  try {
    return p256.Point.fromBytes(concatBytes(EVEN, digest));
  } catch {
    return null;
  }
}
