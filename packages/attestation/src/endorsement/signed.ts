import { CodedError } from '@nemea/core';
import { parseSignature } from '@nemea/tpm/structures';
import { bitsOf, childrenOf, type Der, derError, expectTag, oidOf, TAG } from '../der.ts';
import { fromPlainSignature } from '../quote/plain-signature.ts';
import { parseSigningKey, type SigningKey } from '../quote/signing-key.ts';
import { refuseSignature } from '../signature.ts';

/** SIGNED of RFC 5280, 4.1.1: what is signed, by which algorithm, and the signature. */
export interface Signed {
  readonly toBeSigned: Uint8Array;
  /** Scheme and hash, such as `ecdsa-sha256`; for others the object identifier. */
  readonly algorithm: string;
  readonly signature: Uint8Array;
}

const ALGORITHMS: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'rsassa-sha256',
  '1.2.840.113549.1.1.12': 'rsassa-sha384',
  '1.2.840.113549.1.1.13': 'rsassa-sha512',
  '1.2.840.10045.4.3.2': 'ecdsa-sha256',
  '1.2.840.10045.4.3.3': 'ecdsa-sha384',
  '1.2.840.10045.4.3.4': 'ecdsa-sha512',
};
const ACCEPTED: ReadonlySet<string> = new Set([
  ...Object.values(ALGORITHMS),
  ...['rsapss-sha256', 'rsapss-sha384', 'rsapss-sha512'],
]);
const RSA_PSS = '1.2.840.113549.1.1.10';
const HASHES: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** Reads the frame of a certificate or CRL, and the values of what is signed. Throws `DerError`. */
export function parseSigned(root: Der): { readonly signed: Signed; readonly fields: Der } {
  const [toBeSigned, algorithm, signature, ...others] = childrenOf(expectTag(root, TAG.sequence));
  const fields = expectTag(toBeSigned, TAG.sequence);
  if (others.length > 0) throw derError('more than a signature behind what is signed');
  return {
    signed: {
      toBeSigned: fields.whole,
      algorithm: algorithmOf(expectTag(algorithm, TAG.sequence)),
      signature: bitsOf(signature),
    },
    fields,
  };
}

/** AlgorithmIdentifier: a name for those that are accepted here, and the bare object identifier of the others. */
function algorithmOf(identifier: Der): string {
  const [oid, parameters] = childrenOf(identifier);
  const name = oidOf(oid);
  if (name !== RSA_PSS) return ALGORITHMS[name] ?? name;
  // RFC 4055, 3.1: SHA-1 is the default that nobody wants; [0] is the hash.
  const [hash] = parameters === undefined ? [] : childrenOf(expectTag(parameters, TAG.sequence));
  if (hash?.tag !== TAG.context0) return name;
  const [inner] = childrenOf(hash);
  const hashOid = oidOf(childrenOf(expectTag(inner, TAG.sequence))[0]);
  return `rsapss-${HASHES[hashOid] ?? hashOid}`;
}

/** Why the signature does not count; `null` when it is by that key. */
export function refuseSigned(
  { algorithm, signature, toBeSigned }: Signed,
  issuerSpki: Uint8Array,
): string | null {
  if (!ACCEPTED.has(algorithm)) return `signature algorithm ${algorithm} is not accepted`;
  try {
    const key: SigningKey = parseSigningKey(issuerSpki);
    const parsed = parseSignature(fromPlainSignature(signature, algorithm));
    return refuseSignature(key, parsed, toBeSigned)?.message ?? null;
  } catch (error) {
    if (error instanceof CodedError) return error.message; // a key or a signature that is none
    throw error;
  }
}
