import { LEVEL } from '@nemea/attestation';
import { concatBytes, fromUtf8, sha256 } from '@nemea/core';
import { derivePayloadKey, openChunk, sealChunk } from './chunk.ts';
import { CapsuleError } from './errors.ts';
import { type CapsuleHeader, capsuleIdOf, chunkCount, encodeHeader, encodePrelude } from './header.ts';
import { inspectCapsule } from './open.ts';
import type { CapsuleDescription, SealedCapsule } from './seal.ts';

export const OWNER = new Uint8Array(20).fill(7);
export const CHUNK = 64 * 1024;

export const DESCRIPTION: CapsuleDescription = {
  kind: 'data',
  owner: OWNER,
  mediaType: 'text/csv',
  environment: { imageDigests: [sha256(fromUtf8('image'))], levelMin: LEVEL.development, connections: [] },
  policy: { chainId: 31_337, contract: new Uint8Array(20).fill(9) },
  task: null,
  chunkBytes: CHUNK,
};

/** The stable code of what `run` throws, `OK` when it does not; anything but the package's own error is rethrown. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof CapsuleError) return error.code;
    throw error;
  }
  return 'OK';
}

/** Splits a stream's bytes into pieces of the given size. */
export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part.slice());
  return concatBytes(...parts);
}

/** The same payload under a header that differs in one field. */
export function withHeader(capsule: Uint8Array, change: Partial<CapsuleHeader>): Uint8Array {
  const { header, headerBytes } = inspectCapsule(capsule);
  const changed = encodeHeader({ ...header, ...change });
  const prelude = capsule.slice(0, 20);
  new DataView(prelude.buffer).setUint32(16, changed.length);
  return concatBytes(prelude, changed, capsule.subarray(20 + headerBytes.length));
}

/** Seals the payload again under a false header, as a dishonest owner with the file key could. */
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
