import type { KeyObject } from 'node:crypto';
import { sha256 } from '@nemea/core';
import { ALG, CURVE, type EccPublicArea, eccPoint, type TpmSignature, toSpki } from '@nemea/tpm/structures';
import { p256 } from '@noble/curves/nist.js';
import { nativeCrypto } from './native-crypto.ts';

const DER_HEADER_BYTES = 2;
/** Tag, length, and the zero before a first bit that is set. */
const DER_INTEGER_BYTES_MORE = 3;

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
  // DER, because Node takes a key beside options half again as long as a bare key.
  return key !== null && crypto.verify('sha256', message, key, toDer(rs));
}

/** ECDSA-Sig-Value (RFC 3279, 2.2.3) of two integers below 2^256: no length needs more than one byte. */
export function toDer(rs: Uint8Array): Uint8Array {
  const der = new Uint8Array(DER_HEADER_BYTES + rs.length + 2 * DER_INTEGER_BYTES_MORE);
  const half = rs.length / 2;
  const end = putInteger(der, putInteger(der, DER_HEADER_BYTES, rs.subarray(0, half)), rs.subarray(half));
  der[0] = 0x30;
  der[1] = end - DER_HEADER_BYTES;
  return der.subarray(0, end);
}

/** Writes an INTEGER without needless zeros, and with one where the first bit would be a sign. Returns its end. */
function putInteger(der: Uint8Array, offset: number, magnitude: Uint8Array): number {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const sign = (magnitude[start] as number) >= 0x80 ? 1 : 0;
  const length = sign + magnitude.length - start;
  der[offset] = 0x02;
  der[offset + 1] = length;
  der.set(start === 0 ? magnitude : magnitude.subarray(start), offset + 2 + sign);
  return offset + 2 + length;
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
