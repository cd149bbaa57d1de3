import { ALG } from '@nemea/tpm/structures';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import type { CHash } from '@noble/hashes/utils.js';

/** A hash that quotes are signed by. */
export interface SigningHash {
  /** As `node:crypto` and tpm2-tools spell it. */
  readonly name: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  readonly bytes: number;
  readonly portable: CHash;
}

const HASHES: ReadonlyMap<number, SigningHash> = new Map([
  [ALG.sha1, { name: 'sha1', bytes: 20, portable: sha1 }],
  [ALG.sha256, { name: 'sha256', bytes: 32, portable: sha256 }],
  [ALG.sha384, { name: 'sha384', bytes: 48, portable: sha384 }],
  [ALG.sha512, { name: 'sha512', bytes: 64, portable: sha512 }],
]);

/** The hash of a TPM_ALG_ID; `undefined` for one that no signature here may use. */
export function signingHash(hashAlg: number): SigningHash | undefined {
  return HASHES.get(hashAlg);
}
