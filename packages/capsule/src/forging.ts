import { concatBytes } from '@nemea/core';
import { derivePayloadKey, openChunk, sealChunk } from './chunk.ts';
import { type CapsuleHeader, capsuleIdOf, chunkCount, encodeHeader, encodePrelude } from './header.ts';
import { inspectCapsule } from './open.ts';
import type { SealedCapsule } from './seal.ts';

/** For tests: seals the payload again under a false header, as a dishonest owner with the file key could. */
export function rewrite(
  sealed: SealedCapsule,
  change: Partial<CapsuleHeader>,
  plain: Uint8Array,
): Uint8Array {
  const { headerBytes, capsuleId } = inspectCapsule(sealed.capsule);
  const first = sealed.capsule.subarray(20 + headerBytes.length);
  const count = chunkCount(sealed.header);
  const firstBytes = count === 1 ? first.length : sealed.header.chunkBytes + 16;
  const opened = openChunk(
    derivePayloadKey(sealed.fileKey, capsuleId),
    { index: 0, last: count === 1 },
    first.subarray(0, firstBytes),
  );
  const header = { ...sealed.header, ...change };
  const bytes = encodeHeader(header);
  const key = derivePayloadKey(sealed.fileKey, capsuleIdOf(bytes));
  const stream = concatBytes(opened.subarray(0, 32), plain);
  const parts = [encodePrelude(bytes), bytes];
  for (let index = 0; index < count; index++) {
    const chunk = stream.subarray(index * header.chunkBytes, (index + 1) * header.chunkBytes);
    parts.push(sealChunk(key, { index, last: index === count - 1 }, chunk));
  }
  return concatBytes(...parts);
}
