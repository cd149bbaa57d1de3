import { ASSURANCE_LEVELS } from '@nemea/attestation';
import {
  boundedInteger,
  boundedList,
  boundedText,
  byteString,
  concatBytes,
  defineDocument,
  hashDomain,
  sha256,
} from '@nemea/core';
import { z } from 'zod';
import { CapsuleError } from './errors.ts';
import { account, declarations, digest, stanzaSchema } from './fields.ts';

export const HEADER_BYTES_MAX = 64 * 1024;
export const CHUNK_BYTES_MIN = 64 * 1024;
export const CHUNK_BYTES_MAX = 1024 * 1024;
/** The salt of the payload commitment, in front of the payload and encrypted with it. */
export const PREAMBLE_BYTES = 32;
const RECIPIENTS_MAX = 64;
const IMAGES_MAX = 64;

const headerSchema = z.strictObject({
  version: z.literal(1),
  kind: z.enum(['data', 'image', 'result']),
  owner: account,
  mediaType: boundedText(128),
  payloadCommitment: digest,
  plainBytes: boundedInteger(2 ** 46),
  chunkBytes: z.number().int().min(CHUNK_BYTES_MIN).max(CHUNK_BYTES_MAX),
  /** Where the capsule may be opened. */
  environment: z.strictObject({
    imageDigests: boundedList(digest, IMAGES_MAX),
    levelMin: z.literal([...ASSURANCE_LEVELS]),
    connections: declarations,
  }),
  /** The contract that decides about key release; null when the recipients are all there will ever be. */
  policy: z.union([
    z.null(),
    z.strictObject({ chainId: boundedInteger(Number.MAX_SAFE_INTEGER), contract: account }),
  ]),
  /** The task whose result this is. */
  task: z.union([z.null(), z.strictObject({ taskId: digest, index: boundedInteger(0xffff) })]),
  /** Who can open the capsule without a key release: the file key, sealed to each X25519 key. */
  recipients: boundedList(stanzaSchema.extend({ key: byteString(32) }), RECIPIENTS_MAX),
});

/** What a capsule says of itself in the clear. */
export type CapsuleHeader = Readonly<z.infer<typeof headerSchema>>;

const codec = defineDocument<CapsuleHeader>({
  name: 'capsule header',
  schema: headerSchema,
  bytesMax: HEADER_BYTES_MAX,
  invalid: (message, cause) => new CapsuleError('CAPSULE_HEADER_INVALID', message, { cause }),
});

/** Throws `CAPSULE_HEADER_INVALID`. */
export function parseHeader(bytes: Uint8Array): CapsuleHeader {
  return codec.parse(bytes);
}

export function encodeHeader(header: CapsuleHeader): Uint8Array {
  return codec.encode(header);
}

/** The capsule's identity: SHA-256 of its header bytes. */
export function capsuleIdOf(headerBytes: Uint8Array): Uint8Array {
  return sha256(headerBytes);
}

/**
 * Commits to the payload without describing it. A bare hash in a public header would let anybody test guesses at a
 * short list; the salt travels inside the encrypted payload, so only who can open the capsule can check.
 */
export function payloadCommitment(salt: Uint8Array, plainDigest: Uint8Array): Uint8Array {
  return hashDomain('nemea/payload/1', salt, plainDigest);
}

/** Binds a recipient's stanza to everything else in the header. */
export function recipientInfo(header: CapsuleHeader): Uint8Array {
  return hashDomain('nemea/recipient/1', encodeHeader({ ...header, recipients: [] }));
}

/** The number of chunks that salt and payload take. Never zero, and the last one never empty. */
export function chunkCount(header: CapsuleHeader): number {
  return Math.ceil((PREAMBLE_BYTES + header.plainBytes) / header.chunkBytes);
}

const MAGIC = new TextEncoder().encode('nemea-capsule/1\n');
export const PRELUDE_BYTES = MAGIC.length + 4;

/** Magic and header length, in front of the header. */
export function encodePrelude(headerBytes: Uint8Array): Uint8Array {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, headerBytes.length);
  return concatBytes(MAGIC, length);
}

/** The header's length. Throws `CAPSULE_TRUNCATED`, `CAPSULE_MAGIC_WRONG` or `CAPSULE_HEADER_TOO_LARGE`. */
export function parsePrelude(bytes: Uint8Array): number {
  for (let i = 0; i < Math.min(MAGIC.length, bytes.length); i++) {
    if (bytes[i] !== MAGIC[i]) {
      throw new CapsuleError('CAPSULE_MAGIC_WRONG', 'not a version 1 capsule');
    }
  }
  if (bytes.length < PRELUDE_BYTES) {
    throw new CapsuleError('CAPSULE_TRUNCATED', `got ${bytes.length} bytes, want a header`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length);
  if (length > HEADER_BYTES_MAX) {
    throw new CapsuleError(
      'CAPSULE_HEADER_TOO_LARGE',
      `header: got ${length} bytes, want at most ${HEADER_BYTES_MAX}`,
    );
  }
  return length;
}
