import { ByteReader, bytesEqual, CodedError, fromHex, toUtf8 } from '@nemea/core';
import {
  type AsymmetricScheme,
  CURVE,
  eccPoint,
  OBJECT_ATTRIBUTE,
  type PublicArea,
  parsePublicArea,
  toSpki,
} from '@nemea/tpm/structures';
import { BoundedCache, cacheKey } from '../bounded-cache.ts';
import { AttestationError } from '../errors.ts';

interface KeyOrigin {
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** What the key's TPMT_PUBLIC demands of its signatures; `undefined` when it demands nothing, or only an SPKI is known. */
  readonly scheme: AsymmetricScheme | undefined;
  /**
   * Whether the TPM made the key and lets it sign nothing but the TPM's own statements. `undefined` when only an SPKI is
   * known: then whoever vouches for the key must have checked it, because any other key can sign an invented quote.
   */
  readonly isAttestationKey: boolean | undefined;
}

export interface EccSigningKey extends KeyOrigin {
  readonly type: 'ecc';
  readonly curve: number;
  /** Uncompressed: 04, x, y. On the curve or not: verification decides. */
  readonly point: Uint8Array;
}

export interface RsaSigningKey extends KeyOrigin {
  readonly type: 'rsa';
  readonly modulus: Uint8Array;
  readonly exponent: number;
}

/** A public key that quotes are checked with. */
export type SigningKey = EccSigningKey | RsaSigningKey;

const KEY_BYTES_MAX = 4096;
const MODULUS_BYTES_MAX = 512;
const EXPONENT_BYTES_MAX = 4;
const PEM = /^\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/;
const PEM_HEAD = 0x2d;
const DER_SEQUENCE = 0x30;
const DER_INTEGER = 0x02;
const DER_BIT_STRING = 0x03;
const TYPE_ECC = 0x0023;
// RFC 5480 for named curves: up to the point, the SPKI of a curve is one constant.
const ECC_HEADS = [
  [CURVE.p256, fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200'), 65],
  [CURVE.p384, fromHex('3076301006072a8648ce3d020106052b81040022036200'), 97],
  [CURVE.p521, fromHex('30819b301006072a8648ce3d020106052b8104002303818600'), 133],
] as const;
// RFC 3279, 2.3.1: rsaEncryption with NULL.
const RSA_ALGORITHM = fromHex('06092a864886f70d0101010500');

const RESTRICTED_SIGNING =
  OBJECT_ATTRIBUTE.fixedTpm |
  OBJECT_ATTRIBUTE.fixedParent |
  OBJECT_ATTRIBUTE.sensitiveDataOrigin |
  OBJECT_ATTRIBUTE.restricted |
  OBJECT_ATTRIBUTE.sign;

const KEYS_REMEMBERED_MAX = 1024;
const knownKeys = new BoundedCache<SigningKey>(KEYS_REMEMBERED_MAX);

/**
 * Reads a public key: SubjectPublicKeyInfo as PEM or DER, TPMT_PUBLIC, or TPM2B_PUBLIC. Throws `KEY_INVALID`. The
 * same bytes give the same object while they are remembered, so that what is derived from a key is derived once. [QUO-2]
 */
export function parseSigningKey(key: Uint8Array | string): SigningKey {
  if (key.length > KEY_BYTES_MAX) throw invalid(`got ${key.length} bytes, want at most ${KEY_BYTES_MAX}`);
  const id = typeof key === 'string' ? key : cacheKey(key);
  const known = knownKeys.get(id);
  if (known !== undefined) return known;
  const parsed = translated(() => (typeof key === 'string' ? fromPem(key) : fromBytes(key.slice())));
  knownKeys.set(id, parsed);
  return parsed;
}

/** The key in a public area. Throws `KEY_INVALID` for sealed data and for a template. */
export function signingKeyOf(area: PublicArea): SigningKey {
  return translated(() => fromArea(area));
}

function translated(read: () => SigningKey): SigningKey {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof AttestationError || !(cause instanceof CodedError)) throw cause;
    throw invalid(cause.message, cause);
  }
}

