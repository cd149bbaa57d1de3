import { BASE, fromScalar, ORDER, SCALAR_BYTES, toScalar } from './curve.ts';
import { VrfError } from './errors.ts';
import { hashToCurvePoint } from './hash-to-curve.ts';
import { deriveNonce } from './nonce.ts';
import { CHALLENGE_BYTES, encodeRfcProof, proofToHash, transcriptDigest } from './proof.ts';

/** The compressed public key of a secret. */
export function vrfPublicKey(secret: Uint8Array): Uint8Array {
  return BASE.multiply(parseSecret(secret)).toBytes(true);
}

/** RFC 9381 section 5.1: the output `beta` and its proof, suite byte 0x01 before the RFC's 81 bytes. */
export function proveVrf(secret: Uint8Array, alpha: Uint8Array): { beta: Uint8Array; proof: Uint8Array } {
  const x = parseSecret(secret);
  const publicKey = BASE.multiply(x).toBytes(true);
  const pointH = hashToCurvePoint(publicKey, alpha);
  const h = pointH.toBytes(true);
  const gamma = pointH.multiply(x).toBytes(true);

  const nonce = deriveNonce(secret, h);
  const u = BASE.multiply(nonce).toBytes(true);
  const v = pointH.multiply(nonce).toBytes(true);

  const challenge = transcriptDigest(publicKey, { h, gamma, u, v }).slice(0, CHALLENGE_BYTES);
  const s = (nonce + toScalar(challenge) * x) % ORDER;
  return {
    beta: proofToHash(gamma),
    proof: encodeRfcProof(gamma, challenge, fromScalar(s, SCALAR_BYTES)),
  };
}

function parseSecret(secret: Uint8Array): bigint {
  if (secret.length !== SCALAR_BYTES) {
    throw new VrfError('VRF_SECRET_INVALID', `secret: got ${secret.length} bytes, want ${SCALAR_BYTES}`);
  }
  const x = toScalar(secret);
  if (x === 0n || x >= ORDER) throw new VrfError('VRF_SECRET_INVALID', 'secret is not in 1..n-1');
  return x;
}
