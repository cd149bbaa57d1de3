import { fromHex, toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALG, CURVE, curveBytes, hashBytes } from './algorithms.ts';
import { type Attest, tpmsAttest } from './attest.ts';
import {
  CAPABILITY,
  type CapabilityData,
  tpmsAnyCapabilityData,
  tpmsCapabilityData,
} from './capability-data.ts';
import {
  bytes,
  type Codec,
  decode,
  encode,
  i8,
  i32,
  list,
  sized,
  struct,
  u8,
  u16,
  u32,
  u64,
  yesNo,
} from './codec.ts';
import { tpmsContext, tpmsNvPublic, tpmsTimeInfo } from './context.ts';
import { TpmError } from './index.ts';
import {
  tpmlAlg,
  tpmlDigest,
  tpmlDigestValues,
  tpmsCreationData,
  tpmsSensitiveCreate,
  tpmtSensitive,
  tpmtTkAuth,
  tpmtTkCreation,
  tpmtTkHashCheck,
  tpmtTkVerified,
} from './object.ts';
import { tpmlPcrSelection, tpmsPcrSelect } from './pcr-selection.ts';
import { type PublicArea, tpmsEccPoint, tpmtAnyPublic, tpmtPublic, tpmtPublicParms } from './public-area.ts';
import {
  tpmtAsymScheme,
  tpmtKdfScheme,
  tpmtKeyedHashScheme,
  tpmtRsaDecrypt,
  tpmtSigScheme,
  tpmtSymDef,
  tpmtSymDefObject,
} from './scheme.ts';
import { type Signature, tpmtAnySignature, tpmtHa, tpmtHaOrNull, tpmtSignature } from './signature.ts';

const any8 = fc.nat(0xff);
const any16 = fc.nat(0xffff);
const any32 = fc.nat(0xffffffff);
const any64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const upTo = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength });
const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const digest = upTo(64);
const name = upTo(66);

const hashAlg = fc.constantFrom(
  ...Object.values(ALG).filter((algorithm) => hashBytes(algorithm) !== undefined),
);
const ha = hashAlg.chain((algorithm) =>
  fc.record({ hashAlg: fc.constant(algorithm), digest: exactly(hashBytes(algorithm) ?? 0) }),
);

/** A variant of a union: its name under `key`, and its fields. */
function variant<K extends string, N extends string, T extends object>(
  key: K,
  names: readonly N[],
  fields: { [P in keyof T]: fc.Arbitrary<T[P]> },
) {
  return fc
    .tuple(fc.constantFrom(...names), fc.record(fields))
    .map(([named, value]) => ({ [key]: named, ...value }) as { readonly [P in K]: N } & T);
}

const hashed = { hashAlg };
const signing = ['rsassa', 'rsapss', 'ecdsa', 'sm2', 'ecschnorr'] as const;
const ecdaaScheme = variant('scheme', ['ecdaa'], { hashAlg, count: any16 });
const rsaes = fc.constant({ scheme: 'rsaes' } as const);
const asymScheme = fc.oneof(
  fc.constant(undefined),
  variant('scheme', [...signing, 'oaep', 'ecdh', 'ecmqv'] as const, hashed),
  ecdaaScheme,
  rsaes,
);
const cipher = variant('algorithm', ['aes', 'sm4', 'camellia', 'tdes'] as const, {
  keyBits: any16,
  mode: any16,
});
const symDefObject = fc.option(cipher, { nil: undefined });
const kdf = fc.option(variant('kdf', ['mgf1', 'kdf1-sp800-56a', 'kdf2', 'kdf1-sp800-108'] as const, hashed), {
  nil: undefined,
});
const keyedHashScheme = fc.oneof(
  fc.constant(undefined),
  variant('scheme', ['hmac'], hashed),
  variant('scheme', ['xor'], { hashAlg, kdf: any16 }),
);

