import { toHex } from '@nemea/core';
import { sha1 } from '@noble/hashes/legacy.js';
import {
  bitsOf,
  childrenOf,
  DER_BYTES_MAX,
  type Der,
  DerError,
  derError,
  expectTag,
  oidOf,
  parseDer,
  positiveOf,
  TAG,
} from '../der.ts';
import { ImaError } from './errors.ts';
import { EC_CURVES, type EcCurve, type ImaPublicKey } from './public-key.ts';

const KEYS_MAX = 256;
const KEY_FILE_BYTES_MAX = 2 ** 20;
const KEY_ID_BYTES = 4;
const RSA_BITS = { min: 2048, max: 8192 } as const;
const RSA_EXPONENT_MAX = 2n ** 32n;

const OID = {
  rsa: '1.2.840.113549.1.1.1',
  ec: '1.2.840.10045.2.1',
  subjectKeyIdentifier: '2.5.29.14',
} as const;

/** A key whose signatures are believed. */
export interface ImaKey {
  /** Hex of the last four bytes of the subject key identifier, or of SHA-1 of the key: what a signature names. */
  readonly id: string;
  readonly publicKey: ImaPublicKey;
  /** Of the certificate, when the key came in one: what a PKCS#7 signature names. */
  readonly subjectKeyIdentifier: Uint8Array;
  readonly issuerAndSerial: Uint8Array | null;
}

/** The keys whose signatures count. */
export type ImaKeyRing = readonly ImaKey[];

/**
 * Reads the keys of one file: PEM (any number of public keys and certificates) or DER (one). Being in a key ring is what
 * makes a key trusted: neither dates nor issuers of certificates are looked at, as the kernel does not either. Throws
 * `IMA_KEY_INVALID` for anything else, weak keys and private keys included. [IMA-18]
 */
export function parseImaKeys(bytes: Uint8Array): ImaKeyRing {
  try {
    return parseKeys(bytes);
  } catch (cause) {
    if (cause instanceof DerError) throw new ImaError('IMA_KEY_INVALID', cause.message, { cause });
    throw cause;
  }
}

function parseKeys(bytes: Uint8Array): ImaKeyRing {
  if (bytes.length > KEY_FILE_BYTES_MAX)
    throw derError(`got ${bytes.length} bytes, want at most ${KEY_FILE_BYTES_MAX}`);
  if (bytes[0] === TAG.sequence) return [parseKey(bytes)];
  const blocks = [...new TextDecoder().decode(bytes).matchAll(PEM)];
  if (blocks.length === 0) throw derError('neither DER nor PEM');
  if (blocks.length > KEYS_MAX) throw derError(`got ${blocks.length} keys, want at most ${KEYS_MAX}`);
  return blocks.map(([, label = '', base64 = '']) => {
    if (!LABELS.has(label))
      throw new ImaError('IMA_KEY_INVALID', `PEM: want a public key or certificate, got ${label}`);
    return parseKey(fromBase64(base64));
  });
}

const PEM = /-----BEGIN ([A-Z0-9 ]{1,32})-----([A-Za-z0-9+/=\s]*)-----END \1-----/g;
const LABELS = new Set(['PUBLIC KEY', 'CERTIFICATE', 'RSA PUBLIC KEY']);

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replace(/\s/g, '')), (character) => character.charCodeAt(0));
  } catch {
    throw derError('not base64');
  }
}

/** SubjectPublicKeyInfo, Certificate (RFC 5280, 4.1) or RSAPublicKey (RFC 8017, A.1.1), told by their shape. */
function parseKey(der: Uint8Array): ImaKey {
  if (der.length > DER_BYTES_MAX) throw derError(`got ${der.length} bytes, want at most ${DER_BYTES_MAX}`);
  const root = expectTag(parseDer(der), TAG.sequence);
  const [first, second] = childrenOf(root);
  if (first?.tag === TAG.integer) return keyOf(rsaKey(root.whole), root.whole);
  if (second?.tag === TAG.bitString) return parseSpki(root);
  return parseCertificate(expectTag(first, TAG.sequence));
}

function parseSpki(spki: Der): ImaKey {
  const [algorithm, bits] = childrenOf(spki);
  const [oid, parameters] = childrenOf(expectTag(algorithm, TAG.sequence));
  const keyBytes = bitsOf(bits);
  return keyOf(publicKeyOf(oidOf(oid), parameters, keyBytes), keyBytes);
}

