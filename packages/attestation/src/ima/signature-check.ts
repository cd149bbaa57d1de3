import type { ImaKey } from './key-ring.ts';
import { verifyDigest } from './public-key.ts';

/** Why a file's signature counts or does not. */
export type SignatureReason =
  | 'SIGNATURE_VALID'
  | 'SIGNATURE_MISSING'
  /** Its bytes are not those of a signature. */
  | 'SIGNATURE_MALFORMED'
  /** A kind, version or hash that is not checked here. */
  | 'SIGNATURE_UNSUPPORTED'
  /** It is over a digest of another hash or type than the one measured, so it says nothing about this file. */
  | 'SIGNATURE_OTHER_DIGEST'
  | 'KEY_UNKNOWN'
  | 'SIGNATURE_INVALID';

/** Whether a file's signature counts, and why not. */
export interface SignatureCheck {
  readonly valid: boolean;
  readonly reason: SignatureReason;
  /** The key that the signature names, hex; null when it could not be read, or names its key otherwise. */
  readonly keyId: string | null;
}

export function verifyWith(
  keys: readonly ImaKey[],
  hash: string,
  digest: Uint8Array,
  signature: Uint8Array,
  keyId: string | null,
): SignatureCheck {
  if (keys.length === 0) return refuse('KEY_UNKNOWN', keyId);
  const valid = keys.some(({ publicKey }) => verifyDigest(publicKey, hash, digest, signature));
  return valid ? { valid, reason: 'SIGNATURE_VALID', keyId } : refuse('SIGNATURE_INVALID', keyId);
}

export function refuse(reason: SignatureReason, keyId: string | null = null): SignatureCheck {
  return { valid: false, reason, keyId };
}
