import type { KeyObject } from 'node:crypto';
import { sha256 } from '@nemea/core';
import { ALG, CURVE, type EccPublicArea, eccPoint, type TpmSignature, toSpki } from '@nemea/tpm/structures';
import { p256 } from '@noble/curves/nist.js';
import { nativeCrypto } from './native-crypto.ts';

/** Importing a key costs as much as checking a signature with it, so each public area is imported once. */
const importedKeys = new WeakMap<EccPublicArea, KeyObject>();

/**
 * Verifies an ECDSA P-256 SHA-256 signature by a TPM over `message`. TPMs return high and low s alike, so both pass;
 * the curve libraries refuse r or s outside 1..n-1. False for any other scheme and for a point off the curve.
 */
export function verifyTpmSignature(
  area: EccPublicArea,
  signature: TpmSignature,
  message: Uint8Array,
): boolean {
  if (signature.scheme !== 'ecdsa' || signature.hashAlg !== ALG.sha256 || area.curve !== CURVE.p256)
    return false;
  if (nativeCrypto === undefined) return verifyPortable(area, signature.rs, message);
  return verifyNative(nativeCrypto, area, signature.rs, message);
}

/** The path for browsers, 14 times slower than Node's own. */
export function verifyPortable(area: EccPublicArea, rs: Uint8Array, message: Uint8Array): boolean {
  try {
    return p256.verify(rs, sha256(message), eccPoint(area), { lowS: false, prehash: false });
  } catch {
    return false; // noble throws for a point that is not on the curve: such a key verifies nothing
  }
}

function verifyNative(
  crypto: NonNullable<typeof nativeCrypto>,
  area: EccPublicArea,
  rs: Uint8Array,
  message: Uint8Array,
): boolean {
  const key = importedKeys.get(area) ?? importKey(crypto, area);
  return key !== null && crypto.verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, rs);
}

function importKey(crypto: NonNullable<typeof nativeCrypto>, area: EccPublicArea): KeyObject | null {
  try {
    const key = crypto.createPublicKey({ key: Buffer.from(toSpki(area)), format: 'der', type: 'spki' });
    importedKeys.set(area, key);
    return key;
  } catch {
    return null; // a point that is not on the curve: such a key verifies nothing
  }
}
