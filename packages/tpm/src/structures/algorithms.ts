import { sha256, sha384 } from '@nemea/core';
import { TpmError } from '../errors.ts';

/** TPM_ALG_ID values in use (TCG Algorithm Registry). */
export const ALG = {
  rsa: 0x0001,
  sha1: 0x0004,
  aes: 0x0006,
  keyedHash: 0x0008,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  null: 0x0010,
  rsassa: 0x0014,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  ecdaa: 0x001a,
  ecc: 0x0023,
  cfb: 0x0043,
} as const;

/** TPM_ECC_CURVE values in use. */
export const CURVE = { p256: 0x0003, p384: 0x0004, p521: 0x0005 } as const;

/** TPMA_OBJECT bits (TPM 2.0 Part 2, 8.3). */
export const OBJECT_ATTRIBUTE = {
  fixedTpm: 0x2,
  fixedParent: 0x10,
  sensitiveDataOrigin: 0x20,
  userWithAuth: 0x40,
  adminWithPolicy: 0x80,
  noDa: 0x400,
  restricted: 0x10000,
  decrypt: 0x20000,
  sign: 0x40000,
} as const;

/** Digest of `parts` under a TPM hash algorithm. Throws `TPM_STRUCTURE_UNSUPPORTED`: SHA-1 is refused on purpose. */
export function digestOf(hashAlg: number, ...parts: readonly Uint8Array[]): Uint8Array {
  if (hashAlg === ALG.sha256) return sha256(...parts);
  if (hashAlg === ALG.sha384) return sha384(...parts);
  throw new TpmError(
    'TPM_STRUCTURE_UNSUPPORTED',
    `hash algorithm: got ${hex16(hashAlg)}, want sha-256 or sha-384`,
    {
      data: { hashAlg },
    },
  );
}

/** Digest size of a hash the TPM may name, SHA-1 included because a parser meets it; `undefined` when unknown. */
export function hashBytes(hashAlg: number): number | undefined {
  if (hashAlg === ALG.sha1) return 20;
  if (hashAlg === ALG.sha256) return 32;
  if (hashAlg === ALG.sha384) return 48;
  if (hashAlg === ALG.sha512) return 64;
  return undefined;
}

/** Coordinate size of a curve. Throws `TPM_STRUCTURE_UNSUPPORTED`. */
export function curveBytes(curve: number): number {
  if (curve === CURVE.p256) return 32;
  if (curve === CURVE.p384) return 48;
  if (curve === CURVE.p521) return 66;
  throw new TpmError('TPM_STRUCTURE_UNSUPPORTED', `curve: got ${hex16(curve)}, want p-256, p-384 or p-521`, {
    data: { curve },
  });
}

export function hex16(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}
