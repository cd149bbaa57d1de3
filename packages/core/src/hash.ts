import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256, sha384 as nobleSha384 } from '@noble/hashes/sha2.js';
import { concatBytes, fromUtf8 } from './bytes.ts';

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return nobleSha256(parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(...parts));
}

export function sha384(...parts: readonly Uint8Array[]): Uint8Array {
  return nobleSha384(concatBytes(...parts));
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return hmac(nobleSha256, key, concatBytes(...parts));
}

/**
 * Domain-separated hash: SHA-256 over the domain and every part, each preceded by its length as u32.
 * Length prefixes make the encoding injective, so no two part lists collide.
 */
export function hashDomain(domain: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const part of [fromUtf8(domain), ...parts]) {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, part.length);
    pieces.push(length, part);
  }
  return sha256(concatBytes(...pieces));
}
