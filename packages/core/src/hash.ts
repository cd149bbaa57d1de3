import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256, sha384 as nobleSha384 } from '@noble/hashes/sha2.js';
import { concatBytes, fromUtf8 } from './bytes.ts';

/** Node's own one-shot hash when there is one, asked for at run time, so that this package still loads in a browser. */
const nativeHash = globalThis.process?.getBuiltinModule?.('node:crypto')?.hash;

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const message = parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(...parts);
  return nativeHash === undefined
    ? nobleSha256(message)
    : fromBinary(nativeHash('sha256', message, 'binary'));
}

/** A short hash comes out of Node four times faster as a string than in a buffer. */
function fromBinary(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
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
  const prefixed = [fromUtf8(domain), ...parts];
  const message = new Uint8Array(prefixed.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(message.buffer);
  let offset = 0;
  for (const part of prefixed) {
    view.setUint32(offset, part.length);
    message.set(part, offset + 4);
    offset += 4 + part.length;
  }
  return sha256(message);
}
