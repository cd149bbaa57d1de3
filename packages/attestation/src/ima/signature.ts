import { concatBytes, toHex } from '@nemea/core';
import { evmDigest, evmNamesDigest } from './evm.ts';
import { canonicalHashName, hashByName, kernelHashName } from './hash.ts';
import type { ImaKey, ImaKeyRing } from './key-ring.ts';
import type { ImaDigest, ImaEvm, ImaFileFields } from './list.ts';
import { verifyModsig } from './modsig.ts';
import { isSignableHash } from './public-key.ts';
import { refuse, type SignatureCheck, type SignatureReason, verifyWith } from './signature-check.ts';

/** Types of extended attributes: Linux, security/integrity/integrity.h, evm_ima_xattr_type. */
export const XATTR = { imaSignature: 3, evmPortable: 5, veritySignature: 6 } as const;
const HEADER_BYTES = 9;

/** signature_v2_hdr (integrity.h): type, version, hash, key id (big-endian), length (big-endian), signature. */
export interface ImaSignature {
  readonly type: number;
  readonly version: number;
  readonly hashNumber: number;
  readonly hash: string | null;
  readonly keyId: string;
  readonly signature: Uint8Array;
}

/** Null when the bytes are not a signature of version 2 or 3. */
export function parseImaSignature(bytes: Uint8Array): ImaSignature | null {
  if (bytes.length <= HEADER_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(7) !== bytes.length - HEADER_BYTES) return null;
  return {
    type: view.getUint8(0),
    version: view.getUint8(1),
    hashNumber: view.getUint8(2),
    hash: kernelHashName(view.getUint8(2)),
    keyId: toHex(bytes.subarray(3, 7)),
    signature: bytes.subarray(HEADER_BYTES),
  };
}

/**
 * Checks whatever signature an entry has: IMA's own, EVM's over metadata, or one appended to the file. The first valid
 * one decides; otherwise the first one says what is wrong. [IMA-17]
 */
export function verifyFileSignature(fields: ImaFileFields, ring: ImaKeyRing): SignatureCheck {
  const checks: SignatureCheck[] = [];
  const signatures = [fields.signature, fields.evm?.signature ?? null].filter((bytes) => bytes !== null);
  for (const bytes of signatures) checks.push(verifyXattr(bytes, fields.digest, fields.evm, ring));
  if (fields.modsig !== null) checks.push(verifyModsig(fields.modsig, ring));
  return checks.find(({ valid }) => valid) ?? checks[0] ?? refuse('SIGNATURE_MISSING');
}

function verifyXattr(
  bytes: Uint8Array,
  digest: ImaDigest,
  evm: ImaEvm | null,
  ring: ImaKeyRing,
): SignatureCheck {
  const parsed = parseImaSignature(bytes);
  if (parsed === null) return refuse('SIGNATURE_MALFORMED');
  const { hash, keyId, version } = parsed;
  if (hash === null || !isSignableHash(hash) || (version !== 2 && version !== 3)) {
    return refuse('SIGNATURE_UNSUPPORTED', keyId);
  }
  const signed = signedDigest(parsed, hash, digest, evm, ring);
  if (typeof signed === 'string') return refuse(signed, keyId);
  return verifyWith(keysOf(ring, keyId), hash, signed, parsed.signature, keyId);
}

/** What a signature of its type is over; or why that cannot be this entry's digest. */
function signedDigest(
  { type, version, hashNumber }: ImaSignature,
  hash: string,
  digest: ImaDigest,
  evm: ImaEvm | null,
  ring: ImaKeyRing,
): Uint8Array | SignatureReason {
  let measured: Uint8Array | null;
  if (type === XATTR.evmPortable) {
    if (evm === null) return 'SIGNATURE_UNSUPPORTED'; // this template does not record the metadata that it is over
    if (!evmNamesDigest(evm, digest, (bytes) => verifyXattr(bytes, digest, null, ring).valid)) {
      return 'SIGNATURE_OTHER_DIGEST';
    }
    measured = evmDigest(evm, hash);
    if (measured === null) return 'SIGNATURE_UNSUPPORTED';
  } else {
    const wanted = type === XATTR.imaSignature ? 'ima' : type === XATTR.veritySignature ? 'verity' : null;
    if (wanted === null || (wanted === 'verity' && version !== 3)) return 'SIGNATURE_UNSUPPORTED';
    const sameHash = canonicalHashName(hash) === canonicalHashName(digest.algorithm);
    if (digest.type !== wanted || !sameHash) return 'SIGNATURE_OTHER_DIGEST';
    measured = digest.value;
  }
  if (version === 2) return measured;
  // Version 3 signs struct ima_file_id: type, number of the hash, digest. So no signature passes for one of another type.
  const fileId = concatBytes(Uint8Array.of(type, hashNumber), measured);
  return hashByName(hash, fileId) ?? 'SIGNATURE_UNSUPPORTED';
}

/** Key ids have 32 bits: several keys may share one. */
function keysOf(ring: ImaKeyRing, keyId: string): readonly ImaKey[] {
  return ring.filter(({ id }) => id === keyId);
}
