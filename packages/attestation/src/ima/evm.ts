import { concatBytes } from '@nemea/core';
import { sameBytes } from './check.ts';
import { canonicalHashName, hashByName, kernelHashName } from './hash.ts';
import type { ImaDigest, ImaEvm } from './list.ts';

const IMA_XATTR = 'security.ima';
/** Types of security.ima: a SHA-1 digest; number of a hash and digest; signatures. */
const DIGEST_SHA1 = 1;
const DIGEST_NG = 4;
/** h_misc of 64-bit kernels (security/integrity/evm/evm_crypto.c): inode u64, generation u32, uid, gid, mode u16, padding. */
const MISC_BYTES = 24;
const MISC = { uid: 12, gid: 16, mode: 20 } as const;

/**
 * What an EVM portable signature is over: values of the protected attributes, owner and mode; inode and generation are
 * zero. For 64-bit little-endian kernels, because the kernel hashes its own structure. Null when something is missing.
 */
export function evmDigest(evm: ImaEvm, hash: string): Uint8Array | null {
  if (evm.uid === null || evm.gid === null || evm.mode === null) return null;
  const misc = new Uint8Array(MISC_BYTES);
  const view = new DataView(misc.buffer);
  view.setUint32(MISC.uid, evm.uid, true);
  view.setUint32(MISC.gid, evm.gid, true);
  view.setUint16(MISC.mode, evm.mode, true);
  return hashByName(hash, concatBytes(...evm.xattrValues, misc));
}

/**
 * A portable signature speaks of the content only by security.ima among its attributes: that has to be this entry's
 * digest, or a signature of it.
 */
export function evmNamesDigest(
  evm: ImaEvm,
  digest: ImaDigest,
  isSigned: (signature: Uint8Array) => boolean,
): boolean {
  if (evm.xattrNames.length !== evm.xattrValues.length) return false;
  const value = evm.xattrValues[evm.xattrNames.indexOf(IMA_XATTR)];
  if (value === undefined) return false;
  if (value[0] === DIGEST_SHA1)
    return digest.algorithm === 'sha1' && sameBytes(value.subarray(1), digest.value);
  if (value[0] !== DIGEST_NG) return isSigned(value);
  const name = kernelHashName(value[1] ?? 255);
  const sameHash = name !== null && canonicalHashName(name) === canonicalHashName(digest.algorithm);
  return sameHash && digest.type === 'ima' && sameBytes(value.subarray(2), digest.value);
}
