/** The claims about software that the node measured itself, into PCR 14, and about what its endorsement is worth. */
import { toHex } from '@nemea/core';
import type { Appraisal } from './appraisal.ts';
import { affirm, claimOf, leaveOut, notDemanded, printable, refuse } from './claim.ts';
import { MEASURED_PCR } from './evidence.ts';
import { levelName } from './level.ts';
import type { MeasuredRegister } from './replay.ts';
import type { AppraisedClaim } from './result.ts';

/** Both logs together come to PCR 14: what the boot left there, by the firmware's, and what the node measured [ATT-30]. */
export function appraiseMeasuredLog(input: Appraisal, register: MeasuredRegister | null): AppraisedClaim {
  const { log, pcrs } = input.evidence;
  const quoted = pcrs.find(({ pcr }) => pcr === MEASURED_PCR)?.value ?? null;
  const isJudged = input.policy.measuredLog === 'required';
  const replayed = isJudged ? (register?.replayed ?? null) : null;
  const claim = claimOf('measured-log', `evidence.log, ${log.length} events`, replayed, quoted);
  if (register === null) return leaveOut(claim);
  if (!isJudged) return notDemanded(claim, NOT_ASKED);
  if (register.problem !== null) return refuse(claim, 'MEASURED_LOG_BOOT_WRONG', register.problem);
  if (register.boot === null) {
    return refuse(
      claim,
      'MEASURED_LOG_REPLAY_WRONG',
      `${log.length} events do not replay to PCR ${MEASURED_PCR}`,
    );
  }
  const behind = isZero(register.boot) ? '' : ', behind what the boot left there';
  return affirm(claim, `${log.length} events replay to PCR ${MEASURED_PCR}${behind}`);
}

const NOT_ASKED = 'the policy does not ask for the log of PCR 14';

/** Every release in the log must be approved, and the log starts with one: software is measured before it acts [ATT-3] [ATT-6]. */
export function appraiseRelease(input: Appraisal, log: AppraisedClaim): AppraisedClaim {
  const { releases } = input.referenceValues;
  const events = input.evidence.log;
  const unapproved = events.findIndex(
    ({ kind, digest }) => kind === 'release' && !releases.has(toHex(digest)),
  );
  const index = unapproved === -1 ? events.findLastIndex(({ kind }) => kind === 'release') : unapproved;
  const current = events[index];
  const claim = claimOf('release', sourceOf(index), current?.digest ?? null, `${releases.size} releases`);
  if (log.verdict !== 'affirming') return leaveOut(claim);
  if (log.reason === 'NOT_DEMANDED') return notDemanded(claim, NOT_ASKED);
  if (current === undefined) return refuse(claim, 'RELEASE_MISSING', 'no release was measured');
  if (events[0]?.kind !== 'release') {
    return refuse(claim, 'RELEASE_NOT_FIRST', `the first event is of kind ${events[0]?.kind}, want release`);
  }
  if (unapproved !== -1) {
    return refuse(claim, 'RELEASE_NOT_APPROVED', `release ${quoted(current.name)} is not approved`);
  }
  return affirm(claim, `release ${quoted(current.name)} is approved`);
}

export function appraiseImages(input: Appraisal, log: AppraisedClaim): AppraisedClaim {
  const { images } = input.referenceValues;
  const events = input.evidence.log;
  const loaded = events.filter(({ kind }) => kind === 'image').length;
  const index = events.findIndex(({ kind, digest }) => kind === 'image' && !images.has(toHex(digest)));
  const unapproved = events[index];
  const claim = claimOf('images', sourceOf(index), unapproved?.digest ?? loaded, `${images.size} images`);
  if (log.verdict !== 'affirming') return leaveOut(claim);
  if (log.reason === 'NOT_DEMANDED') return notDemanded(claim, NOT_ASKED);
  if (unapproved !== undefined) {
    return refuse(claim, 'IMAGE_NOT_APPROVED', `image ${quoted(unapproved.name)} is not approved`);
  }
  return affirm(claim, `${loaded} loaded images are approved`);
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

function isZero(value: Uint8Array): boolean {
  return value.every((byte) => byte === 0);
}

function sourceOf(index: number): string {
  return index === -1 ? 'evidence.log' : `evidence.log event ${index}`;
}

function quoted(name: string): string {
  return JSON.stringify(printable(name));
}
