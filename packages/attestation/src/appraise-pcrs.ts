/** The claims about registers: which were quoted, with which values, and whether those are known. */
import { bytesEqual, toHex } from '@nemea/core';
import { ALG, digestOf, type QuoteAttest } from '@nemea/tpm/structures';
import { hashOfScheme, type SigningArea } from './ak-profile.ts';
import type { Appraisal } from './appraisal.ts';
import { affirm, claimOf, leaveOut, notDemanded, refuse } from './claim.ts';
import { type Evidence, MEASURED_PCR, type PcrValue } from './evidence.ts';
import { findReferences } from './reference-values.ts';
import type { MeasuredRegister } from './replay.ts';
import type { AppraisedClaim } from './result.ts';

export function appraisePcrSelection(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
  const { sha256, sha384, others } = input.policy.pcrs;
  const wanted = describeBank(ALG.sha256, sha256);
  const both = sha384.length === 0 ? wanted : `${wanted} ${describeBank(ALG.sha384, sha384)}`;
  const selections = quote?.pcrSelections ?? [];
  const claimed = selections.map(({ hashAlg, pcrs }) => describeBank(hashAlg, pcrs)).join(' ');
  const claim = claimOf('pcr-selection', 'evidence.attest.pcrSelect', claimed, both);
  if (quote === null) return leaveOut(claim);
  const banks = new Map(selections.map(({ hashAlg, pcrs }) => [hashAlg, pcrs]));
  const isKnown = [...banks.keys()].every((alg) => alg === ALG.sha256 || alg === ALG.sha384);
  if (!isKnown || banks.size !== selections.length) {
    return refuse(claim, 'PCR_SELECTION_WRONG', 'want the SHA-256 bank, SHA-384 besides, each once');
  }
  for (const [alg, name, pcrs] of [
    [ALG.sha256, 'SHA-256', sha256],
    [ALG.sha384, 'SHA-384', sha384],
  ] as const) {
    const quoted = banks.get(alg) ?? [];
    const missing = pcrs.filter((pcr) => !quoted.includes(pcr));
    if (missing.length > 0) {
      return refuse(
        claim,
        'PCR_SELECTION_WRONG',
        `PCR ${missing.join(', ')} of the ${name} bank was not quoted`,
      );
    }
    if (others === 'refuse' && quoted.length !== pcrs.length) {
      return refuse(
        claim,
        'PCR_SELECTION_WRONG',
        `other PCRs of the ${name} bank were quoted than the policy asks for`,
      );
    }
  }
  return affirm(claim, 'the registers that the policy asks for');
}

export function appraisePcrDigest(
  input: Appraisal,
  area: SigningArea | null,
  quote: QuoteAttest | null,
  selection: AppraisedClaim,
): AppraisedClaim {
  const { evidence } = input;
  // TPM 2.0 Part 3, 18.4: the digest is by the hash of the signing scheme, over the values in the order of selection.
  const hashAlg = (area === null ? undefined : hashOfScheme(area)) ?? ALG.sha256;
  const selections = quote?.pcrSelections ?? [];
  const values = selections.flatMap((it) => bankOf(evidence, it.hashAlg)).map(({ value }) => value);
  const computed = digestOf(hashAlg, ...values);
  const claim = claimOf('pcr-digest', 'evidence.pcrs', computed, quote?.pcrDigest ?? null);
  if (quote === null || selection.verdict !== 'affirming') return leaveOut(claim);
  const isComplete =
    selections.every(({ hashAlg: bank, pcrs }) => listsExactly(bankOf(evidence, bank), pcrs)) &&
    (evidence.pcrsSha384 === undefined || selections.some((it) => it.hashAlg === ALG.sha384));
  if (!isComplete) return refuse(claim, 'PCR_LIST_WRONG', 'the evidence lists other PCRs than were quoted');
  if (!bytesEqual(computed, quote.pcrDigest)) {
    return refuse(claim, 'PCR_DIGEST_WRONG', 'the PCR values are not the quoted ones');
  }
  return affirm(claim, 'the PCR values are the quoted ones');
}

/**
 * Registers whose value the policy wants to know exactly, and dynamic ones that nothing was launched into. Of a node's PCR
 * 14 it is what the boot left there, because the rest is different with every run [ATT-30].
 */
export function appraisePcrValues(
  input: Appraisal,
  digest: AppraisedClaim,
  register: MeasuredRegister | null,
): AppraisedClaim {
  const { exact, sha256 } = input.policy.pcrs;
  const boot = register?.boot ?? null;
  const pcrs = input.evidence.pcrs.map((entry) =>
    entry.pcr === MEASURED_PCR && boot !== null ? { ...entry, value: boot } : entry,
  );
  const known = (entry: PcrValue): boolean =>
    findReferences(input.referenceValues, 'pcr', `sha256:${toHex(entry.value)}`).some(
      ({ name }) => name === `sha256:${entry.pcr}`,
    );
  const unknown = pcrs.find((entry) => exact.includes(entry.pcr) && !known(entry));
  const reset = pcrs.find(
    ({ pcr, value }) => pcr >= 17 && sha256.includes(pcr) && value.every((byte) => byte === 0xff),
  );
  const failed = unknown ?? reset;
  const claim = claimOf(
    'pcr-values',
    failed === undefined ? 'evidence.pcrs' : `evidence.pcrs PCR ${failed.pcr}`,
    failed?.value ?? null,
    exact.length === 0 ? null : `reference values of PCR ${exact.join(', ')}`,
  );
  if (digest.verdict !== 'affirming') return leaveOut(claim);
  if (unknown !== undefined) {
    return refuse(claim, 'PCR_VALUE_UNKNOWN', `PCR ${unknown.pcr} has a value that is no reference value`);
  }
  if (reset !== undefined) {
    return refuse(
      claim,
      'PCR_RESET_VALUE',
      `PCR ${reset.pcr} is all ones: no dynamic launch measured into it`,
    );
  }
  if (exact.length === 0) return notDemanded(claim, 'the policy names no exact values');
  return affirm(claim, `PCR ${exact.join(', ')} have reference values`);
}

function bankOf(evidence: Evidence, hashAlg: number): readonly PcrValue[] {
  return (
    (hashAlg === ALG.sha384 ? evidence.pcrsSha384 : hashAlg === ALG.sha256 ? evidence.pcrs : undefined) ?? []
  );
}

function listsExactly(values: readonly PcrValue[], pcrs: readonly number[]): boolean {
  return values.length === pcrs.length && values.every(({ pcr }, i) => pcr === pcrs[i]);
}

const BANK_NAMES: ReadonlyMap<number, string> = new Map([
  [ALG.sha1, 'sha1'],
  [ALG.sha256, 'sha256'],
  [ALG.sha384, 'sha384'],
]);

function describeBank(hashAlg: number, pcrs: readonly number[]): string {
  return `${BANK_NAMES.get(hashAlg) ?? hashAlg}:${pcrs.join(',')}`;
}
