import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { assert } from '@nemea/core';
import { CapsuleError } from './errors.ts';

/**
 * The payload's chunks: AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015). The nonce
 * holds the chunk's index and whether it is the last, so no chunk can move, and none can be dropped from the end.
 */
export const TAG_BYTES = 16;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const CHUNK_INDEX_MAX = 0xffffffff;

/**
 * The payload key, from the file key and the capsule id. The id is the hash of the header, so a payload opens under
 * its own header only.
 */
export function derivePayloadKey(fileKey: Uint8Array, capsuleId: Uint8Array): Uint8Array {
  if (fileKey.length !== KEY_BYTES) {
    throw new CapsuleError('CAPSULE_KEY_INVALID', `file key: got ${fileKey.length} bytes, want ${KEY_BYTES}`);
  }
  return new Uint8Array(hkdfSync('sha256', fileKey, capsuleId, 'nemea/payload/1', KEY_BYTES));
}

export interface ChunkPosition {
  readonly index: number;
  readonly last: boolean;
}

/** Ciphertext and tag, in the place given or in a new one. */
export function sealChunk(
  key: Uint8Array,
  position: ChunkPosition,
  plain: Uint8Array,
  sealed = new Uint8Array(plain.length + TAG_BYTES),
): Uint8Array {
  assert(sealed.length === plain.length + TAG_BYTES, 'a sealed chunk is its plaintext and a tag long');
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(position));
  sealed.set(cipher.update(plain));
  cipher.final();
  sealed.set(cipher.getAuthTag(), plain.length);
  return sealed;
}

/** Throws `CAPSULE_CHUNK_INVALID`; no byte of a chunk that fails is returned. */
export function openChunk(key: Uint8Array, position: ChunkPosition, sealed: Uint8Array): Uint8Array {
  const end = sealed.length - TAG_BYTES;
  assert(end > 0, 'a chunk holds plaintext and a tag');
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(position), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(end));
  const plain = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final();
  } catch (cause) {
    plain.fill(0);
    throw new CapsuleError(
      'CAPSULE_CHUNK_INVALID',
      `chunk ${position.index} was changed, moved, or sealed under another key or header`,
      { cause, data: { index: position.index } },
    );
  }
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.length);
}

function nonceOf({ index, last }: ChunkPosition): Uint8Array {
  assert(Number.isInteger(index) && index >= 0 && index <= CHUNK_INDEX_MAX, 'a chunk index fits 32 bits');
  const nonce = new Uint8Array(NONCE_BYTES);
  const view = new DataView(nonce.buffer);
  view.setUint32(NONCE_BYTES - 5, index);
  view.setUint8(NONCE_BYTES - 1, last ? 1 : 0);
  return nonce;
}
