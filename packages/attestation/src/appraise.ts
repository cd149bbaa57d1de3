import { assert, sha256 } from '@nemea/core';
import type { Appraisal, ExpectedQuote } from './appraisal.ts';
import {
  appraiseBootChain,
  appraiseCommandLine,
  appraiseFirmwareEvents,
  appraiseSecureBoot,
} from './appraise-boot.ts';
import { appraiseFirmware, readEventLog } from './appraise-firmware.ts';
import { appraiseIma } from './appraise-ima.ts';
import { appraisePcrDigest, appraisePcrSelection, appraisePcrValues } from './appraise-pcrs.ts';
import {
  appraiseAttestationKey,
  appraiseAttestStructure,
  appraiseQualifyingData,
  appraiseSignature,
} from './appraise-quote.ts';
import { appraiseRules } from './appraise-rules.ts';
import { appraiseImages, appraiseLevel, appraiseMeasuredLog, appraiseRelease } from './appraise-software.ts';
import { appraiseClock, appraiseFreshness } from './appraise-time.ts';
import { bootFacts } from './boot-facts.ts';
import { isAffirming } from './claim.ts';
import type { Evidence } from './evidence.ts';
import { splitRegister } from './replay.ts';
import type { AppraisedClaim, AttestationResult, Verdict } from './result.ts';

/**
 * The judge: appraises Evidence by the steps of the evidence protocol, in order. Pure and total: bad evidence is a
 * verdict, never an exception. Bytes that are not authenticated say nothing, so what depends on them is left `none` [ATT-4] [ATT-5].
 */
export function appraise(input: Appraisal): AttestationResult {
  assertTime(input.nowMs);
  assertNonces(input.expected);
  if (input.expected.deadlineMs !== undefined) assertTime(input.expected.deadlineMs);
  const quoteDigest = sha256(input.evidence.attest);
  const key = appraiseAttestationKey(input);
  const signature = appraiseSignature(input, key.area, quoteDigest);
  const attest = appraiseAttestStructure(input, signature);
  const { quote } = attest;
  const qualifying = appraiseQualifyingData(input, quote);
  const clock = appraiseClock(input, quote);
  const selection = appraisePcrSelection(input, quote);
  const digest = appraisePcrDigest(input, key.area, quote, selection);
  const eventLog = isAffirming(digest) ? readEventLog(input.evidence) : null;
  const register = isAffirming(digest) ? splitRegister(input.evidence, eventLog) : null;
  const pcrValues = appraisePcrValues(input, digest, register);
  const firmware = appraiseFirmware(input, digest, eventLog, register);
  const boot = bootFacts(firmware.boot, firmware.findings);
  const secureBoot = appraiseSecureBoot(input, firmware.claim, boot);
  const bootChain = appraiseBootChain(input, firmware.claim, boot);
  const commandLine = appraiseCommandLine(input, firmware.claim, boot);
  const firmwareEvents = appraiseFirmwareEvents(input, firmware.claim, boot);
  const ima = appraiseIma(input, digest);
  const log = appraiseMeasuredLog(input, register);
  const release = appraiseRelease(input, log);
  const images = appraiseImages(input, log);
  const isEstablished = [digest, firmware.claim, ima.claim, log].every(isAffirming);
  const rules = appraiseRules(input, { quote, boot, ima: ima.counts, measuredLog: log }, isEstablished);
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
    pcrValues,
    firmware.claim,
    secureBoot,
    bootChain,
    commandLine,
    firmwareEvents,
    ima.claim,
    log,
    release,
    images,
    rules,
    freshness,
    level,
  ];
  return {
    version: 2,
    verdict: combine(claims),
    level: input.endorsements.level,
    authentic:
      [key.claim, signature, attest.claim, qualifying, selection, digest, log].every(isAffirming) &&
      !firmware.isMessengersWork &&
      !ima.isMessengersWork,
    appraisedAtMs: input.nowMs,
    akName: key.name,
    quoteDigest,
    clock: quote === null ? null : { ...quote.clockInfo, firmwareVersion: quote.firmwareVersion },
    release: log.reason === 'OK' ? lastRelease(input.evidence) : null,
    claims,
  };
}

/** An empty nonce is in every quote that was made for nobody: a verifier that forgot its own is a bug, not a check. */
function assertNonces(expected: ExpectedQuote): void {
  const nonces = 'nonce' in expected ? [expected.nonce] : 'epochs' in expected ? expected.epochs : [];
  assert(
    nonces.every(({ length }) => length > 0),
    'what makes evidence fresh is not empty',
  );
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
