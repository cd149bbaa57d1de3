import type { KeyObject } from 'node:crypto';
import { sha256 } from '@nemea/core';
import { ALG, type EccPublicArea, eccPoint, type TpmSignature, toSpki } from '@nemea/tpm/structures';
import { p256 } from '@noble/curves/nist.js';
import { nativeCrypto } from './native-crypto.ts';

const KEY_CACHE_MAX = 1024;

/**
 * Importing a key costs as much as checking a signature with it, and the same few hundred keys sign all day.
 * Only a speed-up: a full cache forgets its oldest key.
 */
const keyCache = new Map<string, KeyObject>();

/**
 * Verifies an ECDSA P-256 SHA-256 signature by a TPM over `message`. TPMs return high and low s alike, so both pass;
 * the curve libraries refuse r or s outside 1..n-1. False for any other scheme and for a point off the curve.
 */
export function verifyTpmSignature(
  area: EccPublicArea,
  signature: TpmSignature,
  message: Uint8Array,
): boolean {
  if (signature.scheme !== 'ecdsa' || signature.hashAlg !== ALG.sha256) return false;
  if (nativeCrypto !== undefined) return verifyNative(nativeCrypto, area, signature.rs, message);
  try {
    return p256.verify(signature.rs, sha256(message), eccPoint(area), { lowS: false, prehash: false });
  } catch {
    return false; // noble throws for a point that is not on the curve: the key verifies nothing
  }
}

function verifyNative(
  crypto: NonNullable<typeof nativeCrypto>,
  area: EccPublicArea,
  rs: Uint8Array,
  message: Uint8Array,
): boolean {
  const key = importKey(crypto, area);
  return key !== null && crypto.verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, rs);
}

function importKey(crypto: NonNullable<typeof nativeCrypto>, area: EccPublicArea): KeyObject | null {
  const id = String.fromCharCode(...eccPoint(area));
  const cached = keyCache.get(id);
  if (cached !== undefined) return cached;
  let key: KeyObject;
  try {
    key = crypto.createPublicKey({ key: Buffer.from(toSpki(area)), format: 'der', type: 'spki' });
  } catch {
    return null; // a point that is not on the curve: the key verifies nothing
  }
  if (keyCache.size >= KEY_CACHE_MAX) {
    const oldest = keyCache.keys().next();
    if (!oldest.done) keyCache.delete(oldest.value);
  }
  keyCache.set(id, key);
  return key;
}