/** TBSCertificate: [0] version, serial, signature, issuer, validity, subject, spki, ..., [3] extensions. */
function parseCertificate(tbs: Der): ImaKey {
  const fields = childrenOf(tbs);
  const at = fields[0]?.tag === TAG.context0 ? 1 : 0;
  const [serial, , issuer, , , spki] = fields.slice(at);
  const key = parseSpki(expectTag(spki, TAG.sequence));
  const identifier = subjectKeyIdentifier(fields.find(({ tag }) => tag === TAG.context3));
  const skid = identifier ?? key.subjectKeyIdentifier;
  return {
    ...key,
    id: toHex(skid.subarray(-KEY_ID_BYTES)),
    subjectKeyIdentifier: skid,
    issuerAndSerial: issuerAndSerial(expectTag(issuer, TAG.sequence), expectTag(serial, TAG.integer)),
  };
}

/** Issuer and serial as one string of bytes, to compare. */
export function issuerAndSerial(issuer: Der, serial: Der): Uint8Array {
  const bytes = new Uint8Array(issuer.whole.length + serial.whole.length);
  bytes.set(issuer.whole);
  bytes.set(serial.whole, issuer.whole.length);
  return bytes;
}

function subjectKeyIdentifier(extensions: Der | undefined): Uint8Array | null {
  if (extensions === undefined) return null;
  const [list] = childrenOf(extensions);
  for (const extension of childrenOf(expectTag(list, TAG.sequence))) {
    const parts = childrenOf(extension);
    if (oidOf(parts[0]) !== OID.subjectKeyIdentifier) continue;
    const { content } = expectTag(
      parseDer(expectTag(parts.at(-1), TAG.octetString).content),
      TAG.octetString,
    );
    if (content.length < KEY_ID_BYTES) throw derError('a subject key identifier shorter than a key id');
    return content;
  }
  return null;
}

/** Key ids of keys without certificate: RFC 5280, 4.2.1.2 (1), as ima-evm-utils and the kernel reckon them. */
function keyOf(publicKey: ImaPublicKey, keyBytes: Uint8Array): ImaKey {
  const skid = sha1(keyBytes);
  return {
    id: toHex(skid.subarray(-KEY_ID_BYTES)),
    publicKey,
    subjectKeyIdentifier: skid,
    issuerAndSerial: null,
  };
}

function publicKeyOf(oid: string, parameters: Der | undefined, keyBytes: Uint8Array): ImaPublicKey {
  if (oid === OID.rsa) return rsaKey(keyBytes);
  if (oid !== OID.ec) throw new ImaError('IMA_KEY_INVALID', `key algorithm ${oid}: want RSA or EC`);
  const curveOid = oidOf(parameters);
  const curve = (Object.keys(EC_CURVES) as EcCurve[]).find((name) => EC_CURVES[name].oid === curveOid);
  if (curve === undefined)
    throw new ImaError('IMA_KEY_INVALID', `curve ${curveOid}: want P-256, P-384 or P-521`);
  try {
    EC_CURVES[curve].implementation.Point.fromBytes(keyBytes).assertValidity();
  } catch (cause) {
    throw new ImaError('IMA_KEY_INVALID', `${curve}: the point is not on the curve`, { cause });
  }
  return { kind: 'ec', curve, point: keyBytes };
}

function rsaKey(der: Uint8Array): ImaPublicKey {
  const [modulus, exponent] = childrenOf(expectTag(parseDer(der), TAG.sequence));
  const [n, e] = [positiveOf(modulus), positiveOf(exponent)];
  const bits = n.toString(2).length;
  if (bits < RSA_BITS.min || bits > RSA_BITS.max) {
    throw new ImaError('IMA_KEY_INVALID', `RSA: got ${bits} bits, want ${RSA_BITS.min} to ${RSA_BITS.max}`);
  }
  if (n % 2n === 0n || e % 2n === 0n || e < 3n || e >= RSA_EXPONENT_MAX) {
    throw new ImaError('IMA_KEY_INVALID', 'RSA: modulus or exponent is not one of a key');
  }
  return { kind: 'rsa', n, e, bytes: Math.ceil(bits / 8) };
}