const header = { nameAlg: hashAlg, attributes: any32, authPolicy: digest };
const anyPublic: fc.Arbitrary<PublicArea> = fc.oneof(
  fc.constantFrom(0, 1024, 2048, 3072, 4096).chain((keyBits) =>
    variant('type', ['rsa'], {
      ...header,
      symmetric: symDefObject,
      scheme: asymScheme,
      keyBits: fc.constant(keyBits),
      exponent: any32,
      modulus: fc.oneof(fc.constant(new Uint8Array(0)), exactly(keyBits / 8)),
    }),
  ),
  fc.constantFrom(...Object.values(CURVE)).chain((curve) =>
    variant('type', ['ecc'], {
      ...header,
      symmetric: symDefObject,
      scheme: asymScheme,
      curve: fc.constant(curve),
      kdf,
      x: upTo(curveBytes(curve)),
      y: upTo(curveBytes(curve)),
    }),
  ),
  variant('type', ['keyed-hash'], { ...header, scheme: keyedHashScheme, unique: digest }),
  variant('type', ['sym-cipher'], { ...header, symmetric: symDefObject, unique: digest }),
);

const known: ReadonlySet<number> = new Set(Object.values(ALG));
const unknownAlgorithm = fc.oneof(
  any16.filter((algorithm) => !known.has(algorithm)),
  fc.constantFrom(ALG.mlkem, ALG.mldsa, ALG.hashMldsa),
);
/** Of another type, or of a known type with something in it that is not known: a hash for the name, a curve. */
const unknownPublic = fc.oneof(
  variant('type', ['unknown'], {
    ...header,
    objectType: unknownAlgorithm,
    nameAlg: fc.oneof(hashAlg, unknownAlgorithm),
    body: upTo(1500),
  }),
  variant('type', ['unknown'], {
    ...header,
    objectType: fc.constantFrom(ALG.rsa, ALG.ecc, ALG.keyedHash, ALG.symCipher),
    nameAlg: unknownAlgorithm,
    body: upTo(300),
  }),
  variant('type', ['unknown'], {
    ...header,
    objectType: fc.constant(ALG.ecc),
    // No cipher, no scheme, Curve25519, no key derivation, no point.
    body: fc.constant(fromHex('001000100040001000000000')),
  }),
);

const rsaSignature = { hashAlg, signature: upTo(512) };
const eccSignature = { hashAlg, r: upTo(80, 1), s: upTo(80, 1) };
const anySignature: fc.Arbitrary<Signature> = fc.oneof(
  fc.constant({ scheme: 'null' } as const),
  variant('scheme', ['rsassa', 'rsapss'] as const, rsaSignature),
  variant('scheme', ['ecdsa', 'sm2', 'ecschnorr'] as const, eccSignature),
  variant('scheme', ['ecdaa'], { hashAlg, k: upTo(80), s: upTo(80) }),
  variant('scheme', ['hmac'], { hmac: ha }),
) as fc.Arbitrary<Signature>;

const pcrSelect = fc.constantFrom(1, 2, 3, 4).chain((size) =>
  fc
    .uniqueArray(fc.nat(8 * size - 1))
    .map((list) => list.sort((a, b) => a - b))
    .map((pcrs) => (size === 3 ? { pcrs } : { pcrs, bitmapBytes: size })),
);
const pcrSelection = fc.tuple(any16, pcrSelect).map(([hashAlg, select]) => ({ hashAlg, ...select }));
const pcrSelections = fc.array(pcrSelection, { maxLength: 16 });
const clockInfo = fc.record({ clock: any64, resetCount: any32, restartCount: any32, safe: fc.boolean() });

