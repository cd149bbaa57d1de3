/** The steps of appraisal that establish what the TPM said, before anything it says is believed. */
import { bytesEqual } from '@nemea/core';
import {
  ALG,
  type EccPublicArea,
  parseAttest,
  parseSignature,
  pcrDigest,
  type QuoteAttest,
  TpmError,
  type TpmSignature,
} from '@nemea/tpm/structures';
import type { Appraisal, ClockRecord } from './appraisal.ts';
import { affirm, claimOf, leaveOut, refuse } from './claim.ts';
import { AttestationError } from './errors.ts';
import { QUOTED_PCRS, qualifyingData } from './evidence.ts';
import { checkAkPublic } from './key-profile.ts';
import type { AppraisedClaim } from './result.ts';
import { verifyTpmSignature } from './signature.ts';

const TPM_GENERATED = 0xff544347;

export function appraiseAttestationKey(
  input: Appraisal,
  akName: Uint8Array,
): {
  readonly claim: AppraisedClaim;
  readonly area: EccPublicArea | null;
} {
  const { akPublic } = input.endorsements;
  const claim = claimOf('attestation-key', 'endorsements.akPublic', akName, 'AK template');
  try {
    return { claim: affirm(claim, 'restricted TPM-made ECDSA P-256 key'), area: checkAkPublic(akPublic) };
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    return { claim: refuse(claim, 'AK_PUBLIC_INVALID', error.message), area: null };
  }
}

/** Over the received bytes, before anything in them is believed. */
export function appraiseSignature(
  input: Appraisal,
  area: EccPublicArea | null,
  quoteDigest: Uint8Array,
): AppraisedClaim {
  const { attest, signature } = input.evidence;
  const claim = claimOf('signature', 'evidence.signature', null, quoteDigest);
  if (area === null) return leaveOut(claim);
  let parsed: TpmSignature;
  try {
    parsed = parseSignature(signature);
  } catch (error) {
    if (!(error instanceof TpmError)) throw error;
    return refuse(claim, 'SIGNATURE_MALFORMED', error.message);
  }
  if (parsed.scheme !== 'ecdsa' || parsed.hashAlg !== ALG.sha256) {
    return refuse(claim, 'SIGNATURE_SCHEME_WRONG', `got ${parsed.scheme}, want ecdsa with sha-256`);
  }
  if (!verifyTpmSignature(area, parsed, attest)) {
    return refuse(claim, 'SIGNATURE_WRONG', 'not a signature by the registered attestation key');
  }
  return affirm(claim, 'signed by the registered attestation key');
}

/** Magic and type: TPM_GENERATED says that a restricted key signed the TPM's own statement and not outside data. */
export function appraiseAttestStructure(
  input: Appraisal,
  signature: AppraisedClaim,
): { readonly claim: AppraisedClaim; readonly quote: QuoteAttest | null } {
  const { attest } = input.evidence;
  const claim = claimOf('attest-structure', 'evidence.attest', attest.subarray(0, 6), 'TPM_GENERATED quote');
  if (signature.verdict !== 'affirming') return { claim: leaveOut(claim), quote: null };
  const magic = attest.length < 4 ? 0 : new DataView(attest.buffer, attest.byteOffset).getUint32(0);
  if (magic !== TPM_GENERATED) {
    return { claim: refuse(claim, 'ATTEST_MAGIC_WRONG', 'not made inside a TPM'), quote: null };
  }
  try {
    const parsed = parseAttest(attest);
    if (parsed.type === 'quote')
      return { claim: affirm(claim, 'a quote made inside the TPM'), quote: parsed };
    return { claim: refuse(claim, 'ATTEST_TYPE_WRONG', `got ${parsed.type}, want quote`), quote: null };
  } catch (error) {
    if (!(error instanceof TpmError)) throw error;
    return { claim: refuse(claim, 'ATTEST_MALFORMED', error.message), quote: null };
  }
}

