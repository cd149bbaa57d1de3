import { concatBytes, toHex } from '@nemea/core';
import { childrenOf, type Der, DerError, expectTag, oidOf, parseDer, TAG } from '../der.ts';
import { sameBytes } from './check.ts';
import { ImaError } from './errors.ts';
import { canonicalHashName, hashByName } from './hash.ts';
import { type ImaKey, type ImaKeyRing, issuerAndSerial } from './key-ring.ts';
import type { ImaModsig } from './list.ts';
import { refuse, type SignatureCheck, verifyWith } from './signature-check.ts';

const OID = { signedData: '1.2.840.113549.1.7.2', messageDigest: '1.2.840.113549.1.9.4' } as const;

const HASHES: ReadonlyMap<string, string> = new Map([
  ['1.3.14.3.2.26', 'sha1'],
  ['2.16.840.1.101.3.4.2.4', 'sha224'],
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
  ['2.16.840.1.101.3.4.2.8', 'sha3-256'],
  ['2.16.840.1.101.3.4.2.9', 'sha3-384'],
  ['2.16.840.1.101.3.4.2.10', 'sha3-512'],
  ['1.2.156.10197.1.401', 'sm3'],
]);
/** RSASSA-PKCS1-v1_5 in all its names, and ECDSA; the digest algorithm is said apart. */
const RSA_PREFIX = '1.2.840.113549.1.1.';
const RSA_PSS = '1.2.840.113549.1.1.10';
const ECDSA_PREFIX = '1.2.840.10045.4.';

/** Who signed and how: SignerInfo of RFC 5652, 5.3. */
interface Signer {
  readonly keys: readonly ImaKey[];
  /** Key id, where the signer is named by subject key identifier. */
  readonly keyId: string | null;
  readonly hash: string | null;
  readonly supported: boolean;
  /** The attributes as they are signed: with the tag of a SET. */
  readonly signedAttributes: Der | null;
  readonly signature: Uint8Array;
}

/**
 * Checks a PKCS#7 signature that was appended to a file, over the digest of the file without it. One valid signer is
 * enough. Certificates inside it are not looked at: only those of the key ring are trusted.
 */
export function verifyModsig(modsig: ImaModsig, ring: ImaKeyRing): SignatureCheck {
  try {
    const signers = parseSigners(modsig.pkcs7, ring);
    const checks = signers.map((signer) => verifySigner(signer, modsig));
    return checks.find(({ valid }) => valid) ?? checks[0] ?? refuse('SIGNATURE_MISSING');
  } catch (error) {
    if (error instanceof ImaError || error instanceof DerError) return refuse('SIGNATURE_MALFORMED');
    throw error;
  }
}

function verifySigner(signer: Signer, { digest }: ImaModsig): SignatureCheck {
  const { hash, keyId, signedAttributes } = signer;
  if (hash === null || !signer.supported) return refuse('SIGNATURE_UNSUPPORTED', keyId);
  if (digest === null || canonicalHashName(digest.algorithm) !== hash)
    return refuse('SIGNATURE_OTHER_DIGEST', keyId);
  if (signedAttributes === null) return verifyWith(signer.keys, hash, digest.value, signer.signature, keyId);
  if (!sameBytes(messageDigestOf(signedAttributes), digest.value))
    return refuse('SIGNATURE_OTHER_DIGEST', keyId);
  const signed = hashByName(hash, signedAttributes.whole);
  if (signed === null) return refuse('SIGNATURE_UNSUPPORTED', keyId);
  return verifyWith(signer.keys, hash, signed, signer.signature, keyId);
}

function parseSigners(pkcs7: Uint8Array, ring: ImaKeyRing): Signer[] {
  const [contentType, content] = childrenOf(expectTag(parseDer(pkcs7), TAG.sequence));
  if (oidOf(contentType) !== OID.signedData) throw new ImaError('IMA_KEY_INVALID', 'PKCS#7: not signed data');
  const [signedData] = childrenOf(expectTag(content, TAG.context0));
  const signerInfos = expectTag(childrenOf(expectTag(signedData, TAG.sequence)).at(-1), TAG.set);
  return childrenOf(signerInfos).map((info) => parseSigner(info, ring));
}

/** SignerInfo: version, signer, digest algorithm, [0] signed attributes, signature algorithm, signature, ... */
function parseSigner(info: Der, ring: ImaKeyRing): Signer {
  const [, identifier, digestAlgorithm, ...rest] = childrenOf(expectTag(info, TAG.sequence));
  const attributes = rest[0]?.tag === TAG.context0 ? rest[0] : null;
  const [signatureAlgorithm, signature] = attributes === null ? rest : rest.slice(1);
  const algorithm = oidOf(childrenOf(expectTag(signatureAlgorithm, TAG.sequence))[0]);
  return {
    ...findKeys(identifier, ring),
    hash: HASHES.get(oidOf(childrenOf(expectTag(digestAlgorithm, TAG.sequence))[0])) ?? null,
    supported:
      (algorithm.startsWith(RSA_PREFIX) && algorithm !== RSA_PSS) || algorithm.startsWith(ECDSA_PREFIX),
    // RFC 5652, 5.4: what is signed has the tag of a SET, not that of the field.
    signedAttributes:
      attributes === null
        ? null
        : parseDer(concatBytes(Uint8Array.of(TAG.set), attributes.whole.subarray(1))),
    signature: expectTag(signature, TAG.octetString).content,
  };
}

function findKeys(identifier: Der | undefined, ring: ImaKeyRing): Pick<Signer, 'keys' | 'keyId'> {
  if (identifier?.tag === TAG.contextPrimitive0) {
    const { content } = identifier;
    const keys = ring.filter(({ subjectKeyIdentifier }) => sameBytes(subjectKeyIdentifier, content));
    return { keys, keyId: toHex(content.subarray(-4)) };
  }
  const [issuer, serial] = childrenOf(expectTag(identifier, TAG.sequence));
  const name = issuerAndSerial(expectTag(issuer, TAG.sequence), expectTag(serial, TAG.integer));
  const keys = ring.filter((key) => key.issuerAndSerial !== null && sameBytes(key.issuerAndSerial, name));
  return { keys, keyId: keys[0]?.id ?? null };
}

function messageDigestOf(attributes: Der): Uint8Array {
  for (const attribute of childrenOf(attributes)) {
    const [type, values] = childrenOf(attribute);
    if (oidOf(type) !== OID.messageDigest) continue;
    const [value, ...others] = childrenOf(expectTag(values, TAG.set));
    if (others.length === 0) return expectTag(value, TAG.octetString).content;
  }
  throw new ImaError('IMA_KEY_INVALID', 'PKCS#7: no digest of the message among its signed attributes');
}