const attestHeader = { qualifiedSigner: name, extraData: name, clockInfo, firmwareVersion: any64 };
const anyAttest: fc.Arbitrary<Attest> = fc.oneof(
  variant('type', ['quote'], { ...attestHeader, pcrSelections, pcrDigest: digest }),
  variant('type', ['get-time'], {
    ...attestHeader,
    time: any64,
    innerClockInfo: clockInfo,
    innerFirmwareVersion: any64,
  }),
  variant('type', ['certify'], { ...attestHeader, name, qualifiedName: name }),
  variant('type', ['creation'], { ...attestHeader, objectName: name, creationHash: digest }),
  variant('type', ['nv-certify'], { ...attestHeader, indexName: name, offset: any16, contents: upTo(2048) }),
  variant('type', ['nv-digest'], { ...attestHeader, indexName: name, nvDigest: digest }),
  variant('type', ['command-audit'], {
    ...attestHeader,
    auditCounter: any64,
    digestAlg: any16,
    auditDigest: digest,
    commandDigest: digest,
  }),
  variant('type', ['session-audit'], {
    ...attestHeader,
    exclusiveSession: fc.boolean(),
    sessionDigest: digest,
  }),
);

const items = <T>(item: fc.Arbitrary<T>) => ({ items: fc.array(item, { maxLength: 20 }) });
const anyCapability: fc.Arbitrary<CapabilityData> = fc.oneof(
  variant('capability', ['algorithms'], items(fc.record({ algorithm: any16, attributes: any32 }))),
  variant('capability', ['handles', 'commands', 'ppCommands', 'auditCommands'] as const, items(any32)),
  variant('capability', ['pcrs'], { items: pcrSelections }),
  variant('capability', ['properties'], items(fc.record({ property: any32, value: any32 }))),
  variant(
    'capability',
    ['pcrProperties'],
    items(fc.tuple(any32, pcrSelect).map(([property, select]) => ({ property, ...select }))),
  ),
  variant('capability', ['curves'], items(any16)),
  variant(
    'capability',
    ['authPolicies'],
    items(fc.record({ handle: any32, policy: fc.option(ha, { nil: undefined }) })),
  ),
  variant('capability', ['act'], items(fc.record({ handle: any32, timeoutS: any32, attributes: any32 }))),
) as fc.Arbitrary<CapabilityData>;

const ticket = (...tags: readonly number[]) =>
  fc.record({ tag: fc.constantFrom(...tags), hierarchy: any32, digest });

interface Row<T> {
  readonly codec: Codec<T>;
  readonly values: fc.Arbitrary<T>;
}
function row<T>(codec: Codec<T>, values: fc.Arbitrary<T>): Row<T> {
  return { codec, values };
}

