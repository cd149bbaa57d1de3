import { p256, p384, p521 } from '@noble/curves/nist.js';
import { childrenOf, expectTag, parseDer, positiveOf, TAG, toBigInt } from '../der.ts';
import { ImaError } from './errors.ts';
import { canonicalHashName } from './hash.ts';

export const EC_CURVES = {
  'P-256': { oid: '1.2.840.10045.3.1.7', implementation: p256 },
  'P-384': { oid: '1.3.132.0.34', implementation: p384 },
  'P-521': { oid: '1.3.132.0.35', implementation: p521 },
} as const;
export type EcCurve = keyof typeof EC_CURVES;

/** A key that signs files. */
export type ImaPublicKey =
  | { readonly kind: 'rsa'; readonly n: bigint; readonly e: bigint; readonly bytes: number }
  | { readonly kind: 'ec'; readonly curve: EcCurve; readonly point: Uint8Array };

/** DER of AlgorithmIdentifier and digest header before a digest: RFC 8017, 9.2, note 1; for SM3 its OID 1.2.156.10197.1.401. */
const DIGEST_INFO: ReadonlyMap<string, string> = new Map([
  ['sha1', '3021300906052b0e03021a05000414'],
  ['sha224', '302d300d06096086480165030402040500041c'],
  ['sha256', '3031300d060960864801650304020105000420'],
  ['sha384', '3041300d060960864801650304020205000430'],
  ['sha512', '3051300d060960864801650304020305000440'],
  ['sha3-256', '3031300d060960864801650304020805000420'],
  ['sha3-384', '3041300d060960864801650304020905000430'],
  ['sha3-512', '3051300d060960864801650304020a05000440'],
  ['rmd160', '3021300906052b2403020105000414'],
  ['sm3', '3030300c06082a811ccf5501831105000420'],
]);

/** Can a signature be over a digest of this hash? */
export function isSignableHash(hash: string): boolean {
  return DIGEST_INFO.has(canonicalHashName(hash));
}

/**
 * Verifies a signature over a digest that was made before: RSASSA-PKCS1-v1_5 or ECDSA with the signature in DER. Node
 * and WebCrypto hash for themselves, so this is arithmetic; all of it is public, so it need not take constant time. [IMA-16]
 */
export function verifyDigest(
  key: ImaPublicKey,
  hash: string,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  return key.kind === 'rsa'
    ? verifyRsa(key, hash, digest, signature)
    : verifyEcdsa(key.curve, key.point, digest, signature);
}

/** RFC 8017, 8.2.2: build the expected encoding and compare all of it, so no parser of paddings can be led astray. */
function verifyRsa(
  key: { readonly n: bigint; readonly e: bigint; readonly bytes: number },
  hash: string,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  const prefix = DIGEST_INFO.get(canonicalHashName(hash));
  if (prefix === undefined || signature.length !== key.bytes) return false;
  // The last byte of the prefix is the length of the digest.
  if (digest.length !== Number.parseInt(prefix.slice(-2), 16)) return false;
  const value = toBigInt(signature);
  if (value >= key.n) return false;
  const expected = new Uint8Array(key.bytes).fill(0xff);
  const info = Uint8Array.from(prefix.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const infoAt = key.bytes - digest.length - info.length;
  expected.set([0, 1]);
  expected[infoAt - 1] = 0;
  expected.set(info, infoAt);
  expected.set(digest, key.bytes - digest.length);
  return powerModulo(value, key.e, key.n) === toBigInt(expected);
}

function powerModulo(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, square] = [1n, base % modulus];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/** FIPS 186-5, 6.4.2. High and low s pass alike: IMA never canonicalised them. */
function verifyEcdsa(curve: EcCurve, point: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  const { implementation } = EC_CURVES[curve];
  const { BYTES } = implementation.Point.Fn;
  try {
    const parts = childrenOf(expectTag(parseDer(signature), TAG.sequence));
    if (parts.length !== 2) return false;
    const rs = new Uint8Array(2 * BYTES);
    putInteger(rs, BYTES, positiveOf(parts[0]));
    putInteger(rs, 2 * BYTES, positiveOf(parts[1]));
    return implementation.verify(rs, digest, point, { lowS: false, prehash: false });
  } catch {
    return false; // not DER, or numbers that no signature has
  }
}

function putInteger(out: Uint8Array, end: number, value: bigint): void {
  let rest = value;
  for (let i = end - 1; rest > 0n && i >= end - out.length / 2; i--, rest >>= 8n)
    out[i] = Number(rest & 0xffn);
  if (rest > 0n) throw new ImaError('IMA_KEY_INVALID', 'a number that is larger than its curve');
}
