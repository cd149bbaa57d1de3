import { boundedInteger, boundedList, byteString, defineDocument, sha256 } from '@nemea/core';
import { z } from 'zod';
import { CapsuleError } from './errors.ts';
import { account, cid, digest, timeMs } from './fields.ts';

export const CLEANUP_CERTIFICATE_BYTES_MAX = 16 * 1024;
const RESULTS_MAX = 64;

/** TPMS_ATTEST and TPMT_SIGNATURE exactly as the TPM returned them. */
const quoteSchema = z.strictObject({ attest: byteString(1, 1024), signature: byteString(1, 1024) });

const certificateSchema = z
  .strictObject({
    version: z.literal(1),
    taskId: digest,
    attempt: boundedInteger(0xffffffff),
    executor: account,
    codeDigest: digest,
    imageDigest: digest,
    outcome: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('completed') }),
      z.strictObject({ kind: z.literal('failed'), code: z.string().regex(/^[A-Z][A-Z0-9_]{1,63}$/) }),
    ]),
    /** The sealed results: where they are, and SHA-256 of their bytes. */
    results: boundedList(z.strictObject({ receiver: digest, cid, digest }), RESULTS_MAX),
    /** The machine's state without the run, then after the wipe. Equal, or the machine is not clean. */
    snapshotBefore: digest,
    snapshotAfter: digest,
    quoteBefore: quoteSchema,
    quoteAfter: quoteSchema,
    startedAtMs: timeMs,
    finishedAtMs: timeMs,
  })
  .refine((it) => it.finishedAtMs >= it.startedAtMs, 'want a finish that is not before the start');

/** The executor's account of one attempt at a task: what ran, what came out, and that nothing stayed behind. */
export type CleanupCertificate = Readonly<z.infer<typeof certificateSchema>>;

const codec = defineDocument<CleanupCertificate>({
  name: 'clean-up certificate',
  schema: certificateSchema,
  bytesMax: CLEANUP_CERTIFICATE_BYTES_MAX,
  invalid: (message, cause) => new CapsuleError('CLEANUP_CERTIFICATE_INVALID', message, { cause }),
});

/** Throws `CLEANUP_CERTIFICATE_INVALID`. */
export function parseCleanupCertificate(bytes: Uint8Array): CleanupCertificate {
  return codec.parse(bytes);
}

export function encodeCleanupCertificate(certificate: CleanupCertificate): Uint8Array {
  return codec.encode(certificate);
}

/** What layer 1 records at settlement. */
export function cleanupCertificateDigest(certificate: CleanupCertificate): Uint8Array {
  return sha256(encodeCleanupCertificate(certificate));
}
