/** The claim about files and other data that the kernel measured into PCR 10. */
import { toHex } from '@nemea/core';
import type { Appraisal } from './appraisal.ts';
import { affirm, claimOf, leaveOut, notDemanded, printable, refuse } from './claim.ts';
import {
  checkBootAggregate,
  findBootAggregate,
  IMA_PCR,
  type ImaBank,
  type ImaEntry,
  ImaError,
  type ImaList,
  type PcrBanks,
  parseImaList,
  pathOf,
  verifyIma,
} from './ima/index.ts';
import { countReferences, findReferences } from './reference-values.ts';
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
    return without(refuse(claim, 'IMA_REPLAY_WRONG', `${verified.reason}${where}`), true);
  }
  const entries = list.entries.slice(verified.from, verified.to);
  const counts = { entries: entries.length, violations: verified.violations };
  return { claim: judgeEntries(input, claim, list, entries), counts, isMessengersWork: false };
}

function judgeEntries(
  input: Appraisal,
  claim: ReturnType<typeof claimOf>,
  list: ImaList,
  entries: readonly ImaEntry[],
): AppraisedClaim {
  const { files, excluded, violations } = input.policy.ima;
  const at = (entry: ImaEntry) => ({ ...claim, source: `evidence.imaList entry ${entry.number}` });
  const aggregate = findBootAggregate(list);
  const first = aggregate?.fields.kind === 'file' ? aggregate.fields.digest : null;
  if (aggregate !== null && first !== null) {
    const { reason } = checkBootAggregate(first, quotedBanks(input, null));
    if (reason === 'MISMATCH') {
      return refuse(
        at(aggregate),
        'IMA_BOOT_AGGREGATE_WRONG',
        'the list starts with the registers of another boot',
      );
    }
  }
  const violation = violations === 'refuse' ? entries.find((entry) => entry.violation) : undefined;
  if (violation !== undefined) {
    return refuse(
      at(violation),
      'IMA_VIOLATION',
      `${printable(pathOf(violation))} changed while it was measured`,
    );
  }
  if (files === 'any') return affirm(claim, `${entries.length} entries replay to PCR ${IMA_PCR}`);
  const unknown = entries.find(
    (entry) => entry !== aggregate && !isExcluded(entry, excluded) && !isKnown(input, entry),
  );
  if (unknown !== undefined) {
    const digest = unknown.fields.kind === 'unknown' ? null : digestText(unknown);
    const found = { ...at(unknown), claimed: digest };
    return refuse(found, 'IMA_FILE_UNKNOWN', `${printable(pathOf(unknown))} is no reference value`);
  }
  return affirm(claim, `${entries.length} entries replay to PCR ${IMA_PCR}, and every file is known`);
}

function isKnown(input: Appraisal, entry: ImaEntry): boolean {
  const path = pathOf(entry);
  return findReferences(input.referenceValues, 'file', digestText(entry)).some(({ name }) => name === path);
}

function digestText({ fields }: ImaEntry): string {
  return fields.kind === 'unknown' ? 'none' : `${fields.digest.algorithm}:${toHex(fields.digest.value)}`;
}

function isExcluded(entry: ImaEntry, excluded: readonly string[]): boolean {
  const path = pathOf(entry);
  return excluded.some((it) => (it.endsWith('*') ? path.startsWith(it.slice(0, -1)) : path === it));
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
