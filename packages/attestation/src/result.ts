import {
  boundedInteger,
  boundedList,
  boundedText,
  byteString,
  defineDocument,
  sha256,
  unsigned64,
} from '@nemea/core';
import { z } from 'zod';
import { AttestationError } from './errors.ts';
import { ASSURANCE_LEVELS } from './level.ts';

/** One claim per appraisal step, in the order they are appraised. */
export const CLAIM_NAMES = [
  'attestation-key',
  'signature',
  'attest-structure',
  'qualifying-data',
  'clock',
  'pcr-selection',
  'pcr-digest',
  'pcr-values',
  'firmware',
  'secure-boot',
  'boot-chain',
  'command-line',
  'firmware-events',
  'ima',
  'measured-log',
  'release',
  'images',
  'rules',
  'freshness',
  'level',
] as const;

/** The name of a claim. */
export type ClaimName = (typeof CLAIM_NAMES)[number];

/** Every reason that a claim may have; policies and scripts may rely on them. */
export const CLAIM_REASONS = [
  'OK',
  'NOT_DEMANDED',
  'UNAUTHENTICATED',
  'AK_PUBLIC_INVALID',
  'SIGNATURE_MALFORMED',
  'SIGNATURE_SCHEME_WRONG',
  'SIGNATURE_WRONG',
  'ATTEST_MALFORMED',
  'ATTEST_MAGIC_WRONG',
  'ATTEST_TYPE_WRONG',
  'QUALIFYING_DATA_WRONG',
  'QUALIFYING_DATA_UNCHECKED',
  'CLOCK_RESET_COUNT_DECREASED',
  'CLOCK_RESTART_COUNT_DECREASED',
  'CLOCK_BACKWARDS',
  'CLOCK_NOT_RECORDED',
  'CLOCK_UNSAFE',
  'PCR_SELECTION_WRONG',
  'PCR_LIST_WRONG',
  'PCR_DIGEST_WRONG',
  'PCR_VALUE_UNKNOWN',
  'PCR_RESET_VALUE',
  'FIRMWARE_UNMEASURED',
  'FIRMWARE_NO_EVENT_LOG',
  'FIRMWARE_LOG_MALFORMED',
  'FIRMWARE_LOG_REPLAY_WRONG',
  'SECURE_BOOT_UNKNOWN',
  'SECURE_BOOT_OFF',
  'SECURE_BOOT_KEY_UNKNOWN',
  'BOOT_AUTHORITY_UNKNOWN',
  'BOOT_LOADER_UNKNOWN',
  'BOOT_LOADER_MISSING',
  'COMMAND_LINE_MISSING',
  'COMMAND_LINE_UNPROVEN',
  'COMMAND_LINE_FORBIDDEN',
  'COMMAND_LINE_UNKNOWN',
  'FIRMWARE_EVENT_FORBIDDEN',
  'FIRMWARE_ERROR_SEPARATOR',
  'FIRMWARE_FINDING',
  'IMA_LIST_MISSING',
  'IMA_LIST_MALFORMED',
  'IMA_REPLAY_WRONG',
  'IMA_BOOT_AGGREGATE_WRONG',
  'IMA_VIOLATION',
  'IMA_FILE_UNKNOWN',
  'MEASURED_LOG_BOOT_WRONG',
  'MEASURED_LOG_REPLAY_WRONG',
  'RELEASE_MISSING',
  'RELEASE_NOT_FIRST',
  'RELEASE_NOT_APPROVED',
  'IMAGE_NOT_APPROVED',
  'RULE_BROKEN',
  'RULE_FAILED',
  'EVIDENCE_STALE',
  'LEVEL_TOO_LOW',
] as const;

/** Why a claim has its verdict. */
export type ClaimReason = (typeof CLAIM_REASONS)[number];

const VERDICTS = ['affirming', 'warning', 'contraindicated'] as const;

/** The verdicts of the EAT Attestation Result draft (EAR): trust, trust with care, do not trust. */
export type Verdict = (typeof VERDICTS)[number];

