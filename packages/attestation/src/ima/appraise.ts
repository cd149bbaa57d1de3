import { checkBootAggregate, isBootAggregate } from './boot-aggregate.ts';
import { findBadEntries, type ImaDefect, pathOf } from './check.ts';
import { matchesGlob } from './glob.ts';
import type { ImaKeyRing } from './key-ring.ts';
import type { ImaBufferFields, ImaEntry, ImaFileFields, ImaList, PcrBanks } from './list.ts';
import { type ImaPolicy, isApproved, isExcluded } from './policy.ts';
import { verifyFileSignature } from './signature.ts';
import type { SignatureReason } from './signature-check.ts';
import type { ImaVerification } from './verify.ts';

/** Why an entry was accepted or refused. */
export type ImaVerdictReason =
  // accepted
  | 'DIGEST_LISTED'
  | 'BUFFER_LISTED'
  | 'BOOT_AGGREGATE'
  | 'EXCLUDED'
  | 'VIOLATION_ACCEPTED'
  // refused
  | ImaDefect
  | 'DIGEST_NOT_LISTED'
  | 'PATH_NOT_LISTED'
  | 'BUFFER_NOT_LISTED'
  | 'BOOT_AGGREGATE_MISMATCH'
  | 'TEMPLATE_UNKNOWN'
  | 'VIOLATION'
  // either
  | SignatureReason;

/** The verdict on an entry. */
export interface ImaVerdict {
  readonly number: number;
  /** Path of the file or name of the buffer. It is the machine's to choose: print it with care. */
  readonly path: string;
  readonly accepted: boolean;
  readonly reason: ImaVerdictReason;
}

/** The verdict on a list. */
export interface ImaAppraisal {
  readonly ok: boolean;
  /** One for each entry that was judged, in order. */
  readonly verdicts: readonly ImaVerdict[];
  readonly refused: readonly ImaVerdict[];
  readonly counts: Readonly<Partial<Record<ImaVerdictReason, number>>>;
}

/** What a list is judged by. */
export interface AppraiseImaOptions {
  readonly policy: ImaPolicy;
  readonly keys?: ImaKeyRing | undefined;
  /** Judges only what it vouches for. Without one the whole list is judged, and nothing says that it is this machine's. */
  readonly verification?: ImaVerification | undefined;
  /** Quoted values of PCR 0-7 or 0-9, for boot_aggregate. */
  readonly pcrs?: PcrBanks | undefined;
}

/** Judges every entry by the policy. Whatever the policy does not mention is refused. [IMA-19] [IMA-21] */
export function appraiseIma(list: ImaList, options: AppraiseImaOptions): ImaAppraisal {
  const { verification } = options;
  const { from, to } = verification ?? { from: 0, to: list.entries.length };
  const badEntries = verification?.badEntries ?? findBadEntries(list);
  const defects = new Map(badEntries.map(({ number, reason }) => [number, reason]));
  const verdicts: ImaVerdict[] = [];
  for (let i = from; i < to; i++) verdicts.push(judge(list.entries[i] as ImaEntry, defects, options));
  return summarise(verdicts, verification === undefined || verification.state !== null);
}

/** Checks the signatures that there are; says nothing of entries without one, nor of anything else. */
export function checkImaSignatures(list: ImaList, keys: ImaKeyRing): ImaAppraisal {
  const verdicts: ImaVerdict[] = [];
  for (const entry of list.entries) {
    if (entry.fields.kind !== 'file') continue;
    const { valid, reason } = verifyFileSignature(entry.fields, keys);
    if (reason !== 'SIGNATURE_MISSING') verdicts.push(verdict(entry, valid, reason));
  }
  return summarise(verdicts, true);
}

function summarise(verdicts: readonly ImaVerdict[], vouched: boolean): ImaAppraisal {
  const counts: Partial<Record<ImaVerdictReason, number>> = {};
  for (const { reason } of verdicts) counts[reason] = (counts[reason] ?? 0) + 1;
  const refused = verdicts.filter(({ accepted }) => !accepted);
  return { ok: vouched && refused.length === 0, verdicts, refused, counts };
}

function judge(
  entry: ImaEntry,
  defects: ReadonlyMap<number, ImaDefect>,
  options: AppraiseImaOptions,
): ImaVerdict {
  const defect = defects.get(entry.number);
  if (defect !== undefined) return verdict(entry, false, defect);
  const { fields } = entry;
  if (entry.violation) {
    // [IMA-22] No hash covers what a violation says, its path included, so no exclusion can be for it.
    const accepted = options.policy.violations === 'accept';
    return verdict(entry, accepted, accepted ? 'VIOLATION_ACCEPTED' : 'VIOLATION');
  }
  if (!options.policy.templates.has(entry.template)) return verdict(entry, false, 'TEMPLATE_UNKNOWN');
  if (fields.kind === 'file' && isExcluded(options.policy, fields.path))
    return verdict(entry, true, 'EXCLUDED');
  switch (fields.kind) {
    case 'unknown':
      return verdict(entry, false, 'TEMPLATE_UNKNOWN');
    case 'buffer':
      return judgeBuffer(entry, fields, options.policy);
    case 'file':
      return judgeFile(entry, fields, options);
  }
}

function judgeBuffer(entry: ImaEntry, fields: ImaBufferFields, { buffers }: ImaPolicy): ImaVerdict {
  const accepted = buffers.some(
    ({ name, digests }) =>
      matchesGlob(name, fields.name) && (digests === 'any' || isApproved(digests, fields.digest)),
  );
  return verdict(entry, accepted, accepted ? 'BUFFER_LISTED' : 'BUFFER_NOT_LISTED');
}

function judgeFile(entry: ImaEntry, fields: ImaFileFields, options: AppraiseImaOptions): ImaVerdict {
  const { policy, keys = [], pcrs } = options;
  if (pcrs !== undefined && isBootAggregate(entry)) {
    const { ok } = checkBootAggregate(fields.digest, pcrs);
    return verdict(entry, ok, ok ? 'BOOT_AGGREGATE' : 'BOOT_AGGREGATE_MISMATCH');
  }
  const listed = policy.digests.get(fields.path);
  // A signature says who made a file, not which version is wanted: a listed path must have a listed digest.
  if (listed !== undefined && !isApproved(listed, fields.digest))
    return verdict(entry, false, 'DIGEST_NOT_LISTED');
  if (listed !== undefined && (!policy.requireSignature || isBootAggregate(entry))) {
    return verdict(entry, true, 'DIGEST_LISTED');
  }
  const { valid, reason } = verifyFileSignature(fields, keys);
  if (!valid && reason === 'SIGNATURE_MISSING' && !policy.requireSignature) {
    return verdict(entry, false, 'PATH_NOT_LISTED');
  }
  return verdict(entry, valid, reason);
}

function verdict(entry: ImaEntry, accepted: boolean, reason: ImaVerdictReason): ImaVerdict {
  return { number: entry.number, path: pathOf(entry), accepted, reason };
}
