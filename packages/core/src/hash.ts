import { hmac } from '@noble/hashes/hmac.js';
import { sha1 as nobleSha1 } from '@noble/hashes/legacy.js';
import { sha256 as nobleSha256, sha384 as nobleSha384, sha512 as nobleSha512 } from '@noble/hashes/sha2.js';
import {
  sha3_256 as nobleSha3_256,
  sha3_384 as nobleSha3_384,
  sha3_512 as nobleSha3_512,
} from '@noble/hashes/sha3.js';
import { assertBytes, concatBytes, fromUtf8 } from './bytes.ts';
import { sm3InSoftware } from './sm3.ts';

/** Node's own one-shot hash when there is one, asked for at run time, so that this package still loads in a browser. */
const nodeCrypto = globalThis.process?.getBuiltinModule?.('node:crypto');
const nativeHash = nodeCrypto?.hash;
const nativeNames = nodeCrypto === undefined ? undefined : new Set(nodeCrypto.getHashes());

/** Over the parts one after another. The result is a fresh array. */
export type Hash = (...parts: readonly Uint8Array[]) => Uint8Array;

export const sha1: Hash = hashOf('sha1', nobleSha1);
export const sha256: Hash = hashOf('sha256', nobleSha256);
export const sha384: Hash = hashOf('sha384', nobleSha384);
export const sha512: Hash = hashOf('sha512', nobleSha512);
export const sha3_256: Hash = hashOf('sha3-256', nobleSha3_256);
export const sha3_384: Hash = hashOf('sha3-384', nobleSha3_384);
export const sha3_512: Hash = hashOf('sha3-512', nobleSha3_512);
export const sm3: Hash = hashOf('sm3', sm3InSoftware);

/** Native where the runtime has that hash, by noble otherwise. */
function hashOf(name: string, inSoftware: (message: Uint8Array) => Uint8Array): Hash {
  const native = nativeNames?.has(name) === true ? nativeHash : undefined;
  return (...parts) => {
    for (const part of parts) assertBytes(part);
    const message = parts.length === 1 ? (parts[0] as Uint8Array) : joined(parts);
    return native === undefined ? inSoftware(message) : fromBinary(native(name, message, 'binary'));
  };
}

/**
 * Short messages are put together here: memory for each of them costs more than its hash. No hash keeps or returns its
 * message, and none is under way while another starts.
 */
const scratch = new Uint8Array(1024);

function messageOf(length: number): Uint8Array {
  return length > scratch.length ? new Uint8Array(length) : scratch.subarray(0, length);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const message = messageOf(length);
  let offset = 0;
  for (const part of parts) {
    message.set(part, offset);
    offset += part.length;
  }
  return message;
}

/** SHA-256 as text of one character a byte: the cheapest key of a map, and the form in which Node tells a hash fastest. */
export function sha256Text(message: Uint8Array): string {
  assertBytes(message);
  return nativeHash === undefined
    ? String.fromCharCode(...nobleSha256(message))
    : nativeHash('sha256', message, 'binary');
}

/** A short hash comes out of Node four times faster as a string than in a buffer. */
function fromBinary(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return hmac(nobleSha256, key, concatBytes(...parts));
}

/**
 * Domain-separated hash: SHA-256 over the domain and every part, each preceded by its length as u32.
 * Length prefixes make the encoding injective, so no two part lists collide.
 */
export function hashDomain(domain: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const name = domainBytes(domain);
  let length = 4 + name.length;
  for (const part of parts) {
    assertBytes(part);
    length += 4 + part.length;
  }
  const message = messageOf(length);
  let offset = putPrefixed(message, 0, name);
  for (const part of parts) offset = putPrefixed(message, offset, part);
  return sha256(message);
}

/** Domains are constants, and encoding one takes as long as hashing it. */
const DOMAINS_REMEMBERED_MAX = 256;
const knownDomains = new Map<string, Uint8Array>();

function domainBytes(domain: string): Uint8Array {
  const known = knownDomains.get(domain);
  if (known !== undefined) return known;
  const bytes = fromUtf8(domain);
  if (knownDomains.size < DOMAINS_REMEMBERED_MAX) knownDomains.set(domain, bytes);
  return bytes;
}

function putPrefixed(message: Uint8Array, offset: number, part: Uint8Array): number {
  const { length } = part;
  message[offset] = length >>> 24;
  message[offset + 1] = length >>> 16;
  message[offset + 2] = length >>> 8;
  message[offset + 3] = length;
  message.set(part, offset + 4);
  return offset + 4 + length;
}
