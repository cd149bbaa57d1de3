import { concatBytes, sha256 } from '@nemea/core';
import { BASE, type CurvePoint, fromScalar, ORDER, toScalar } from './curve.ts';
import { hashToCurvePoint } from './hash-to-curve.ts';
import { SUITE_TPM, transcriptDigest } from './proof.ts';

/**
 * For tests: what TPM2_Commit and TPM2_Sign(ECDAA) compute, with the secret in memory. `gamma` may be forged, to
 * show that no honest-looking transcript around a false output is accepted.
 */
export function proveLikeTpm(input: {
  secret: Uint8Array;
  alpha: Uint8Array;
  nonce: bigint;
  k: Uint8Array;
  gamma?: (honest: CurvePoint) => CurvePoint;
}): Uint8Array {
  const x = toScalar(input.secret);
  const publicKey = BASE.multiply(x).toBytes(true);
  const pointH = hashToCurvePoint(publicKey, input.alpha);
  const honest = pointH.multiply(x);
  const gamma = (input.gamma?.(honest) ?? honest).toBytes(true);
  const u = BASE.multiply(input.nonce).toBytes(true);
  const v = pointH.multiply(input.nonce).toBytes(true);
  const digest = transcriptDigest(publicKey, { h: pointH.toBytes(true), gamma, u, v });
  const t = toScalar(sha256(input.k, digest)) % ORDER;
  const s = (input.nonce + t * x) % ORDER;
  return concatBytes(Uint8Array.of(SUITE_TPM), gamma, u, v, input.k, fromScalar(s, 32));
}
