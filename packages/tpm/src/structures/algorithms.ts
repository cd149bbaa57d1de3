import { type Hash, sha3_256, sha3_384, sha3_512, sha256, sha384, sha512, sm3 } from '@nemea/core';
import { TpmError } from '../errors.ts';

/** TPM_ALG_ID values (TCG Algorithm Registry). */
export const ALG = {
  rsa: 0x0001,
  tdes: 0x0003,
  sha1: 0x0004,
  hmac: 0x0005,
  aes: 0x0006,
  mgf1: 0x0007,
  keyedHash: 0x0008,
  xor: 0x000a,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  null: 0x0010,
  sm3: 0x0012,
  sm4: 0x0013,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  ecdaa: 0x001a,
  sm2: 0x001b,
  ecschnorr: 0x001c,
  ecmqv: 0x001d,
  kdf1Sp80056a: 0x0020,
  kdf2: 0x0021,
  kdf1Sp800108: 0x0022,
  ecc: 0x0023,
  symCipher: 0x0025,
  camellia: 0x0026,
  sha3With256: 0x0027,
  sha3With384: 0x0028,
  sha3With512: 0x0029,
  cmac: 0x003f,
  ctr: 0x0040,
  ofb: 0x0041,
  cbc: 0x0042,
  cfb: 0x0043,
  ecb: 0x0044,
  mlkem: 0x00a0,
  mldsa: 0x00a1,
  hashMldsa: 0x00a2,
} as const;

/** TPM_ECC_CURVE values (TCG Algorithm Registry). */
export const CURVE = {
  p192: 0x0001,
  p224: 0x0002,
  p256: 0x0003,
  p384: 0x0004,
  p521: 0x0005,
  bn256: 0x0010,
  bn638: 0x0011,
  sm2: 0x0020,
} as const;

const CURVE_BYTES: ReadonlyMap<number, number> = new Map([
  [CURVE.p192, 24],
  [CURVE.p224, 28],
  [CURVE.p256, 32],
  [CURVE.p384, 48],
  [CURVE.p521, 66],
  [CURVE.bn256, 32],
  [CURVE.bn638, 80],
  [CURVE.sm2, 32],
]);

const HASH_BYTES: ReadonlyMap<number, number> = new Map([
  [ALG.sha1, 20],
  [ALG.sha256, 32],
  [ALG.sha384, 48],
  [ALG.sha512, 64],
  [ALG.sm3, 32],
  [ALG.sha3With256, 32],
  [ALG.sha3With384, 48],
  [ALG.sha3With512, 64],
]);

/** TPMA_OBJECT bits (TPM 2.0 Part 2, 8.3). */
export const OBJECT_ATTRIBUTE = {
  fixedTpm: 0x2,
  stClear: 0x4,
  fixedParent: 0x10,
  sensitiveDataOrigin: 0x20,
  userWithAuth: 0x40,
  adminWithPolicy: 0x80,
  noDa: 0x400,
  encryptedDuplication: 0x800,
  restricted: 0x10000,
  decrypt: 0x20000,
  sign: 0x40000,
  x509Sign: 0x80000,
} as const;

/** TPMA_NV bits (TPM 2.0 Part 2, 13.4), and the TPM_NT types in their place (bits 4 to 7). */
export const NV_ATTRIBUTE = {
  ppWrite: 0x1,
  ownerWrite: 0x2,
  authWrite: 0x4,
  policyWrite: 0x8,
  counter: 0x10,
  bits: 0x20,
  extend: 0x40,
  pinFail: 0x80,
  pinPass: 0x90,
  policyDelete: 0x400,
  writeLocked: 0x800,
  writeAll: 0x1000,
  writeDefine: 0x2000,
  writeStClear: 0x4000,
  globalLock: 0x8000,
  ppRead: 0x10000,
  ownerRead: 0x20000,
  authRead: 0x40000,
  policyRead: 0x80000,
  noDa: 0x2000000,
  orderly: 0x4000000,
  clearStClear: 0x8000000,
  readLocked: 0x10000000,
  written: 0x20000000,
  platformCreate: 0x40000000,
  readStClear: 0x80000000,
} as const;

const HASHES: ReadonlyMap<number, Hash> = new Map([
  [ALG.sha256, sha256],
  [ALG.sha384, sha384],
  [ALG.sha512, sha512],
  [ALG.sm3, sm3],
  [ALG.sha3With256, sha3_256],
  [ALG.sha3With384, sha3_384],
  [ALG.sha3With512, sha3_512],
]);

/** Digest of `parts` under a TPM hash algorithm. Throws `TPM_STRUCTURE_UNSUPPORTED`: SHA-1 is refused on purpose. */
export function digestOf(hashAlg: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const hash = HASHES.get(hashAlg);
  if (hash !== undefined) return hash(...parts);
  throw new TpmError(
    'TPM_STRUCTURE_UNSUPPORTED',
    `hash algorithm: got ${hex16(hashAlg)}, want sha-2 of at least 256 bits, sm3 or sha-3`,
    { data: { hashAlg } },
  );
}

/** Digest size of a hash the TPM may name, SHA-1 included because a parser meets it; `undefined` when unknown. */
export function hashBytes(hashAlg: number): number | undefined {
  return HASH_BYTES.get(hashAlg);
}

/** Coordinate size of a curve. Throws `TPM_STRUCTURE_UNSUPPORTED`. */
export function curveBytes(curve: number): number {
  const size = CURVE_BYTES.get(curve);
  if (size !== undefined) return size;
  throw new TpmError('TPM_STRUCTURE_UNSUPPORTED', `curve: got ${hex16(curve)}`, { data: { curve } });
}

export function hex16(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}
