import { existsSync, readFileSync } from 'node:fs';
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
import { CodedError, fromHex } from '@nemea/core';
import { nameOf } from '@nemea/tpm/structures';
import { openClocks } from './clocks.ts';

export class AttestFileError extends CodedError<
  | 'AK_NEEDED'
  | 'FILE_UNREADABLE'
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

/** Judges an Evidence document, bare or wrapped, by the policy, keys and records that the options name. */
export async function judgeFile(file: string, options: FileOptions): Promise<AttestationResult> {
  const evidence = readEvidence(file);
  const policy = readPolicy(options);
  const referenceValues = readReferences(options);
  const akPublic = readAk(options);
  using clocks = options.clocks === undefined ? undefined : openClocks(options.clocks);
  const result = appraise({
    evidence,
    endorsements: {
      akPublic,
      level: levelOf(options.level),
      ...(options.imaKeys === undefined ? {} : { imaKeys: parseImaKeys(read(options.imaKeys)) }),
    },
    referenceValues,
    policy,
    expected: expectedOf(options),
    clockBefore: recordedClock(clocks?.registry ?? new Map(), nameOf(akPublic)),
    nowMs: Date.now(),
  });
  if (result.verdict !== 'contraindicated' && result.clock !== null) {
    clocks?.record(result.akName, result.clock);
  }
  return result;
}

export function readEvidence(file: string): Evidence {
  const bytes = read(file);
  if (!isCmw(bytes)) return parseEvidenceFile(bytes);
  const { type, value } = unwrapCmw(bytes);
  if (type !== EVIDENCE_MEDIA_TYPE) {
    throw new AttestFileError('MEDIA_TYPE_WRONG', `wrapped is ${type}, want ${EVIDENCE_MEDIA_TYPE}`);
  }
  return parseEvidenceFile(value);
}

function readPolicy({ policy }: FileOptions): AppraisalPolicy {
  if (policy === undefined) {
    throw new AttestFileError(
      'POLICY_NEEDED',
      'say what to demand with --policy; nemea policy learn makes one',
    );
  }
  return parsePolicy(readJson(policy));
}

function readReferences({ policy = '', references }: FileOptions): ReferenceValues {
  const beside = join(dirname(policy), 'reference-values.json');
  const file = references ?? (existsSync(beside) ? beside : undefined);
  return parseReferenceValues(file === undefined ? { releases: [], images: [] } : readJson(file));
}

/** TPM2B_PUBLIC is TPMT_PUBLIC behind its length. */
export function readAk({ ak }: Pick<FileOptions, 'ak'>): Uint8Array {
  if (ak === undefined) throw new AttestFileError('AK_NEEDED', 'name the attestation key with --ak');
  const bytes = read(ak);
  const isWrapped = bytes.length > 2 && ((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0) === bytes.length - 2;
  return isWrapped ? bytes.subarray(2) : bytes;
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

export function readJson(file: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(read(file)));
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw new AttestFileError('FILE_UNREADABLE', `${file}: not JSON`, { cause });
  }
}

export function read(file: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(file));
  } catch (cause) {
    throw new AttestFileError('FILE_UNREADABLE', `${file}: cannot be read`, { cause });
  }
}