const STRUCTURES: Readonly<Record<string, Row<unknown>>> = {
  UINT8: row(u8, any8),
  UINT16: row(u16, any16),
  UINT32: row(u32, any32),
  UINT64: row(u64, any64),
  INT8: row(i8, fc.integer({ min: -128, max: 127 })),
  INT32: row(i32, fc.integer()),
  TPMI_YES_NO: row(yesNo('flag'), fc.boolean()),
  TPM2B: row(bytes('bytes', 40), upTo(40)),
  'TPM2B of a structure': row(sized('inner', struct({ a: u8, b: u32 })), fc.record({ a: any8, b: any32 })),
  TPML: row(list('list', u16, 5), fc.array(any16, { maxLength: 5 })),
  TPMT_HA: row(tpmtHa, ha),
  'TPMT_HA+': row(tpmtHaOrNull, fc.option(ha, { nil: undefined })),
  TPML_ALG: row(tpmlAlg, fc.array(any16, { maxLength: 128 })),
  TPML_DIGEST: row(tpmlDigest, fc.array(digest, { maxLength: 8 })),
  TPML_DIGEST_VALUES: row(tpmlDigestValues, fc.array(ha, { maxLength: 16 })),
  TPMS_PCR_SELECT: row(tpmsPcrSelect, pcrSelect),
  TPML_PCR_SELECTION: row(tpmlPcrSelection, pcrSelections),
  TPMT_ASYM_SCHEME: row(tpmtAsymScheme, asymScheme),
  TPMT_SIG_SCHEME: row(
    tpmtSigScheme,
    fc.oneof(fc.constant(undefined), variant('scheme', [...signing, 'hmac'] as const, hashed), ecdaaScheme),
  ),
  TPMT_RSA_DECRYPT: row(
    tpmtRsaDecrypt,
    fc.oneof(fc.constant(undefined), rsaes, variant('scheme', ['oaep'], hashed)),
  ),
  TPMT_KDF_SCHEME: row(tpmtKdfScheme, kdf),
  TPMT_KEYEDHASH_SCHEME: row(tpmtKeyedHashScheme, keyedHashScheme),
  TPMT_SYM_DEF_OBJECT: row(tpmtSymDefObject, symDefObject),
  TPMT_SYM_DEF: row(tpmtSymDef, fc.oneof(symDefObject, variant('algorithm', ['xor'], hashed))),
  TPMS_ECC_POINT: row(tpmsEccPoint, fc.record({ x: upTo(80), y: upTo(80) })),
  TPMT_PUBLIC: row(tpmtPublic, anyPublic),
  'TPMT_PUBLIC of any TPM': row(tpmtAnyPublic, fc.oneof(anyPublic, unknownPublic)),
  TPMT_PUBLIC_PARMS: row(
    tpmtPublicParms,
    fc.oneof(
      variant('type', ['rsa'], {
        symmetric: symDefObject,
        scheme: asymScheme,
        keyBits: any16,
        exponent: any32,
      }),
      variant('type', ['ecc'], { symmetric: symDefObject, scheme: asymScheme, curve: any16, kdf }),
      variant('type', ['keyed-hash'], { scheme: keyedHashScheme }),
      variant('type', ['sym-cipher'], { symmetric: symDefObject }),
    ),
  ),
  TPMT_SIGNATURE: row(tpmtSignature, anySignature),
  'TPMT_SIGNATURE of any TPM': row(
    tpmtAnySignature,
    fc.oneof(anySignature, variant('scheme', ['unknown'], { algorithm: unknownAlgorithm, body: upTo(3000) })),
  ),
  TPMS_ATTEST: row(tpmsAttest, anyAttest),
  TPMS_CREATION_DATA: row(
    tpmsCreationData,
    fc.record({
      pcrSelections,
      pcrDigest: digest,
      locality: any8,
      parentNameAlg: any16,
      parentName: name,
      parentQualifiedName: name,
      outsideInfo: name,
    }),
  ),
  TPMS_SENSITIVE_CREATE: row(tpmsSensitiveCreate, fc.record({ userAuth: digest, data: upTo(256) })),
  TPMT_SENSITIVE: row(
    tpmtSensitive,
    fc.record({ sensitiveType: any16, authValue: digest, seedValue: digest, sensitive: upTo(512) }),
  ),
  TPMT_TK_CREATION: row(tpmtTkCreation, ticket(0x8021)),
  TPMT_TK_VERIFIED: row(tpmtTkVerified, ticket(0x8022)),
  TPMT_TK_AUTH: row(tpmtTkAuth, ticket(0x8023, 0x8025)),
  TPMT_TK_HASHCHECK: row(tpmtTkHashCheck, ticket(0x8024)),
  TPMS_CONTEXT: row(
    tpmsContext,
    fc.record({ sequence: any64, savedHandle: any32, hierarchy: any32, contextBlob: upTo(2000) }),
  ),
  TPMS_TIME_INFO: row(tpmsTimeInfo, fc.record({ time: any64, clockInfo })),
  TPMS_NV_PUBLIC: row(
    tpmsNvPublic,
    fc.record({ nvIndex: any32, nameAlg: any16, attributes: any32, authPolicy: digest, dataSize: any16 }),
  ),
  TPMS_CAPABILITY_DATA: row(tpmsCapabilityData, anyCapability),
  'TPMS_CAPABILITY_DATA of any TPM': row(
    tpmsAnyCapabilityData,
    fc.oneof(
      anyCapability,
      variant('capability', ['unknown'], {
        group: any32.filter((group) => group > CAPABILITY.act),
        data: upTo(1000),
      }),
      variant('capability', ['unknown'], {
        group: fc.constant(CAPABILITY.authPolicies),
        // One policy, by a hash that has no size here.
        data: fc.constant(fromHex('0000000140000001ffff0102')),
      }),
    ),
  ),
};

