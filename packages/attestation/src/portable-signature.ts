/** Signature checks without Node, by libraries in JavaScript: slower, and the same answers. */
import { concatBytes, toHex } from '@nemea/core';
import { CURVE, type EcdsaSignature, type RsaSignature } from '@nemea/tpm/structures';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { mgf1, PKCS1_SHA1, PKCS1_SHA256, PKCS1_SHA384, PKCS1_SHA512, PSS } from 'micro-rsa-dsa-dh/rsa.js';
import type { SigningHash } from './quote/hash.ts';
import type { EccSigningKey, RsaSigningKey, SigningKey } from './quote/signing-key.ts';

export const CURVES: ReadonlyMap<number, typeof p256> = new Map([
  [CURVE.p256, p256],
  [CURVE.p384, p384],
  [CURVE.p521, p521],
]);
const RSASSA = { sha1: PKCS1_SHA1, sha256: PKCS1_SHA256, sha384: PKCS1_SHA384, sha512: PKCS1_SHA512 };

/** The path for browsers [QUO-8], where a signature must be checked at once: WebCrypto would make every judge wait. */
export function verifyPortable(
  key: SigningKey,
  signature: EcdsaSignature | RsaSignature,
  hash: SigningHash,
  message: Uint8Array,
): boolean {
  try {
    if (key.type === 'ecc') return signature.scheme === 'ecdsa' && verifyEcdsa(key, signature, hash, message);
    return signature.scheme !== 'ecdsa' && verifyRsa(key, signature, hash, message);
  } catch {
    return false; // the libraries throw for a point off the curve, and for numbers that no signature holds
  }
}

function verifyEcdsa(
  key: EccSigningKey,
  { r, s }: EcdsaSignature,
  hash: SigningHash,
  message: Uint8Array,
): boolean {
  const curve = CURVES.get(key.curve);
  if (curve === undefined) return false;
  const bytes = curve.Point.Fn.BYTES;
  const rs = concatBytes(fit(r, bytes), fit(s, bytes));
  return curve.verify(rs, hash.portable(message), key.point, { lowS: false, prehash: false });
}

function verifyRsa(
  key: RsaSigningKey,
  signature: RsaSignature,
  hash: SigningHash,
  message: Uint8Array,
): boolean {
  const publicKey = { n: BigInt(`0x${toHex(key.modulus)}`), e: BigInt(key.exponent) };
  if (signature.scheme === 'rsassa') {
    return RSASSA[hash.name].verify(publicKey, message, signature.signature);
  }
  return saltLengths(hash, signature).some((saltLength) =>
    PSS(hash.portable, mgf1(hash.portable), saltLength).verify(publicKey, message, signature.signature),
  );
}

/** TPMs take a salt as long as the digest, or as long as fits (TPM 2.0 Part 1, B.7); RFC 8017, 9.1.1 leaves it open. */
export function saltLengths(hash: SigningHash, { signature }: RsaSignature): readonly number[] {
  return [hash.bytes, signature.length - hash.bytes - 2];
}

/** The same number in `bytes` bytes; the caller has checked that it is not larger. */
function fit(value: Uint8Array, bytes: number): Uint8Array {
  const fitted = new Uint8Array(bytes);
  const part = value.subarray(Math.max(0, value.length - bytes));
  fitted.set(part, bytes - part.length);
  return fitted;
}