export function appraiseQualifyingData(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
  const want = qualifyingData(input.expected);
  const claim = claimOf('qualifying-data', 'evidence.attest.extraData', quote?.extraData ?? null, want);
  if (quote === null) return leaveOut(claim);
  if (!bytesEqual(quote.extraData, want)) {
    return refuse(claim, 'QUALIFYING_DATA_WRONG', 'another network, challenge or binding was quoted');
  }
  if (!bytesEqual(input.evidence.binding, input.expected.binding)) {
    return refuse(claim, 'QUALIFYING_DATA_WRONG', 'the evidence names another binding than was quoted');
  }
  return affirm(claim, 'quoted for this network, challenge and binding');
}

/** (resetCount, clock) never decreases for one AK: clones and rolled-back TPMs show here [ATT-7]. */
export function appraiseClock(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
  const before = input.clockBefore;
  const claim = claimOf(
    'clock',
    'evidence.attest.clockInfo',
    quote === null ? null : describeClock(quote.clockInfo),
    before === undefined ? null : describeClock(before),
  );
  if (quote === null) return leaveOut(claim);
  const now = quote.clockInfo;
  if (before !== undefined && now.resetCount < before.resetCount) {
    return refuse(claim, 'CLOCK_RESET_COUNT_DECREASED', 'a cloned, cleared or rolled-back TPM');
  }
  if (before !== undefined && now.resetCount === before.resetCount) {
    if (now.restartCount < before.restartCount) {
      return refuse(claim, 'CLOCK_RESTART_COUNT_DECREASED', 'a cloned or rolled-back TPM');
    }
    if (now.clock < before.clock) {
      return refuse(claim, 'CLOCK_BACKWARDS', 'a cloned or rolled-back TPM');
    }
  }
  if (!now.safe) {
    return {
      ...claim,
      verdict: 'warning',
      reason: 'CLOCK_UNSAFE',
      detail: 'the TPM lost power without shutdown, its clock may repeat',
    };
  }
  return affirm(claim, before === undefined ? 'safe, no earlier record' : 'safe, not behind the record');
}

export function appraisePcrSelection(quote: QuoteAttest | null): AppraisedClaim {
  const selections = quote?.pcrSelections ?? [];
  const claimed = selections.map(({ hashAlg, pcrs }) => `${hashAlg}:${pcrs.join(',')}`).join(' ');
  const claim = claimOf('pcr-selection', 'evidence.attest.pcrSelect', claimed, SELECTION_WANTED);
  if (quote === null) return leaveOut(claim);
  if (claimed !== SELECTION_WANTED) {
    return refuse(claim, 'PCR_SELECTION_WRONG', 'other PCRs or another bank were quoted');
  }
  return affirm(claim, 'the SHA-256 bank, PCR 0 to 7 and 14');
}

const SELECTION_WANTED = `${ALG.sha256}:${QUOTED_PCRS.join(',')}`;

export function appraisePcrDigest(
  input: Appraisal,
  quote: QuoteAttest | null,
  selection: AppraisedClaim,
): AppraisedClaim {
  const { pcrs } = input.evidence;
  const computed = pcrDigest(pcrs.map(({ value }) => value));
  const claim = claimOf('pcr-digest', 'evidence.pcrs', computed, quote?.pcrDigest ?? null);
  if (quote === null || selection.verdict !== 'affirming') return leaveOut(claim);
  if (pcrs.length !== QUOTED_PCRS.length || pcrs.some(({ pcr }, i) => pcr !== QUOTED_PCRS[i])) {
    return refuse(claim, 'PCR_LIST_WRONG', 'the evidence lists other PCRs than were quoted');
  }
  if (!bytesEqual(computed, quote.pcrDigest)) {
    return refuse(claim, 'PCR_DIGEST_WRONG', 'the PCR values are not the quoted ones');
  }
  return affirm(claim, 'the PCR values are the quoted ones');
}

function describeClock(clock: ClockRecord): string {
  return `reset ${clock.resetCount}, restart ${clock.restartCount}, ${clock.clock} ms`;
}
