import { fromHex } from '@nemea/core';
import { ALG, CURVE } from './algorithms.ts';
import { encodePublicArea, type PublicArea } from './public-area.ts';

/** Endorsement keys of the TCG EK Credential Profile for TPM 2.0 (2.4 and later), B.3 and B.4. */
export const EK_TEMPLATE_IDS = ['L-1', 'L-2', 'H-1', 'H-2', 'H-3', 'H-4', 'H-5', 'H-6', 'H-7'] as const;
/** The name of a template in the TCG EK Credential Profile. */
export type EkTemplateId = (typeof EK_TEMPLATE_IDS)[number];

/** One way to make an endorsement key, and where the maker's certificate of it is. */
export interface EkTemplate {
  readonly id: EkTemplateId;
  /** In words, such as `RSA 2048`. */
  readonly algorithm: string;
  /** TPMT_PUBLIC. */
  readonly template: Uint8Array;
  /** Where the maker puts the certificate. */
  readonly certificateIndex: number;
  /** Where the maker puts a template of its own, which then counts. */
  readonly templateIndex: number;
  /** Where the maker puts a nonce for the `unique` field; the high range has none. */
  readonly nonceIndex: number | undefined;
}

/** Authorities above EK certificates, one DER certificate after the other (profile 2.4, 2.2.1.5). */
export const EK_CHAIN_INDEX = { first: 0x01c00100, last: 0x01c001ff } as const;

/**
 * The policies of endorsement keys by name algorithm: A is PolicySecret(endorsement), C is PolicyAuthorizeNV of an index
 * that the profile fixes, B is A or C. Low-range keys have A, high-range keys B.
 */
export const EK_POLICIES: ReadonlyMap<number, { readonly [P in 'a' | 'b' | 'c']: Uint8Array }> = new Map(
  (
    [
      [
        ALG.sha256,
        '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa',
        'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0',
        '3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde',
      ],
      [
        ALG.sha384,
        '8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53',
        'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
        'd6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165',
      ],
      [
        ALG.sha512,
        '1e3b76502c8a1425aa0b7b3fc646a1b0fae063b03b5368f9c4cddecaff0891dd682bac1a85d4d832b781ea451915de5fc5bf0dc4a1917cd42fa041e3f998e0ee',
        'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
        '589ee1e146544716e8deafe6db247b01b81e9f9c7dd16b814aa159138749105fba5388dd1dea702f35240c184933121e2c61b8f50d3ef91393a49a38c3f73fc8',
      ],
      [
        ALG.sm3,
        'c67f7d35f66f3bec13c89fe898921c651b0cb5a38a92690a62a43c0012e4fb8b',
        '167860a35f2c5c3567f9c927ac56c032f3b3a6462f8d037998e7a10f77fa454a',
        '2d4e81578c3531d9bd1cdd7d02ba298d5699a3e39fc3551bfeffcf132b49e11d',
      ],
    ] as const
  ).map(([hashAlg, a, b, c]) => [hashAlg, { a: fromHex(a), b: fromHex(b), c: fromHex(c) }]),
);

// fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt; the high range adds userWithAuth.
const LOW_RANGE = 0x000300b2;
const HIGH_RANGE = 0x000300f2;
const EMPTY = new Uint8Array(0);

const RSA_LOW = { type: 'rsa', keyBits: 2048, unique: 256 } as const;
const P256_LOW = { type: 'ecc', curve: CURVE.p256, unique: 32 } as const;

/** By id. A primary key is a function of these bytes, so they are frozen by `vectors/tpm/ek-templates.json`. [EK-1] */
export const EK_TEMPLATES: Readonly<Record<EkTemplateId, EkTemplate>> = {
  'L-1': ek('L-1', 'RSA 2048', 0x01c00002, RSA_LOW, ALG.sha256, 128),
  'L-2': ek('L-2', 'ECC P-256', 0x01c0000a, P256_LOW, ALG.sha256, 128),
  'H-1': ek('H-1', 'RSA 2048', 0x01c00012, { type: 'rsa', keyBits: 2048 }, ALG.sha256, 128),
  'H-2': ek('H-2', 'ECC P-256', 0x01c00014, { type: 'ecc', curve: CURVE.p256 }, ALG.sha256, 128),
  'H-3': ek('H-3', 'ECC P-384', 0x01c00016, { type: 'ecc', curve: CURVE.p384 }, ALG.sha384, 256),
  'H-4': ek('H-4', 'ECC P-521', 0x01c00018, { type: 'ecc', curve: CURVE.p521 }, ALG.sha512, 256),
  'H-5': ek('H-5', 'ECC SM2 P-256', 0x01c0001a, { type: 'ecc', curve: CURVE.sm2 }, ALG.sm3, 128),
  'H-6': ek('H-6', 'RSA 3072', 0x01c0001c, { type: 'rsa', keyBits: 3072 }, ALG.sha384, 256),
  'H-7': ek('H-7', 'RSA 4096', 0x01c0001e, { type: 'rsa', keyBits: 4096 }, ALG.sha384, 256),
};

type Shape =
  | { readonly type: 'rsa'; readonly keyBits: number; readonly unique?: number }
  | { readonly type: 'ecc'; readonly curve: number; readonly unique?: number };

function ek(
  id: EkTemplateId,
  algorithm: string,
  certificateIndex: number,
  shape: Shape,
  nameAlg: number,
  keyBits: number,
): EkTemplate {
  const isLow = id.startsWith('L');
  return {
    id,
    algorithm,
    template: encodePublicArea(areaOf(shape, nameAlg, keyBits, isLow)),
    certificateIndex,
    templateIndex: certificateIndex + (isLow ? 2 : 1),
    nonceIndex: isLow ? certificateIndex + 1 : undefined,
  };
}

function areaOf(shape: Shape, nameAlg: number, keyBits: number, isLow: boolean): PublicArea {
  const policies = EK_POLICIES.get(nameAlg);
  const unique = new Uint8Array(shape.unique ?? 0);
  const common = {
    nameAlg,
    attributes: isLow ? LOW_RANGE : HIGH_RANGE,
    authPolicy: (isLow ? policies?.a : policies?.b) ?? EMPTY,
    symmetric: { algorithm: nameAlg === ALG.sm3 ? 'sm4' : 'aes', keyBits, mode: ALG.cfb },
    scheme: undefined,
  } as const;
  if (shape.type === 'rsa') {
    return { type: 'rsa', ...common, keyBits: shape.keyBits, exponent: 0, modulus: unique };
  }
  return { type: 'ecc', ...common, curve: shape.curve, kdf: undefined, x: unique, y: unique };
}

/** A template whose `unique` field holds a maker's nonce, filled up with zeros (profile 2.4, B.2). */
export function withNonce(area: PublicArea, nonce: Uint8Array): PublicArea {
  const filled = (bytes: number): Uint8Array => {
    const unique = new Uint8Array(bytes);
    unique.set(nonce.subarray(0, bytes));
    return unique;
  };
  if (area.type === 'rsa') return { ...area, modulus: filled(area.keyBits / 8) };
  if (area.type === 'ecc') return { ...area, x: filled(32), y: new Uint8Array(32) };
  return area;
}
