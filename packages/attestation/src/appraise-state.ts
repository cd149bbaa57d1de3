/** The steps of appraisal that judge the state of the machine, from values that the quote vouches for. */
import { bytesEqual, toHex } from '@nemea/core';
import type { QuoteAttest } from '@nemea/tpm/structures';
import type { Appraisal } from './appraisal.ts';
import { affirm, claimOf, leaveOut, refuse } from './claim.ts';
import { MEASURED_PCR } from './evidence.ts';
import { levelName } from './level.ts';
import { replayLog } from './replay.ts';
import type { AppraisedClaim } from './result.ts';

const ZERO_PCR = new Uint8Array(32);

export function appraiseEventLog(input: Appraisal, digest: AppraisedClaim): AppraisedClaim {
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

/** No firmware event log is understood here, so nothing could explain a measured boot: only an unmeasured one passes. */
export function appraiseFirmware(input: Appraisal, digest: AppraisedClaim): AppraisedClaim {
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

/** Every release in the log must be approved, and the log starts with one: software is measured before it acts [ATT-3] [ATT-6]. */
export function appraiseRelease(input: Appraisal, log: AppraisedClaim): AppraisedClaim {
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

export function appraiseImages(input: Appraisal, log: AppraisedClaim): AppraisedClaim {
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
export function appraiseFreshness(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
  const { deadlineMs } = input.expected;
  const claim = claimOf('freshness', 'time of appraisal', input.nowMs, deadlineMs ?? null);
  if (quote === null) return leaveOut(claim);
  if (deadlineMs === undefined) return affirm(claim, 'made after its challenge; no deadline was set');
  if (input.nowMs > deadlineMs) return refuse(claim, 'EVIDENCE_STALE', 'answered after the deadline');
  return affirm(claim, 'answered in time');
}

export function appraiseLevel(input: Appraisal): AppraisedClaim {
  const { level } = input.endorsements;
  const { levelMin } = input.policy;
  const claim = claimOf('level', 'endorsements.level', level, levelMin);
  if (level < levelMin) {
    return refuse(claim, 'LEVEL_TOO_LOW', `got ${levelName(level)}, want ${levelName(levelMin)}`);
  }
  return affirm(claim, 'the level suffices');
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
