import { ByteWriter, concatBytes } from '@nemea/core';
import { ALG, curveBytes, digestOf, hashBytes } from './algorithms.ts';
import { invalid } from './buffer.ts';
import {
  bytes,
  type Codec,
  checked,
  decode,
  encode,
  type Fields,
  orUnknown,
  rest,
  struct,
  u16,
  u32,
  union,
  unsupported,
  type ValueOf,
} from './codec.ts';
import { tpmtAsymScheme, tpmtKdfScheme, tpmtKeyedHashScheme, tpmtSymDefObject } from './scheme.ts';

export const DIGEST_BYTES_MAX = 64;
export const COORDINATE_BYTES_MAX = 80;
export const MODULUS_BYTES_MAX = 512;

const header = {
  nameAlg: checked(u16, (value) => {
    if (hashBytes(value) === undefined) throw unsupported('name algorithm', value);
  }),
  /** TPMA_OBJECT, see `OBJECT_ATTRIBUTE`. */
  attributes: u32,
  authPolicy: bytes('auth policy', DIGEST_BYTES_MAX),
} satisfies Fields;

/** TPMU_PUBLIC_PARMS (TPM 2.0 Part 2, 12.2.3.7). */
const parameters = {
  rsa: {
    symmetric: tpmtSymDefObject,
    scheme: tpmtAsymScheme,
    keyBits: u16,
    /** 0 stands for 65537. */
    exponent: u32,
  },
  ecc: {
    symmetric: tpmtSymDefObject,
    scheme: tpmtAsymScheme,
    curve: u16,
    kdf: tpmtKdfScheme,
  },
  keyedHash: { scheme: tpmtKeyedHashScheme },
  symCipher: { symmetric: tpmtSymDefObject },
} satisfies Record<string, Fields>;

/** TPMS_ECC_POINT. */
export const point = {
  x: bytes('point x', COORDINATE_BYTES_MAX),
  y: bytes('point y', COORDINATE_BYTES_MAX),
} satisfies Fields;

/** TPMS_ECC_POINT. */
export const tpmsEccPoint = struct(point);
/** Affine coordinates, big-endian, of any length: pad them before use. */
export type EccPoint = ValueOf<typeof tpmsEccPoint>;

const knownPublic = union('object type', 'type', {
  rsa: [ALG.rsa, { ...header, ...parameters.rsa, modulus: bytes('modulus', MODULUS_BYTES_MAX) }],
  ecc: [ALG.ecc, { ...header, ...parameters.ecc, ...point }],
  'keyed-hash': [
    ALG.keyedHash,
    { ...header, ...parameters.keyedHash, unique: bytes('unique', DIGEST_BYTES_MAX) },
  ],
  'sym-cipher': [
    ALG.symCipher,
    { ...header, ...parameters.symCipher, unique: bytes('unique', DIGEST_BYTES_MAX) },
  ],
});

/** What may be known of an object: type, name algorithm, attributes, policy, and the parameters of its type. */
export type PublicArea = ValueOf<typeof knownPublic>;
/** An RSA key; `exponent` 0 stands for 65537. */
export type RsaPublicArea = Extract<PublicArea, { type: 'rsa' }>;
/** An elliptic-curve key. */
export type EccPublicArea = Extract<PublicArea, { type: 'ecc' }>;
/** An HMAC or XOR key or, without a scheme, sealed data. */
export type KeyedHashPublicArea = Extract<PublicArea, { type: 'keyed-hash' }>;
/** A symmetric key. */
export type SymCipherPublicArea = Extract<PublicArea, { type: 'sym-cipher' }>;

/** TPMT_PUBLIC (TPM 2.0 Part 2, 12.2.4) of a type, and with algorithms, that this package knows. */
export const tpmtPublic: Codec<PublicArea> = checked(knownPublic, checkUnique);

/** TPMT_PUBLIC of any object that a TPM may hold. All types begin alike; `body` is what only a newer client understands. */
export const tpmtAnyPublic = orUnknown('public area', 'type', tpmtPublic, {
  objectType: u16,
  ...header,
  nameAlg: u16,
  body: rest,
});
/** The same of any type: an unknown one has its bytes. */
export type AnyPublicArea = ValueOf<typeof tpmtAnyPublic>;
/** A public area of a type or with algorithms that this package does not know, with its bytes. */
export type UnknownPublicArea = Extract<AnyPublicArea, { type: 'unknown' }>;

/** TPMT_PUBLIC_PARMS. */
export const tpmtPublicParms = union('object type', 'type', {
  rsa: [ALG.rsa, parameters.rsa],
  ecc: [ALG.ecc, parameters.ecc],
  'keyed-hash': [ALG.keyedHash, parameters.keyedHash],
  'sym-cipher': [ALG.symCipher, parameters.symCipher],
});

function checkUnique(area: PublicArea): void {
  if (area.type === 'rsa') {
    // A template may leave the modulus empty.
    const { keyBits, modulus } = area;
    if (modulus.length !== 0 && modulus.length * 8 !== keyBits)
      throw invalid(`modulus: got ${modulus.length} bytes, want ${keyBits / 8}`);
  }
  if (area.type === 'ecc') {
    const { curve, x, y } = area;
    const size = curveBytes(curve);
    if (x.length > size || y.length > size)
      throw invalid(`point: got ${x.length} and ${y.length} bytes, want at most ${size}`);
  }
}

/** Parses TPMT_PUBLIC. Throws `TPM_STRUCTURE_INVALID` or `TPM_STRUCTURE_UNSUPPORTED`. */
export function parsePublicArea(bytes: Uint8Array): PublicArea {
  return decode('public area', tpmtPublic, bytes);
}

/** As `parsePublicArea`, for who only hands on or names it. Throws `TPM_STRUCTURE_INVALID`. */
export function parseAnyPublicArea(bytes: Uint8Array): AnyPublicArea {
  return decode('public area', tpmtAnyPublic, bytes);
}

/** TPMT_PUBLIC bytes: the inverse of both. */
export function encodePublicArea(area: AnyPublicArea): Uint8Array {
  return encode(tpmtAnyPublic, area);
}

/**
 * The object's name: nameAlg || H(TPMT_PUBLIC). Always computed here, never taken from the peer. Of any type of object;
 * throws `TPM_STRUCTURE_UNSUPPORTED` for a hash that `digestOf` refuses.
 */
export function nameOf(publicArea: Uint8Array): Uint8Array {
  const { nameAlg } = parseAnyPublicArea(publicArea);
  return concatBytes(new ByteWriter().u16(nameAlg).toBytes(), digestOf(nameAlg, publicArea));
}
