import { assert, concatBytes, sha256 } from '@nemea/core';
import { ALG } from '@nemea/tpm/structures';
import type { Appraisal } from './appraisal.ts';
import {
  appraiseAttestationKey,
  appraiseAttestStructure,
  appraiseClock,
  appraisePcrDigest,
  appraisePcrSelection,
  appraiseQualifyingData,
  appraiseSignature,
} from './appraise-quote.ts';
import {
  appraiseEventLog,
  appraiseFirmware,
  appraiseFreshness,
  appraiseImages,
  appraiseLevel,
  appraiseRelease,
} from './appraise-state.ts';
import { isAffirming } from './claim.ts';
import type { Evidence } from './evidence.ts';
import type { AppraisedClaim, AttestationResult, Verdict } from './result.ts';

/**
 * The judge: appraises Evidence by the steps of the evidence protocol, in order. Pure and total: bad evidence is a
 * verdict, never an exception. Bytes that are not authenticated say nothing, so what depends on them is left `none` [ATT-4] [ATT-5].
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

function lastRelease(evidence: Evidence): Uint8Array | null {
  return evidence.log.findLast(({ kind }) => kind === 'release')?.digest ?? null;
}
