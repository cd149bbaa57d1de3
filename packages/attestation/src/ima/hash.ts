import { md5, ripemd160, sha1 } from '@noble/hashes/legacy.js';
import { sha224, sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { sha3_256, sha3_384, sha3_512 } from '@noble/hashes/sha3.js';
import { nativeCrypto } from '../native-crypto.ts';
import { ImaError } from './errors.ts';
import type { ImaBank } from './list.ts';

/** Writes H(data) to `out` at `offset`. */
export type HashInto = (data: Uint8Array, out: Uint8Array, offset: number) => void;

/** Hash names of the Linux kernel by their number in signatures (include/uapi/linux/hash_info.h). */
const KERNEL_HASHES = [
  'md4',
  'md5',
  'sha1',
  'rmd160',
  'sha256',
  'sha384',
  'sha512',
  'sha224',
  'rmd128',
  'rmd256',
  'rmd320',
  'wp256',
  'wp384',
  'wp512',
  'tgr128',
  'tgr160',
  'tgr192',
  'sm3',
  'streebog256',
  'streebog512',
  'sha3-256',
  'sha3-384',
  'sha3-512',
] as const;

const PORTABLE: ReadonlyMap<string, (data: Uint8Array) => Uint8Array> = new Map([
  ['md5', md5],
  ['rmd160', ripemd160],
  ['sha1', sha1],
  ['sha224', sha224],
  ['sha256', sha256],
  ['sha384', sha384],
  ['sha512', sha512],
  ['sha3-256', sha3_256],
  ['sha3-384', sha3_384],
  ['sha3-512', sha3_512],
]);

const BANK_BYTES: Readonly<Record<ImaBank, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
  sm3_256: 32,
};

export function bankBytes(bank: ImaBank): number {
  return BANK_BYTES[bank];
}

/** The kernel's name for a hash number; null for a number it does not have. */
export function kernelHashName(number: number): string | null {
  return KERNEL_HASHES[number] ?? null;
}

/** Older kernels, and TPM tools, say sm3 with its length. */
export function canonicalHashName(name: string): string {
  return name === 'sm3-256' || name === 'sm3_256' ? 'sm3' : name;
}

/** H(data) by the kernel's name of the hash; null when there is no such hash here. */
export function hashByName(name: string, data: Uint8Array): Uint8Array | null {
  const canonical = canonicalHashName(name);
  const portable = PORTABLE.get(canonical);
  if (portable !== undefined) return portable(data);
  if (canonical !== 'sm3' || !nativeHas('sm3')) return null;
  return new Uint8Array(nativeCrypto?.createHash('sm3').update(data).digest() ?? []);
}

/** The hash of a bank. Throws `IMA_BANK_UNSUPPORTED` for SM3 where the runtime has none. */
export function bankHash(bank: ImaBank): HashInto {
  const name = canonicalHashName(bank);
  if (nativeCrypto !== undefined && nativeHas(name)) return nativeHashInto(nativeCrypto.hash, name);
  const portable = PORTABLE.get(name);
  if (portable === undefined) throw new ImaError('IMA_BANK_UNSUPPORTED', `no ${bank} on this platform`);
  return (data, out, offset) => out.set(portable(data), offset);
}

/** A short hash comes out of Node three times faster as a string than in a buffer. */
function nativeHashInto(hash: typeof import('node:crypto').hash, name: string): HashInto {
  return (data, out, offset) => {
    const text = hash(name, data, 'binary');
    for (let i = 0; i < text.length; i++) out[offset + i] = text.charCodeAt(i);
  };
}

function nativeHas(name: string): boolean {
  return nativeCrypto?.getHashes().includes(name) ?? false;
}