function fromBytes(bytes: Uint8Array): SigningKey {
  if (bytes[0] === PEM_HEAD) return fromPem(toUtf8(bytes));
  if (bytes[0] === DER_SEQUENCE) return fromSpki(bytes);
  if (bytes.length < 2) throw invalid('neither PEM nor DER nor a TPM public area');
  const head = new DataView(bytes.buffer, bytes.byteOffset).getUint16(0);
  const isWrapped = head === bytes.length - 2 && head > TYPE_ECC;
  return fromArea(parsePublicArea(isWrapped ? bytes.subarray(2) : bytes));
}

function fromPem(text: string): SigningKey {
  const base64 = PEM.exec(text)?.[1]?.replace(/\s+/g, '');
  if (base64 === undefined) throw invalid('not one PEM block of a PUBLIC KEY');
  let binary: string;
  try {
    binary = atob(base64);
  } catch (cause) {
    throw invalid('the PEM is not base64', cause); // atob reports it only by throwing
  }
  return fromSpki(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)));
}

function fromArea(area: PublicArea): SigningKey {
  const spki = toSpki(area);
  if (area.type !== 'ecc' && area.type !== 'rsa') throw invalid(`got ${area.type}, want a signing key`);
  const isAttestationKey =
    (area.attributes & RESTRICTED_SIGNING) === RESTRICTED_SIGNING &&
    (area.attributes & OBJECT_ATTRIBUTE.decrypt) === 0;
  const origin = { spki, scheme: area.scheme, isAttestationKey };
  if (area.type === 'ecc') return { ...origin, type: 'ecc', curve: area.curve, point: eccPoint(area) };
  return { ...origin, type: 'rsa', modulus: area.modulus, exponent: area.exponent || 65537 };
}

function fromSpki(spki: Uint8Array): SigningKey {
  const origin = { spki, scheme: undefined, isAttestationKey: undefined };
  for (const [curve, head, pointBytes] of ECC_HEADS) {
    if (spki.length !== head.length + pointBytes || !bytesEqual(spki.subarray(0, head.length), head))
      continue;
    const point = spki.subarray(head.length);
    if (point[0] !== 4) throw invalid('the point of the key is not uncompressed');
    return { ...origin, type: 'ecc', curve, point };
  }
  const outer = readWhole(spki, (reader) => readDer(reader, DER_SEQUENCE));
  const [algorithm, bits] = readWhole(outer, (reader) => [
    readDer(reader, DER_SEQUENCE),
    readDer(reader, DER_BIT_STRING),
  ]);
  if (!bytesEqual(algorithm, RSA_ALGORITHM)) throw invalid('want RSA, or ECC on P-256, P-384 or P-521');
  if (bits[0] !== 0) throw invalid('the key is not whole bytes');
  const key = readWhole(bits.subarray(1), (reader) => readDer(reader, DER_SEQUENCE));
  const [modulus, exponent] = readWhole(key, (reader) => [readUnsigned(reader), readUnsigned(reader)]);
  if (modulus.length > MODULUS_BYTES_MAX || exponent.length > EXPONENT_BYTES_MAX) {
    throw invalid(`got RSA-${modulus.length * 8} with an exponent of ${exponent.length} bytes`);
  }
  return { ...origin, type: 'rsa', modulus, exponent: exponent.reduce((sum, byte) => sum * 256 + byte, 0) };
}

function readWhole<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(bytes);
  const value = read(reader);
  reader.end();
  return value;
}

/** The content of one DER element (X.690, 10.1: the shortest form of its length). */
function readDer(reader: ByteReader, tagWanted: number): Uint8Array {
  const tag = reader.u8();
  if (tag !== tagWanted) throw invalid(`DER tag: got ${tag}, want ${tagWanted}`);
  const first = reader.u8();
  const length = first === 0x82 ? reader.u16() : first === 0x81 ? reader.u8() : first;
  const isShortest = first === 0x82 ? length > 0xff : first === 0x81 ? length > 0x7f : first < 0x80;
  if (!isShortest) throw invalid('the DER length is not in its shortest form');
  return reader.bytes(length);
}

/** The magnitude of a positive INTEGER, without its sign byte. */
function readUnsigned(reader: ByteReader): Uint8Array {
  const content = readDer(reader, DER_INTEGER);
  const [first = 0x80, second = 0] = content;
  if (first >= 0x80 || (first === 0 && second < 0x80))
    throw invalid('an integer of the key is not positive DER');
  return first === 0 ? content.subarray(1) : content;
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('KEY_INVALID', `public key: ${message}`, { cause });
}
