import { bytesEqual, CodedError, fromHex, toUtf8 } from '@nemea/core';
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
import { bitsOf, childrenOf, type Der, encodeDer, expectTag, parseDer, TAG } from '../der.ts';
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

/** Certificates of TPM makers have up to some 2 kB. */
const KEY_BYTES_MAX = 1 << 13;
const MODULUS_BYTES_MAX = 512;
const EXPONENT_BYTES_MAX = 4;
const PEM = /-----BEGIN ([A-Z0-9 ]{1,32})-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----/;
const PRIVATE = /-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----/;
const TYPE_ECC = 0x0023;
// RFC 5480 for named curves: up to the point, the SPKI of a curve is one constant.
const ECC_HEADS = [
  [CURVE.p256, fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200'), 65],
  [CURVE.p384, fromHex('3076301006072a8648ce3d020106052b81040022036200'), 97],
  [CURVE.p521, fromHex('30819b301006072a8648ce3d020106052b8104002303818600'), 133],
] as const;
// RFC 3279, 2.3.1: rsaEncryption with NULL.
const RSA_ALGORITHM = fromHex('300d06092a864886f70d0101010500');

const RESTRICTED_SIGNING =
  OBJECT_ATTRIBUTE.fixedTpm |
  OBJECT_ATTRIBUTE.fixedParent |
  OBJECT_ATTRIBUTE.sensitiveDataOrigin |
  OBJECT_ATTRIBUTE.restricted |
  OBJECT_ATTRIBUTE.sign;

const KEYS_REMEMBERED_MAX = 1024;
const knownKeys = new BoundedCache<SigningKey>(KEYS_REMEMBERED_MAX);

/**
 * Reads a public key: SubjectPublicKeyInfo, RSAPublicKey or an X.509 certificate, each as PEM or DER, TPMT_PUBLIC, or
 * TPM2B_PUBLIC. Nothing of a certificate but its key is looked at: whoever names it vouches for it. Throws `KEY_INVALID`.
 * The same bytes give the same object while they are remembered, so that what is derived from a key is derived once. [QUO-2]
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
  if (bytes.length < 2) throw invalid('neither PEM nor DER nor a TPM public area');
  if (bytes[0] === TAG.sequence) return fromDer(bytes);
  const head = new DataView(bytes.buffer, bytes.byteOffset).getUint16(0);
  const isWrapped = head === bytes.length - 2 && head > TYPE_ECC;
  if (isWrapped || bytes[0] === 0) return fromArea(parsePublicArea(isWrapped ? bytes.subarray(2) : bytes));
  return fromPem(toUtf8(bytes));
}

/** RFC 7468: one block, whatever explains it in front of it. Its label says what is in it. */
function fromPem(text: string): SigningKey {
  if (PRIVATE.test(text)) throw invalid('this is a private key: keep it, and give its public half');
  const blocks = text.split('-----BEGIN ').length - 1;
  const [, label = '', base64 = ''] = PEM.exec(text) ?? [];
  const read = BY_LABEL.get(label);
  if (blocks !== 1 || read === undefined) {
    const wanted = [...BY_LABEL.keys()].join(', ');
    throw invalid(`got ${blocks} PEM blocks${label === '' ? '' : ` of a ${label}`}, want one of a ${wanted}`);
  }
  let binary: string;
  try {
    binary = atob(base64.replace(/\s+/g, ''));
  } catch (cause) {
    throw invalid('the PEM is not base64', cause); // atob reports it only by throwing
  }
  return read(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)));
}

const BY_LABEL: ReadonlyMap<string, (der: Uint8Array) => SigningKey> = new Map([
  ['PUBLIC KEY', fromSpki],
  ['RSA PUBLIC KEY', fromRsaPublicKey],
  ['CERTIFICATE', fromCertificate],
]);

/** Told by its shape. */
function fromDer(der: Uint8Array): SigningKey {
  const [first, second] = childrenOf(expectTag(parseDer(der), TAG.sequence));
  if (first?.tag === TAG.integer) return fromRsaPublicKey(der);
  return second?.tag === TAG.bitString ? fromSpki(der) : fromCertificate(der);
}

/** RFC 8017, A.1.1. */
function fromRsaPublicKey(der: Uint8Array): SigningKey {
  const bits = encodeDer(TAG.bitString, Uint8Array.of(0), der);
  return fromSpki(encodeDer(TAG.sequence, RSA_ALGORITHM, bits));
}

/** RFC 5280, 4.1: the TBSCertificate is [0] version, serial, signature, issuer, validity, subject, key. */
function fromCertificate(der: Uint8Array): SigningKey {
  const [tbs, algorithm, signature, ...more] = childrenOf(expectTag(parseDer(der), TAG.sequence));
  expectTag(algorithm, TAG.sequence);
  expectTag(signature, TAG.bitString);
  if (more.length > 0) throw invalid('not a certificate');
  const fields = childrenOf(expectTag(tbs, TAG.sequence));
  return fromSpki(expectTag(fields[fields[0]?.tag === TAG.context0 ? 6 : 5], TAG.sequence).whole);
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
  const [algorithm, bits] = pairIn(spki);
  if (!bytesEqual(algorithm.whole, RSA_ALGORITHM)) throw invalid('want RSA, or ECC on P-256, P-384 or P-521');
  const [n, e] = pairIn(bitsOf(bits));
  const [modulus, exponent] = [magnitudeOf(n), magnitudeOf(e)];
  if (modulus.length > MODULUS_BYTES_MAX || exponent.length > EXPONENT_BYTES_MAX) {
    throw invalid(`got RSA-${modulus.length * 8} with an exponent of ${exponent.length} bytes`);
  }
  return { ...origin, type: 'rsa', modulus, exponent: exponent.reduce((sum, byte) => sum * 256 + byte, 0) };
}

/** The two values of a sequence of two. */
function pairIn(der: Uint8Array): readonly [Der, Der] {
  const [first, second, ...more] = childrenOf(expectTag(parseDer(der), TAG.sequence));
  if (first === undefined || second === undefined || more.length > 0) throw invalid('want a sequence of two');
  return [first, second];
}

/** The magnitude of a positive INTEGER, without its sign byte. */
function magnitudeOf(value: Der): Uint8Array {
  const { content } = expectTag(value, TAG.integer);
  const [first = 0x80, second = 0] = content;
  if (first >= 0x80 || (first === 0 && second < 0x80))
    throw invalid('an integer of the key is not positive DER');
  return first === 0 ? content.subarray(1) : content;
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('KEY_INVALID', `public key: ${message}`, { cause });
}
