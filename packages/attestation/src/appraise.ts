import { assert, bytesEqual, concatBytes, sha256, toHex } from '@nemea/core';
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
import { AttestationError } from './errors.ts';
import { type Evidence, eventDigest, MEASURED_PCR, QUOTED_PCRS, qualifyingData } from './evidence.ts';
import { checkAkPublic } from './key-profile.ts';
import { type AssuranceLevel, levelName } from './level.ts';
import type { AppraisalPolicy } from './policy.ts';
import type { ReferenceValues } from './reference-values.ts';
import type {
  AppraisedClaim,
  AppraisedClock,
  AttestationResult,
  ClaimName,
  ClaimReason,
  ClaimValue,
  Verdict,
} from './result.ts';
import { verifyTpmSignature } from './signature.ts';

/** What the registry vouches for (RFC 9334 Endorsements): the AK that was activated against an EK, and its level. */
export interface Endorsements {
  /** TPMT_PUBLIC of the registered attestation key. */
  readonly akPublic: Uint8Array;
  readonly level: AssuranceLevel;
}

export interface ExpectedQuote {
  readonly networkId: Uint8Array;
  readonly challenge: Uint8Array;
  readonly binding: Uint8Array;
  /** The latest time at which an answer counts, by the verifier's own clock; without it the challenge alone makes it fresh. */
  readonly deadlineMs?: number | undefined;
}

/** The highest clock seen from this AK. */
export type ClockRecord = Pick<AppraisedClock, 'clock' | 'resetCount' | 'restartCount'>;

export interface Appraisal {
  readonly evidence: Evidence;
  readonly endorsements: Endorsements;
  readonly referenceValues: ReferenceValues;
  readonly policy: AppraisalPolicy;
  readonly expected: ExpectedQuote;
  readonly clockBefore?: ClockRecord | undefined;
  readonly nowMs: number;
}

const TPM_GENERATED = 0xff544347;
const ZERO_PCR = new Uint8Array(32);

/**
 * The judge: appraises Evidence by the steps of the evidence protocol, in order. Pure and total: bad evidence is a
 * verdict, never an exception. Bytes that are not authenticated say nothing, so what depends on them is left `none`.
 */
export function appraise(input: Appraisal): AttestationResult {
  assertTime(input.nowMs);
  if (input.expected.deadlineMs !== undefined) assertTime(input.expected.deadlineMs);
  const akName = concatBytes(Uint8Array.of(0, ALG.sha256), sha256(input.endorsements.akPublic));
  const quoteDigest = sha256(input.evidence.attest);
  const key = appraiseAttestationKey(input, akName);
  const signature = appraiseSignature(input, key.area, quoteDigest);
  const attest = appraiseAttestStructure(input, signature);
  const { quote } = attest;
  const qualifying = appraiseQualifyingData(input, quote);
  const clock = appraiseClock(input, quote);
  const selection = appraisePcrSelection(quote);
  const digest = appraisePcrDigest(input, quote, selection);
  const log = appraiseEventLog(input, digest);
  const firmware = appraiseFirmware(input, digest);
  const release = appraiseRelease(input, log);
  const images = appraiseImages(input, log);
  const freshness = appraiseFreshness(input, quote);
  const level = appraiseLevel(input);

  const claims = [
    key.claim,
    signature,
    attest.claim,
    qualifying,
    clock,
    selection,
    digest,
    log,
    firmware,
    release,
    images,
    freshness,
    level,
  ];
  return {
    version: 1,
    verdict: combine(claims),
    level: input.endorsements.level,
    authentic: [key.claim, signature, attest.claim, qualifying, selection, digest, log].every(isAffirming),
    appraisedAtMs: input.nowMs,
    akName,
    quoteDigest,
    clock: quote === null ? null : { ...quote.clockInfo, firmwareVersion: quote.firmwareVersion },
    release: log.verdict === 'affirming' ? lastRelease(input.evidence) : null,
    claims,
  };
}

/** The verifier's own times: a wrong one is a bug of the caller, not bad evidence. */
function assertTime(timeMs: number): void {
  assert(Number.isSafeInteger(timeMs) && timeMs >= 0, `a time is whole milliseconds, got ${timeMs}`);
}

/** Fails closed: a claim that could not be appraised never lets a result affirm. */
function combine(claims: readonly AppraisedClaim[]): Verdict {
  if (claims.every(isAffirming)) return 'affirming';
  const tolerable = claims.every((claim) => isAffirming(claim) || claim.verdict === 'warning');
  return tolerable ? 'warning' : 'contraindicated';
}

function isAffirming(claim: AppraisedClaim): boolean {
  return claim.verdict === 'affirming';
}

