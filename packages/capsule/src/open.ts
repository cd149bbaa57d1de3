import { createHash } from 'node:crypto';
import { assert, bytesEqual, concatBytes } from '@nemea/core';
import { derivePayloadKey, openChunk, TAG_BYTES } from './chunk.ts';
import { CapsuleError } from './errors.ts';
import {
  type CapsuleHeader,
  capsuleIdOf,
  chunkCount,
  PREAMBLE_BYTES,
  PRELUDE_BYTES,
  parseHeader,
  parsePrelude,
  payloadCommitment,
} from './header.ts';

export interface InspectedCapsule {
  readonly header: CapsuleHeader;
  readonly headerBytes: Uint8Array;
  readonly capsuleId: Uint8Array;
}

/** Reads the header, which is in the clear. It is authentic only once the payload opens, or by its registered id. */
export function inspectCapsule(capsule: Uint8Array): InspectedCapsule {
  const headerEnd = PRELUDE_BYTES + parsePrelude(capsule);
  if (capsule.length < headerEnd) {
    throw new CapsuleError('CAPSULE_TRUNCATED', `got ${capsule.length} bytes, want a header of ${headerEnd}`);
  }
  const headerBytes = capsule.slice(PRELUDE_BYTES, headerEnd);
  return { header: parseHeader(headerBytes), headerBytes, capsuleId: capsuleIdOf(headerBytes) };
}

/** Opens a whole capsule in memory: all of the payload, or an error. */
export function openCapsule(capsule: Uint8Array, fileKey: Uint8Array): Uint8Array {
  const { header, headerBytes, capsuleId } = inspectCapsule(capsule);
  const body = capsule.subarray(PRELUDE_BYTES + headerBytes.length);
  checkBodyLength(header, body.length);
  const key = derivePayloadKey(fileKey, capsuleId);
  const stream = new Uint8Array(PREAMBLE_BYTES + header.plainBytes);
  const count = chunkCount(header);
  const sealedBytes = header.chunkBytes + TAG_BYTES;
  try {
    for (let index = 0; index < count; index++) {
      const sealed = body.subarray(index * sealedBytes, (index + 1) * sealedBytes);
      stream.set(openChunk(key, { index, last: index === count - 1 }, sealed), index * header.chunkBytes);
    }
    const plain = stream.subarray(PREAMBLE_BYTES);
    const digest = createHash('sha256').update(plain).digest();
    checkCommitment(header, stream.subarray(0, PREAMBLE_BYTES), digest);
    return plain;
  } catch (error) {
    stream.fill(0);
    throw error;
  } finally {
    key.fill(0);
  }
}

/**
 * Opens a capsule of any size in constant memory. Gives verified chunks only, but whether the capsule is whole is known
 * at the end: what was given counts when the iteration ends without an error.
 */
export async function* openCapsuleStream(
  source: AsyncIterable<Uint8Array>,
  fileKey: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const reader = new SourceReader(source);
  try {
    const prelude = await reader.take(PRELUDE_BYTES);
    const headerLength = parsePrelude(prelude);
    const headerBytes = await reader.take(headerLength);
    if (headerBytes.length < headerLength) {
      throw new CapsuleError(
        'CAPSULE_TRUNCATED',
        `header: got ${headerBytes.length} bytes, want ${headerLength}`,
      );
    }
    const header = parseHeader(headerBytes);
    yield* openChunks(reader, header, derivePayloadKey(fileKey, capsuleIdOf(headerBytes)));
  } finally {
    await reader.close();
  }
}

async function* openChunks(
  reader: SourceReader,
  header: CapsuleHeader,
  key: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const count = chunkCount(header);
  const hash = createHash('sha256');
  let salt = new Uint8Array(0);
  let left = PREAMBLE_BYTES + header.plainBytes;
  try {
    for (let index = 0; index < count; index++) {
      const plainBytes = Math.min(header.chunkBytes, left);
      const sealed = await reader.take(plainBytes + TAG_BYTES);
      if (sealed.length < plainBytes + TAG_BYTES) throw truncated(index, count);
      const chunk = openChunk(key, { index, last: index === count - 1 }, sealed);
      left -= plainBytes;
      if (index === 0) salt = chunk.slice(0, PREAMBLE_BYTES);
      const plain = index === 0 ? chunk.subarray(PREAMBLE_BYTES) : chunk;
      hash.update(plain);
      if (plain.length > 0) yield plain;
    }
  } finally {
    key.fill(0);
  }
  const surplus = (await reader.take(TAG_BYTES + 1)).length;
  if (surplus > 0) throw trailing(surplus);
  checkCommitment(header, salt, hash.digest());
}

/** Takes exact lengths from a stream of pieces. */
class SourceReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);
  #done = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, or fewer at the end of the source. */
  async take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let missing = length;
    while (missing > 0) {
      if (this.#held.length === 0) {
        const next = this.#done ? undefined : await this.#pieces.next();
        if (next === undefined || next.done) {
          this.#done = true;
          break;
        }
        this.#held = next.value;
        continue;
      }
      const part = this.#held.subarray(0, missing);
      parts.push(part);
      missing -= part.length;
      this.#held = this.#held.subarray(part.length);
    }
    return concatBytes(...parts);
  }

  async close(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    await this.#pieces.return?.();
  }
}

function checkBodyLength(header: CapsuleHeader, bodyBytes: number): void {
  const count = chunkCount(header);
  const want = PREAMBLE_BYTES + header.plainBytes + count * TAG_BYTES;
  if (bodyBytes < want) throw truncated(Math.floor(bodyBytes / (header.chunkBytes + TAG_BYTES)), count);
  if (bodyBytes > want) throw trailing(bodyBytes - want);
}

function checkCommitment(header: CapsuleHeader, salt: Uint8Array, plainDigest: Uint8Array): void {
  assert(salt.length === PREAMBLE_BYTES, 'the first chunk holds the salt');
  if (!bytesEqual(payloadCommitment(salt, plainDigest), header.payloadCommitment)) {
    throw new CapsuleError(
      'CAPSULE_COMMITMENT_WRONG',
      'the payload is not the one that the header commits to',
    );
  }
}

function truncated(chunks: number, count: number): CapsuleError {
  return new CapsuleError('CAPSULE_TRUNCATED', `got ${chunks} whole chunks, want ${count}`);
}

function trailing(surplus: number): CapsuleError {
  if (surplus === TAG_BYTES) {
    return new CapsuleError('CAPSULE_LAST_CHUNK_EMPTY', 'an empty chunk follows the last one');
  }
  return new CapsuleError('CAPSULE_TRAILING', 'there are bytes after the last chunk');
}