// A quoted event name of 128 bytes may double when it is escaped.
const DETAIL_BYTES_MAX = 512;
const CLAIM_VALUE_BYTES_MAX = 1024;
/** The longest result. */
export const RESULT_BYTES_MAX = 64 * 1024;

const claimValue = z.union([
  z.null(),
  byteString(0, CLAIM_VALUE_BYTES_MAX),
  boundedText(DETAIL_BYTES_MAX),
  boundedInteger(Number.MAX_SAFE_INTEGER),
]);

const claimSchema = z.strictObject({
  name: z.enum(CLAIM_NAMES),
  /** `none`: not appraised, because the bytes that carry the claim are not authentic. */
  verdict: z.enum([...VERDICTS, 'none']),
  reason: z.enum(CLAIM_REASONS),
  /** The bytes that make the claim, for example `evidence.attest.extraData`. */
  source: boundedText(DETAIL_BYTES_MAX),
  claimed: claimValue,
  /** What it was compared with. */
  reference: claimValue,
  detail: boundedText(DETAIL_BYTES_MAX),
});

const resultSchema = z.strictObject({
  version: z.literal(2),
  verdict: z.enum(VERDICTS),
  level: z.literal([...ASSURANCE_LEVELS]),
  /**
   * Whether everything judged was signed by the TPM for this very challenge: then a contraindicated verdict is proof of
   * fault, whoever presents the Evidence. PCR values and logs that do not match the quote may be a messenger's work.
   */
  authentic: z.boolean(),
  appraisedAtMs: boundedInteger(Number.MAX_SAFE_INTEGER),
  /** The TPM name of the attestation key that the Evidence was held against. */
  akName: byteString(34, 50),
  /** SHA-256 of the TPMS_ATTEST exactly as signed. */
  quoteDigest: byteString(32),
  /** The quote's clock; null when the quote is not authentic. */
  clock: z.union([
    z.null(),
    z.strictObject({
      clock: unsigned64(),
      resetCount: boundedInteger(0xffffffff),
      restartCount: boundedInteger(0xffffffff),
      safe: z.boolean(),
      firmwareVersion: unsigned64(),
    }),
  ]),
  /** The digest of the release that the node runs now; null when the log is not authentic or names none. */
  release: z.union([z.null(), byteString(32)]),
  claims: boundedList(claimSchema, CLAIM_NAMES.length, CLAIM_NAMES.length).refine(
    isOrdered,
    'want one claim per step, in order',
  ),
});

/** One step of the appraisal: what was claimed, by which bytes, compared with what, verdict and why. */
export type AppraisedClaim = Readonly<z.infer<typeof claimSchema>>;

/** What was claimed, or what it was compared with: bytes, text, number, or nothing. */
export type ClaimValue = AppraisedClaim['claimed'];

/** RFC 9334 Attestation Result: every claim with what was claimed, by which bytes, and what it was compared with. */
export type AttestationResult = Readonly<z.infer<typeof resultSchema>>;

/** The TPM's clock as it was quoted. */
export type AppraisedClock = NonNullable<AttestationResult['clock']>;

const codec = defineDocument<AttestationResult>({
  name: 'attestation result',
  schema: resultSchema,
  bytesMax: RESULT_BYTES_MAX,
  invalid: (message, cause) => new AttestationError('RESULT_INVALID', message, { cause }),
});

/** Throws `RESULT_INVALID`. */
export function parseResult(bytes: Uint8Array): AttestationResult {
  return codec.parse(bytes);
}

/** Canonical bytes: what attestors sign and consensus orders. */
export function encodeResult(result: AttestationResult): Uint8Array {
  return codec.encode(result);
}

/** SHA-256 of the canonical bytes. */
export function resultDigest(result: AttestationResult): Uint8Array {
  return sha256(encodeResult(result));
}

/** The claims that keep a result from affirming, in order. */
export function failedClaims(result: AttestationResult): readonly AppraisedClaim[] {
  return result.claims.filter((claim) => claim.verdict === 'contraindicated' || claim.verdict === 'warning');
}

function isOrdered(claims: readonly { readonly name: ClaimName }[]): boolean {
  return claims.every((claim, i) => claim.name === CLAIM_NAMES[i]);
}
