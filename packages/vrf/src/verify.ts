import { bytesEqual, sha256 } from '@nemea/core';
import { commitments } from './commitments.ts';
import { type CurvePoint, ORDER, toScalar } from './curve.ts';
import { VrfError } from './errors.ts';
import { hashToCurvePoint } from './hash-to-curve.ts';
import { parsePoint, parsePublicKey } from './point.ts';
import {
  CHALLENGE_BYTES,
  parseRfcProof,
  parseTpmProof,
  proofToHash,
  SUITE_RFC9381,
  SUITE_TPM,
  transcriptDigest,
} from './proof.ts';

/**
 * Checks a proof of either suite against a compressed public key and returns the output `beta`, which is the same
 * for both. Throws `VrfError`. Only `beta` may serve as randomness: proof bytes are not unique.
 */
export function verifyVrf(publicKey: Uint8Array, alpha: Uint8Array, proof: Uint8Array): Uint8Array {
  switch (proof[0]) {
    case SUITE_RFC9381:
      return verifyRfcProof(publicKey, alpha, proof);
    case SUITE_TPM:
      return verifyTpmProof(publicKey, alpha, proof);
    default:
      throw new VrfError('VRF_SUITE_UNKNOWN', `suite byte: got ${proof[0]}, want 1 or 2`);
  }
}

/** RFC 9381 section 5.3: the challenge must be the one that the commitments lead to. */
function verifyRfcProof(publicKey: Uint8Array, alpha: Uint8Array, proof: Uint8Array): Uint8Array {
  const { gamma, challenge, s } = parseRfcProof(proof);
  assertResponse(s);
  const points = parsePoints(publicKey, alpha, gamma);
  const made = commitments({ ...points, s, c: challenge });
  if (made === null) throw new VrfError('VRF_PROOF_INVALID', 'commitment is the identity');
  const digest = transcriptDigest(publicKey, { h: points.h.toBytes(true), gamma, ...made });
  if (toScalar(digest.subarray(0, CHALLENGE_BYTES)) !== challenge) {
    throw new VrfError('VRF_PROOF_INVALID', 'challenge does not match the transcript');
  }
  return proofToHash(gamma);
}

/**
 * A proof made inside a TPM by TPM2_Commit and TPM2_Sign(ECDAA): s = r + T*x with T = H(k || transcript), so
 * s*G = U + T*Y and s*H = V + T*Gamma. U and V are compared as bytes: a point has one compressed form. A k with a
 * leading zero has no canonical length and is refused; the prover signs again.
 */
function verifyTpmProof(publicKey: Uint8Array, alpha: Uint8Array, proof: Uint8Array): Uint8Array {
  const { gamma, u, v, k, s } = parseTpmProof(proof);
  assertResponse(s);
  if (k[0] === 0) throw new VrfError('VRF_SCALAR_OUT_OF_RANGE', 'k begins with a zero byte');
  const points = parsePoints(publicKey, alpha, gamma);
  const digest = transcriptDigest(publicKey, { h: points.h.toBytes(true), gamma, u, v });
  const made = commitments({ ...points, s, c: toScalar(sha256(k, digest)) % ORDER });
  if (made === null || !bytesEqual(made.u, u) || !bytesEqual(made.v, v)) {
    throw new VrfError('VRF_PROOF_INVALID', 'discrete logarithms differ');
  }
  return proofToHash(gamma);
}

function parsePoints(
  publicKey: Uint8Array,
  alpha: Uint8Array,
  gamma: Uint8Array,
): { y: CurvePoint; gamma: CurvePoint; h: CurvePoint } {
  return {
    y: parsePublicKey(publicKey),
    gamma: parsePoint(gamma, 'VRF_POINT_INVALID', 'gamma'),
    h: hashToCurvePoint(publicKey, alpha),
  };
}

function assertResponse(s: bigint): void {
  if (s <= 0n || s >= ORDER) throw new VrfError('VRF_SCALAR_OUT_OF_RANGE', 's is not in 1..n-1');
}
