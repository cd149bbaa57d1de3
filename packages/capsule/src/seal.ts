import { createHash } from 'node:crypto';
import { bytesEqual, concatBytes } from '@nemea/core';
import { derivePayloadKey, sealChunk, TAG_BYTES } from './chunk.ts';
import { CapsuleError } from './errors.ts';
import {
  type CapsuleHeader,
  capsuleIdOf,
  chunkCount,
  encodeHeader,
  encodePrelude,
  PREAMBLE_BYTES,
  payloadCommitment,
  recipientInfo,
} from './header.ts';
import { type Random, systemRandom } from './random.ts';
import { rechunk } from './rechunk.ts';
import { sealToKey } from './stanza.ts';

/** The header fields that the sealer chooses; the rest follows from the payload. */
export type CapsuleDescription = Pick<
  CapsuleHeader,
  'kind' | 'owner' | 'mediaType' | 'environment' | 'policy' | 'task'
> & {
  /** Plaintext bytes per chunk; 256 KiB by default. */
  readonly chunkBytes?: number;
  /** X25519 keys that open the capsule without a key release. */
  readonly recipients?: readonly Uint8Array[];
  readonly random?: Random;
};

export interface SealedCapsule {
  readonly capsule: Uint8Array;
  readonly capsuleId: Uint8Array;
  readonly header: CapsuleHeader;
  /** The secret that opens the capsule: wrap it, then forget it. */
  readonly fileKey: Uint8Array;
}

export interface SealedCapsuleStream {
  /** The capsule's bytes. Throws `CAPSULE_SOURCE_CHANGED` when the second reading differs from the first. */
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly capsuleId: Uint8Array;
  readonly header: CapsuleHeader;
  readonly fileKey: Uint8Array;
}

const CHUNK_BYTES_DEFAULT = 256 * 1024;

/** Seals a payload that fits in memory. */
export function sealCapsule(description: CapsuleDescription, plain: Uint8Array): SealedCapsule {
  const plainDigest = createHash('sha256').update(plain).digest();
  const { header, headerBytes, salt, fileKey, capsuleId } = prepare(description, plain.length, plainDigest);
  const key = derivePayloadKey(fileKey, capsuleId);
  const front = concatBytes(encodePrelude(headerBytes), headerBytes);
  const count = chunkCount(header);
  const capsule = new Uint8Array(front.length + PREAMBLE_BYTES + plain.length + count * TAG_BYTES);
  capsule.set(front);
  let end = front.length;
  // The payload is not copied but for its first chunk, which the salt precedes.
  const first = concatBytes(salt, plain.subarray(0, header.chunkBytes - PREAMBLE_BYTES));
  for (let index = 0; index < count; index++) {
    const start = index * header.chunkBytes - PREAMBLE_BYTES;
    const chunk = index === 0 ? first : plain.subarray(start, start + header.chunkBytes);
    const place = capsule.subarray(end, end + chunk.length + TAG_BYTES);
    sealChunk(key, { index, last: index === count - 1 }, chunk, place);
    end += place.length;
  }
  first.fill(0);
  key.fill(0);
  return { capsule, capsuleId, header, fileKey };
}

/**
 * Seals a payload of any size in constant memory. The header commits to the payload and precedes it, so `source` is
 * read twice and must give the same bytes each time.
 */
export async function sealCapsuleStream(
  description: CapsuleDescription,
  source: () => AsyncIterable<Uint8Array>,
): Promise<SealedCapsuleStream> {
  const hash = createHash('sha256');
  let plainBytes = 0;
  for await (const piece of source()) {
    hash.update(piece);
    plainBytes += piece.length;
  }
  const plainDigest = hash.digest();
  const prepared = prepare(description, plainBytes, plainDigest);
  const { capsuleId, header, fileKey } = prepared;
  return { chunks: sealChunks(prepared, source, plainDigest), capsuleId, header, fileKey };
}

interface Prepared {
  readonly header: CapsuleHeader;
  readonly headerBytes: Uint8Array;
  readonly salt: Uint8Array;
  readonly fileKey: Uint8Array;
  readonly capsuleId: Uint8Array;
}

async function* sealChunks(
  { header, headerBytes, salt, fileKey, capsuleId }: Prepared,
  source: () => AsyncIterable<Uint8Array>,
  plainDigest: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield salt;
    for await (const piece of source()) {
      hash.update(piece);
      yield piece;
    }
  }

  yield encodePrelude(headerBytes);
  yield headerBytes;
  const key = derivePayloadKey(fileKey, capsuleId);
  const count = chunkCount(header);
  let index = 0;
  let streamBytes = 0;
  // The last chunk is held back until the whole source has been compared: a changed source never gives a whole capsule.
  let last: Uint8Array | undefined;
  for await (const chunk of rechunk(stream(), header.chunkBytes)) {
    streamBytes += chunk.length;
    if (index >= count) throw sourceChanged();
    const sealed = sealChunk(key, { index, last: index === count - 1 }, chunk);
    if (index < count - 1) yield sealed;
    else last = sealed;
    index++;
  }
  key.fill(0);
  if (streamBytes !== PREAMBLE_BYTES + header.plainBytes || !bytesEqual(hash.digest(), plainDigest)) {
    throw sourceChanged();
  }
  if (last !== undefined) yield last;
}

function prepare(description: CapsuleDescription, plainBytes: number, plainDigest: Uint8Array): Prepared {
  const {
    chunkBytes = CHUNK_BYTES_DEFAULT,
    recipients = [],
    random = systemRandom,
    ...described
  } = description;
  const salt = random(PREAMBLE_BYTES);
  const fileKey = random(32);
  const unaddressed: CapsuleHeader = {
    version: 1,
    ...described,
    payloadCommitment: payloadCommitment(salt, plainDigest),
    plainBytes,
    chunkBytes,
    recipients: [],
  };
  const info = recipientInfo(unaddressed);
  const stanzas = recipients.map((key) => ({ key, ...sealToKey(key, { plaintext: fileKey, info, random }) }));
  const header = { ...unaddressed, recipients: stanzas };
  const headerBytes = encodeHeader(header);
  return { header, headerBytes, salt, fileKey, capsuleId: capsuleIdOf(headerBytes) };
}

function sourceChanged(): CapsuleError {
  return new CapsuleError('CAPSULE_SOURCE_CHANGED', 'the source gave other bytes when read again');
}
