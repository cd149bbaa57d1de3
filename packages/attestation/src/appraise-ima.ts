/** The claim about files and other data that the kernel measured into PCR 10. */
import { toHex } from '@nemea/core';
import type { Appraisal } from './appraisal.ts';
import { affirm, claimOf, leaveOut, notDemanded, type OpenClaim, printable, refuse } from './claim.ts';
import {
  checkBootAggregate,
  findBootAggregate,
  IMA_PCR,
  type ImaBank,
  type ImaEntry,
  ImaError,
  type ImaList,
  type ImaPolicy,
  type ImaVerification,
  appraiseIma as judgeImaEntries,
  type PcrBanks,
  parseImaList,
  parseImaPolicy,
  pathOf,
  verifyIma,
} from './ima/index.ts';
import type { AppraisalPolicy } from './policy.ts';
import { type ComponentKind, countReferences, type ReferenceValues } from './reference-values.ts';
import type { AppraisedClaim } from './result.ts';

export interface ImaAppraisal {
  readonly claim: AppraisedClaim;
  readonly counts: { readonly entries: number; readonly violations: number } | null;
  /** A refusal that whoever carries the evidence could have caused by changing the list. */
  readonly isMessengersWork: boolean;
}

/** The list replays to PCR 10, ties to the firmware's registers, and every file in it is known [ATT-28]. */
export function appraiseIma(input: Appraisal, digest: AppraisedClaim): ImaAppraisal {
  const { evidence, policy, referenceValues } = input;
  const bytes = evidence.imaList;
  const pcr10 = evidence.pcrs.find(({ pcr }) => pcr === IMA_PCR)?.value ?? null;
  const source = bytes === undefined ? 'evidence.imaList' : `evidence.imaList, ${bytes.length} bytes`;
  const claim = claimOf('ima', source, pcr10, `${countReferences(referenceValues, 'file')} file digests`);
  const without = (it: AppraisedClaim, isMessengersWork = false) => ({
    claim: it,
    counts: null,
    isMessengersWork,
  });

  if (digest.verdict !== 'affirming') return without(leaveOut(claim));
  if (policy.ima.list === 'not-demanded')
    return without(notDemanded(claim, 'the policy does not ask for an IMA list'));
  if (bytes === undefined)
    return without(refuse(claim, 'IMA_LIST_MISSING', 'the evidence has no IMA list'), true);
  let list: ImaList;
  try {
    list = parseImaList(bytes);
  } catch (error) {
    if (!(error instanceof ImaError)) throw error;
    return without(
      refuse(claim, 'IMA_LIST_MALFORMED', `${error.code}: ${printable(error.message, 400)}`),
      true,
    );
  }
  const verified = verifyIma(list, quotedBanks(input, [IMA_PCR]));
  const bad = verified.badEntries[0];
  if (!verified.ok) {
    const where = bad === undefined ? '' : `: ${bad.reason} in entry ${bad.number}, ${printable(bad.path)}`;
    const why = `the list does not replay to PCR ${IMA_PCR}: ${verified.reason}${where}`;
    return without(refuse(claim, 'IMA_REPLAY_WRONG', why), true);
  }
  const counts = { entries: verified.to - verified.from, violations: verified.violations };
  return { claim: judgeEntries(input, claim, list, verified), counts, isMessengersWork: false };
}

function judgeEntries(
  input: Appraisal,
  claim: OpenClaim,
  list: ImaList,
  verification: ImaVerification,
): AppraisedClaim {
  const { policy, referenceValues, endorsements } = input;
  const entries = list.entries.slice(verification.from, verification.to);
  const at = (number: number): OpenClaim => ({ ...claim, source: `evidence.imaList entry ${number}` });
  const aggregate = findBootAggregate(list);
  const pcrs = quotedBanks(input, null);
  const tie =
    aggregate?.fields.kind === 'file' ? checkBootAggregate(aggregate.fields.digest, pcrs).reason : null;
  if (aggregate !== null && tie === 'MISMATCH') {
    const why = 'the list starts with the registers of another boot';
    return refuse(at(aggregate.number), 'IMA_BOOT_AGGREGATE_WRONG', why);
  }
  const violation = policy.ima.violations === 'refuse' ? entries.find((entry) => entry.violation) : undefined;
  if (violation !== undefined) {
    const why = `${printable(pathOf(violation))} changed while it was measured`;
    return refuse(at(violation.number), 'IMA_VIOLATION', why);
  }
  const replayed = `${entries.length} entries replay to PCR ${IMA_PCR}`;
  if (policy.ima.files === 'any') return affirm(claim, replayed);
  const { refused } = judgeImaEntries(list, {
    policy: imaPolicyOf(policy, referenceValues),
    keys: endorsements.imaKeys,
    verification,
    // A list whose aggregate is of a bank that was not quoted must have it among the reference values.
    pcrs: tie === 'OK' ? pcrs : undefined,
  });
  const first = refused[0];
  if (first !== undefined) {
    const claimed = digestText(list.entries.find(({ number }) => number === first.number));
    const why = `${printable(first.path)}: ${first.reason}; ${refused.length} entries are refused`;
    return refuse({ ...at(first.number), claimed }, 'IMA_FILE_UNKNOWN', why);
  }
  return affirm(claim, `${replayed}, and every one is known`);
}

const imaPolicies = new WeakMap<AppraisalPolicy, WeakMap<ReferenceValues, ImaPolicy>>();

/** A list of a hundred thousand approved files is indexed once. */
function imaPolicyOf(policy: AppraisalPolicy, values: ReferenceValues): ImaPolicy {
  const ofPolicy = imaPolicies.get(policy) ?? new WeakMap<ReferenceValues, ImaPolicy>();
  imaPolicies.set(policy, ofPolicy);
  const known = ofPolicy.get(values);
  if (known !== undefined) return known;
  const made = parseImaPolicy({
    version: 1,
    digests: digestsByName(values, 'file'),
    buffers: digestsByName(values, 'ima-buffer'),
    exclude: policy.ima.excluded,
    requireSignature: policy.ima.requireSignature,
    violations: policy.ima.violations === 'allow' ? 'accept' : 'refuse',
  });
  ofPolicy.set(values, made);
  return made;
}

function digestsByName(values: ReferenceValues, kind: ComponentKind): Record<string, string[]> {
  const byName = new Map<string, string[]>();
  for (const [digest, components] of values.components?.get(kind) ?? []) {
    for (const { name } of components) byName.set(name, [...(byName.get(name) ?? []), digest]);
  }
  return Object.fromEntries(byName);
}

function digestText(entry: ImaEntry | undefined): string | null {
  if (entry === undefined || entry.fields.kind === 'unknown') return null;
  return `${entry.fields.digest.algorithm}:${toHex(entry.fields.digest.value)}`;
}

/** Values of both banks; null stands for all registers. */
function quotedBanks({ evidence }: Appraisal, pcrs: readonly number[] | null): PcrBanks {
  const banks = new Map<ImaBank, ReadonlyMap<number, Uint8Array>>();
  for (const [bank, values] of [
    ['sha256', evidence.pcrs],
    ['sha384', evidence.pcrsSha384 ?? []],
  ] as const) {
    const wanted = values.filter(({ pcr }) => pcrs === null || pcrs.includes(pcr));
    if (wanted.length > 0) banks.set(bank, new Map(wanted.map(({ pcr, value }) => [pcr, value])));
  }
  return banks;
}
