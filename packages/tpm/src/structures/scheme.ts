import { ALG } from './algorithms.ts';
import { u16, unionOrNull, type ValueOf } from './codec.ts';

/** Schemes, key derivations and ciphers (TPM 2.0 Part 2, 11.1 and 11.2). `undefined` stands for TPM_ALG_NULL. */

const hashed = { hashAlg: u16 };
const ecdaa = { hashAlg: u16, count: u16 };
const cipher = { keyBits: u16, mode: u16 };

const signing = {
  rsassa: [ALG.rsassa, hashed],
  rsapss: [ALG.rsapss, hashed],
  ecdsa: [ALG.ecdsa, hashed],
  ecdaa: [ALG.ecdaa, ecdaa],
  sm2: [ALG.sm2, hashed],
  ecschnorr: [ALG.ecschnorr, hashed],
} as const;

const rsaEncryption = { rsaes: [ALG.rsaes, {}], oaep: [ALG.oaep, hashed] } as const;

/** TPMT_ASYM_SCHEME, which TPMT_RSA_SCHEME and TPMT_ECC_SCHEME restrict to the schemes of their keys. */
export const tpmtAsymScheme = unionOrNull('asymmetric scheme', 'scheme', {
  ...signing,
  ...rsaEncryption,
  ecdh: [ALG.ecdh, hashed],
  ecmqv: [ALG.ecmqv, hashed],
});
/** What an asymmetric key signs or decrypts by. */
export type AsymmetricScheme = NonNullable<ValueOf<typeof tpmtAsymScheme>>;

/** TPMT_SIG_SCHEME. */
export const tpmtSigScheme = unionOrNull('signature scheme', 'scheme', {
  ...signing,
  hmac: [ALG.hmac, hashed],
});
/** What a signature is asked to be made by. */
export type SignatureScheme = NonNullable<ValueOf<typeof tpmtSigScheme>>;

/** TPMT_RSA_DECRYPT. */
export const tpmtRsaDecrypt = unionOrNull('rsa encryption scheme', 'scheme', rsaEncryption);

/** TPMT_KDF_SCHEME. */
export const tpmtKdfScheme = unionOrNull('key derivation', 'kdf', {
  mgf1: [ALG.mgf1, hashed],
  'kdf1-sp800-56a': [ALG.kdf1Sp80056a, hashed],
  kdf2: [ALG.kdf2, hashed],
  'kdf1-sp800-108': [ALG.kdf1Sp800108, hashed],
});
/** A key derivation and its hash. */
export type KdfScheme = NonNullable<ValueOf<typeof tpmtKdfScheme>>;

/** TPMT_KEYEDHASH_SCHEME. XOR names its key derivation by a bare TPM_ALG_ID. */
export const tpmtKeyedHashScheme = unionOrNull('keyed hash scheme', 'scheme', {
  hmac: [ALG.hmac, hashed],
  xor: [ALG.xor, { hashAlg: u16, kdf: u16 }],
});
/** HMAC or XOR, with its hash. */
export type KeyedHashScheme = NonNullable<ValueOf<typeof tpmtKeyedHashScheme>>;

const blockCiphers = {
  aes: [ALG.aes, cipher],
  sm4: [ALG.sm4, cipher],
  camellia: [ALG.camellia, cipher],
  tdes: [ALG.tdes, cipher],
} as const;

/** TPMT_SYM_DEF_OBJECT. */
export const tpmtSymDefObject = unionOrNull('symmetric algorithm', 'algorithm', blockCiphers);
/** A block cipher, its key size and mode. */
export type SymmetricCipher = NonNullable<ValueOf<typeof tpmtSymDefObject>>;

/** TPMT_SYM_DEF: what encrypts a session's parameters. */
export const tpmtSymDef = unionOrNull('symmetric algorithm', 'algorithm', {
  ...blockCiphers,
  xor: [ALG.xor, hashed],
});
/** What encrypts a session's parameters: a block cipher, or XOR. */
export type SymmetricDefinition = NonNullable<ValueOf<typeof tpmtSymDef>>;
