import { concatBytes, sha256 } from '@nemea/core';
import { BACK, type CurvePoint, HASH_TO_CURVE_FRONT, SUITE } from './curve.ts';
import { VrfError } from './errors.ts';
import { decompress } from './point.ts';

const EVEN = Uint8Array.of(0x02);
const COUNTER_MAX = 255;

/**
 * Try-and-increment (RFC 9381 section 5.4.1.1): the first counter whose hash is the abscissa of a point gives H,
 * with even ordinate. Not constant in time, so `alpha` must be public, as it is in every draw.
 */
export function hashToCurvePoint(publicKey: Uint8Array, alpha: Uint8Array): CurvePoint {
  for (let counter = 0; counter <= COUNTER_MAX; counter++) {
    const digest = sha256(SUITE, HASH_TO_CURVE_FRONT, publicKey, alpha, Uint8Array.of(counter), BACK);
    // Half of all digests are no abscissa: that is no error.
    const point = decompress(concatBytes(EVEN, digest));
    if (point !== null) return point;
  }
  throw new VrfError('VRF_HASH_TO_CURVE_FAILED', `no counter up to ${COUNTER_MAX} gives a point`);
}

/** H in compressed form, as the TPM prover and the contract need it. */
export function hashToCurveTai(publicKey: Uint8Array, alpha: Uint8Array): Uint8Array {
  return hashToCurvePoint(publicKey, alpha).toBytes(true);
}