function appraiseAttestationKey(
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
function appraiseSignature(
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
function appraiseAttestStructure(
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

function appraiseQualifyingData(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
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

/** (resetCount, clock) never decreases for one AK: clones and rolled-back TPMs show here. */
function appraiseClock(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
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

function appraisePcrSelection(quote: QuoteAttest | null): AppraisedClaim {
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

function appraisePcrDigest(
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

function appraiseEventLog(input: Appraisal, digest: AppraisedClaim): AppraisedClaim {
  const { log, pcrs } = input.evidence;
  const quoted = pcrs.find(({ pcr }) => pcr === MEASURED_PCR)?.value ?? null;
  const replayed = digest.verdict === 'affirming' ? replayLog(log) : null;
  const claim = claimOf('event-log', 'evidence.log', replayed, quoted);
  if (replayed === null || quoted === null) return leaveOut(claim);
  if (!bytesEqual(replayed, quoted)) {
    return refuse(
      claim,
      'EVENT_LOG_REPLAY_WRONG',
      `${log.length} events do not replay to PCR ${MEASURED_PCR}`,
    );
  }
  return affirm(claim, `${log.length} events replay to PCR ${MEASURED_PCR}`);
}

/** The value PCR 14 has after these events, from zero (TPM 2.0 Part 1, 17.2). */
export function replayLog(log: Evidence['log']): Uint8Array {
  let value: Uint8Array = ZERO_PCR;
  for (const event of log) value = sha256(value, eventDigest(event));
  return value;
}

/** No firmware event log is understood here, so nothing could explain a measured boot: only an unmeasured one passes. */
function appraiseFirmware(input: Appraisal, digest: AppraisedClaim): AppraisedClaim {
  const measured = input.evidence.pcrs.find(({ pcr, value }) => pcr < 8 && !bytesEqual(value, ZERO_PCR));
  const claim = claimOf('firmware', 'evidence.pcrs', measured?.value ?? ZERO_PCR, ZERO_PCR);
  if (digest.verdict !== 'affirming') return leaveOut(claim);
  if (measured !== undefined) {
    return refuse(
      claim,
      'FIRMWARE_NO_EVENT_LOG',
      `PCR ${measured.pcr} is measured, and no event log explains it`,
    );
  }
  return affirm(claim, 'no measured boot: PCR 0 to 7 are zero');
}

/** Every release in the log must be approved, and the log starts with one: software is measured before it acts. */
function appraiseRelease(input: Appraisal, log: AppraisedClaim): AppraisedClaim {
  const { releases } = input.referenceValues;
  const events = input.evidence.log;
  const measured = events.filter(({ kind }) => kind === 'release');
  const unapproved = measured.find(({ digest }) => !releases.has(toHex(digest)));
  const current = unapproved ?? measured.at(-1);
  const claim = claimOf('release', 'evidence.log', current?.digest ?? null, `${releases.size} releases`);
  if (log.verdict !== 'affirming') return leaveOut(claim);
  if (current === undefined) return refuse(claim, 'RELEASE_MISSING', 'no release was measured');
  if (events[0]?.kind !== 'release') {
    return refuse(claim, 'RELEASE_NOT_FIRST', `the first event is of kind ${events[0]?.kind}, want release`);
  }
  if (unapproved !== undefined) {
    return refuse(claim, 'RELEASE_NOT_APPROVED', `release ${quoted(unapproved.name)} is not approved`);
  }
  return affirm(claim, `release ${quoted(current.name)} is approved`);
}

function appraiseImages(input: Appraisal, log: AppraisedClaim): AppraisedClaim {
  const { images } = input.referenceValues;
  const loaded = input.evidence.log.filter(({ kind }) => kind === 'image');
  const unapproved = loaded.find(({ digest }) => !images.has(toHex(digest)));
  const claim = claimOf(
    'images',
    'evidence.log',
    unapproved?.digest ?? loaded.length,
    `${images.size} images`,
  );
  if (log.verdict !== 'affirming') return leaveOut(claim);
  if (unapproved !== undefined) {
    return refuse(claim, 'IMAGE_NOT_APPROVED', `image ${quoted(unapproved.name)} is not approved`);
  }
  return affirm(claim, `${loaded.length} loaded images are approved`);
}

/** The challenge makes the quote fresh; the deadline bounds how long an answer may be held back. */
function appraiseFreshness(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
  const { deadlineMs } = input.expected;
  const claim = claimOf('freshness', 'time of appraisal', input.nowMs, deadlineMs ?? null);
  if (quote === null) return leaveOut(claim);
  if (deadlineMs === undefined) return affirm(claim, 'made after its challenge; no deadline was set');
  if (input.nowMs > deadlineMs) return refuse(claim, 'EVIDENCE_STALE', 'answered after the deadline');
  return affirm(claim, 'answered in time');
}

function appraiseLevel(input: Appraisal): AppraisedClaim {
  const { level } = input.endorsements;
  const { levelMin } = input.policy;
  const claim = claimOf('level', 'endorsements.level', level, levelMin);
  if (level < levelMin) {
    return refuse(claim, 'LEVEL_TOO_LOW', `got ${levelName(level)}, want ${levelName(levelMin)}`);
  }
  return affirm(claim, 'the level suffices');
}

function lastRelease(evidence: Evidence): Uint8Array | null {
  return evidence.log.findLast(({ kind }) => kind === 'release')?.digest ?? null;
}

type OpenClaim = Pick<AppraisedClaim, 'name' | 'source' | 'claimed' | 'reference'>;

function claimOf(name: ClaimName, source: string, claimed: ClaimValue, reference: ClaimValue): OpenClaim {
  return { name, source, claimed, reference };
}

function affirm(claim: OpenClaim, detail: string): AppraisedClaim {
  return { ...claim, verdict: 'affirming', reason: 'OK', detail };
}

function refuse(claim: OpenClaim, reason: ClaimReason, detail: string): AppraisedClaim {
  assert(reason !== 'OK', 'a refusal has a reason');
  return { ...claim, verdict: 'contraindicated', reason, detail };
}

function leaveOut(claim: OpenClaim): AppraisedClaim {
  return { ...claim, verdict: 'none', reason: 'UNAUTHENTICATED', detail: 'its bytes are not authentic' };
}

function describeClock(clock: ClockRecord): string {
  return `reset ${clock.resetCount}, restart ${clock.restartCount}, ${clock.clock} ms`;
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
