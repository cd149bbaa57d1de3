import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type AppraisalPolicy,
  type AssuranceLevel,
  type AttestationResult,
  appraise,
  EVIDENCE_MEDIA_TYPE,
  type Evidence,
  type ExpectedQuote,
  isCmw,
  LEVEL,
  parseEvidenceFile,
  parsePolicy,
  parseReferenceValues,
  type ReferenceValues,
  recordedClock,
  unwrapCmw,
} from '@nemea/attestation';
import { parseImaKeys } from '@nemea/attestation/ima';
import { CodedError, fromHex, sha256, toHex } from '@nemea/core';
import { nameOf, parsePublicArea, TpmError } from '@nemea/tpm/structures';
import { jsonIn, readFile, readJson } from '../files.ts';
import { openClocks } from './clocks.ts';

export class AttestFileError extends CodedError<
  | 'AK_NEEDED'
  | 'AK_UNREADABLE'
  | 'LEVEL_UNKNOWN'
  | 'MEDIA_TYPE_WRONG'
  | 'NONCE_INVALID'
  | 'NONCE_NEEDED'
  | 'POLICY_NEEDED'
> {}

export interface FileOptions {
  readonly policy?: string;
  readonly references?: string;
  readonly ak?: string;
  readonly level?: string;
  readonly nonce?: string;
  readonly epoch?: readonly string[];
  readonly anyTime?: boolean;
  readonly clocks?: string;
  readonly imaKeys?: string;
}

export interface Judged {
  readonly result: AttestationResult;
  /** The digest of the policy document. */
  readonly policyId: string;
  /** What was to be quoted: the nonce, or the epoch that was quoted, or else the newest; null for evidence of any time. */
  readonly nonce: Uint8Array | null;
}

/** Judges an Evidence document, bare or wrapped, by the policy, keys and records that the options name. */
export function judgeFile(file: string, options: FileOptions): Judged {
  const evidence = readEvidence(file);
  const { policy, policyId } = readPolicy(options);
  const expected = expectedOf(options);
  const referenceValues = readReferences(options);
  const akPublic = readAk(options);
  using clocks = options.clocks === undefined ? undefined : openClocks(options.clocks);
  const result = appraise({
    evidence,
    endorsements: {
      akPublic,
      level: levelOf(options.level),
      ...(options.imaKeys === undefined ? {} : { imaKeys: parseImaKeys(readFile(options.imaKeys)) }),
    },
    referenceValues,
    policy,
    expected,
    clockBefore: recordedClock(clocks?.registry ?? new Map(), nameOf(akPublic)),
    nowMs: Date.now(),
  });
  if (result.verdict !== 'contraindicated' && result.clock !== null) {
    clocks?.record(result.akName, result.clock);
  }
  return { result, policyId, nonce: nonceOf(expected, result) };
}

function nonceOf(expected: ExpectedQuote, { claims }: AttestationResult): Uint8Array | null {
  if ('nonce' in expected) return expected.nonce;
  if (!('epochs' in expected)) return null;
  const quoted = claims.find(({ name, verdict }) => name === 'qualifying-data' && verdict === 'affirming');
  return quoted?.claimed instanceof Uint8Array ? quoted.claimed : (expected.epochs[0] ?? null);
}

export function readEvidence(file: string): Evidence {
  const bytes = readFile(file);
  if (!isCmw(bytes)) return parseEvidenceFile(bytes);
  const { type, value } = unwrapCmw(bytes);
  if (type !== EVIDENCE_MEDIA_TYPE) {
    throw new AttestFileError('MEDIA_TYPE_WRONG', `wrapped is ${type}, want ${EVIDENCE_MEDIA_TYPE}`);
  }
  return parseEvidenceFile(value);
}

function readPolicy({ policy }: FileOptions): { policy: AppraisalPolicy; policyId: string } {
  if (policy === undefined) {
    throw new AttestFileError(
      'POLICY_NEEDED',
      'say what to demand with --policy; nemea policy learn makes one',
    );
  }
  const bytes = readFile(policy);
  return { policy: parsePolicy(jsonIn(policy, bytes)), policyId: `sha256:${toHex(sha256(bytes))}` };
}

function readReferences({ policy = '', references }: FileOptions): ReferenceValues {
  const beside = join(dirname(policy), 'reference-values.json');
  const file = references ?? (existsSync(beside) ? beside : undefined);
  return parseReferenceValues(file === undefined ? { releases: [], images: [] } : readJson(file));
}

/** TPM2B_PUBLIC is TPMT_PUBLIC behind its length. */
export function readAk({ ak }: Pick<FileOptions, 'ak'>): Uint8Array {
  if (ak === undefined) throw new AttestFileError('AK_NEEDED', 'name the attestation key with --ak');
  const bytes = readFile(ak);
  const isWrapped = bytes.length > 2 && ((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0) === bytes.length - 2;
  const akPublic = isWrapped ? bytes.subarray(2) : bytes;
  if (!isPublicArea(akPublic)) {
    throw new AttestFileError(
      'AK_UNREADABLE',
      `${ak}: neither TPMT_PUBLIC nor TPM2B_PUBLIC, with nothing after it`,
    );
  }
  return akPublic;
}

/** Of any key: whether it is an attestation key is for the judge to say. */
function isPublicArea(bytes: Uint8Array): boolean {
  try {
    parsePublicArea(bytes);
    return true;
  } catch (error) {
    if (error instanceof TpmError) return false;
    throw error;
  }
}

function expectedOf({ nonce, epoch, anyTime }: FileOptions): ExpectedQuote {
  if (nonce !== undefined) return { nonce: hexOf(nonce) };
  if (epoch !== undefined) return { epochs: epoch.map(hexOf) };
  if (anyTime === true) return { anyTime: true };
  throw new AttestFileError('NONCE_NEEDED', 'say what makes it fresh: --nonce, --epoch, or --any-time');
}

function hexOf(text: string): Uint8Array {
  if (!/^(?:0x)?(?:[0-9a-f]{2}){1,66}$/i.test(text)) {
    throw new AttestFileError('NONCE_INVALID', 'a nonce is 1 to 66 bytes in hex');
  }
  return fromHex(text);
}

export function levelOf(name: string | undefined): AssuranceLevel {
  const level = Object.entries(LEVEL).find(([known]) => known === name)?.[1];
  if (level === undefined) {
    throw new AttestFileError('LEVEL_UNKNOWN', `level: got ${name}, want ${Object.keys(LEVEL).join(', ')}`);
  }
  return level;
}
