import { concatBytes, sha256 } from '@nemea/core';
import {
  BACK,
  CHALLENGE_FRONT,
  POINT_BYTES,
  PROOF_TO_HASH_FRONT,
  SCALAR_BYTES,
  SUITE,
  toScalar,
} from './curve.ts';
import { VrfError } from './errors.ts';

/** First byte of a proof: which of the two encodings follows. Both have the same output for the same key and alpha. */
export const SUITE_RFC9381 = 0x01;
export const SUITE_TPM = 0x02;

export const CHALLENGE_BYTES = 16;
export const RFC9381_PROOF_BYTES = 1 + POINT_BYTES + CHALLENGE_BYTES + SCALAR_BYTES;
export const TPM_PROOF_BYTES = 1 + 3 * POINT_BYTES + 2 * SCALAR_BYTES;

/** SHA-256 of the transcript: RFC 9381 section 5.4.3 truncates it to the challenge, the TPM signs it whole. */
export function transcriptDigest(
  publicKey: Uint8Array,
  points: { h: Uint8Array; gamma: Uint8Array; u: Uint8Array; v: Uint8Array },
): Uint8Array {
  const { h, gamma, u, v } = points;
  return sha256(SUITE, CHALLENGE_FRONT, publicKey, h, gamma, u, v, BACK);
}

/** RFC 9381 section 5.2, with cofactor 1. */
export function proofToHash(gamma: Uint8Array): Uint8Array {
  return sha256(SUITE, PROOF_TO_HASH_FRONT, gamma, BACK);
}

export type RfcProof = { gamma: Uint8Array; challenge: bigint; s: bigint };

export function encodeRfcProof(gamma: Uint8Array, challenge: Uint8Array, s: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(SUITE_RFC9381), gamma, challenge, s);
}

/** Splits a proof of suite 0x01. Ranges of scalars and validity of points are the verifier's business. */
export function parseRfcProof(proof: Uint8Array): RfcProof {
  assertLength(proof, RFC9381_PROOF_BYTES);
  const scalars = 1 + POINT_BYTES;
  return {
    gamma: proof.slice(1, scalars),
    challenge: toScalar(proof.subarray(scalars, scalars + CHALLENGE_BYTES)),
    s: toScalar(proof.subarray(scalars + CHALLENGE_BYTES)),
  };
}

export type TpmProof = { gamma: Uint8Array; u: Uint8Array; v: Uint8Array; k: Uint8Array; s: bigint };

/** Splits a proof of suite 0x02. `k` stays bytes because the TPM hashes it as bytes. */
export function parseTpmProof(proof: Uint8Array): TpmProof {
  assertLength(proof, TPM_PROOF_BYTES);
  const point = (index: number) => proof.slice(1 + index * POINT_BYTES, 1 + (index + 1) * POINT_BYTES);
  const scalars = 1 + 3 * POINT_BYTES;
  return {
    gamma: point(0),
    u: point(1),
    v: point(2),
    k: proof.slice(scalars, scalars + SCALAR_BYTES),
    s: toScalar(proof.subarray(scalars + SCALAR_BYTES)),
  };
}

function assertLength(proof: Uint8Array, want: number): void {
  if (proof.length !== want) {
    throw new VrfError(
      'VRF_PROOF_LENGTH',
      `proof of suite ${proof[0]}: got ${proof.length} bytes, want ${want}`,
    );
  }
}