describe.each(Object.entries(STRUCTURES))('%s', (structure, { codec, values }) => {
  it('survives a round trip', () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decode(structure, codec, encode(codec, value))).toEqual(value);
      }),
    );
  });

  it('is refused with a TpmError, or has one encoding, when its bytes are changed', () => {
    const edits = fc.array(fc.record({ at: fc.nat(), value: any8 }), { maxLength: 3 });
    fc.assert(
      fc.property(values, edits, fc.nat(3), upTo(2), (value, changes, cut, tail) => {
        const original = encode(codec, value);
        const changed = Uint8Array.from([...original.slice(0, Math.max(0, original.length - cut)), ...tail]);
        for (const { at, value: byte } of changes)
          if (changed.length > 0) changed[at % changed.length] = byte;
        expectRefusedOrCanonical(structure, codec, changed);
      }),
    );
  });

  it('is refused with a TpmError, or has one encoding, when its bytes are random', () => {
    fc.assert(fc.property(upTo(200), (random) => expectRefusedOrCanonical(structure, codec, random)));
  });
});

function expectRefusedOrCanonical(structure: string, codec: Codec<unknown>, input: Uint8Array): void {
  let value: unknown;
  try {
    value = decode(structure, codec, input);
  } catch (error) {
    expect(error).toBeInstanceOf(TpmError);
    return;
  }
  expect(toHex(encode(codec, value))).toBe(toHex(input));
}

describe('what is no value of its type', () => {
  it.each<[string, () => unknown]>([
    ['a number too large', () => encode(u16, 0x10000)],
    ['a negative number', () => encode(u8, -1)],
    ['a fraction', () => encode(u32, 1.5)],
    ['a byte beyond -128', () => encode(i8, -129)],
    ['2^64', () => encode(u64, 2n ** 64n)],
    ['a negative bigint', () => encode(u64, -1n)],
    ['too many bytes', () => encode(bytes('b', 3), new Uint8Array(4))],
    ['too few bytes', () => encode(bytes('b', 3, 1), new Uint8Array(0))],
    ['too many items', () => encode(list('l', u8, 1), [1, 2])],
    ['a digest of another size', () => encode(tpmtHa, { hashAlg: ALG.sha256, digest: new Uint8Array(31) })],
    ['a PCR that is none', () => encode(tpmsPcrSelect, { pcrs: [24] })],
    ['a PCR beyond a short bitmap', () => encode(tpmsPcrSelect, { pcrs: [8], bitmapBytes: 1 })],
    ['a bitmap of no bytes', () => encode(tpmsPcrSelect, { pcrs: [], bitmapBytes: 0 })],
    ['a bitmap of no number', () => encode(tpmsPcrSelect, { pcrs: [], bitmapBytes: Number.NaN })],
    ['a bitmap of a fraction', () => encode(tpmsPcrSelect, { pcrs: [], bitmapBytes: 1.5 })],
  ])('is not written: %s', (_what, write) => {
    expect(write).toThrow(expect.objectContaining({ code: 'TPM_ARGUMENT_INVALID' }));
  });

  it('is not written: a list beyond what a length can say', () => {
    const huge = sized('huge', list('items', u64, 10_000));
    expect(() => encode(huge, Array(9000).fill(0n))).toThrow(/got 72004, want 0 to 65535/);
  });
});
