import { creditAfterAbsence, creditAfterAttesting, creditAfterNeglect, creditAfterPass } from './credit.ts';

/**
 * The arithmetic of an epoch's end for one member, over plain numbers: networks of any size settle by these very functions.
 */

/** How the jury that was seated for a member left it. */
export type Standing = 'passed' | 'contested' | 'absent' | 'unasked';

/** Whoever is seated counts, heard or not: a member that answers only those it likes convinces only their part [MEMB-19]. */
export function standingOf(weight: { readonly affirming: number; readonly seated: number }): Standing {
  if (weight.seated === 0) return 'unasked';
  if (weight.affirming * 2 > weight.seated) return 'passed';
  return weight.affirming === 0 ? 'absent' : 'contested';
}

/** What a member did for the epoch as an attestor. */
export interface Duty {
  /** It could draw, and reported nothing. */
  readonly isSilent: boolean;
  /** Results that agree with the standing of their targets. */
  readonly agreed: number;
  /** Targets that passed although it was seated for them and did not affirm them. */
  readonly neglected: number;
}

/**
 * Credit after an epoch. Neglect voids what the epoch would have earned; neglect of most targets, like silence, counts as absence:
 * it decays [MEMB-41].
 */
export function creditAfterEpoch(credit: number, standing: Standing, duty: Duty): number {
  const isAbsent = standing === 'absent' || duty.isSilent || duty.neglected > duty.agreed;
  if (duty.neglected > 0) {
    return creditAfterNeglect(isAbsent ? creditAfterAbsence(credit) : credit, duty.neglected);
  }
  const before = isAbsent
    ? creditAfterAbsence(credit)
    : standing === 'passed'
      ? creditAfterPass(credit)
      : credit;
  return creditAfterAttesting(before, duty.agreed);
}

/** Juries that confirmed a member more often than not, within these bounds; below zero it is suspended [MEMB-38]. */
export const CONFIDENCE_MAX = 16;
export const CONFIDENCE_NEW = 8;
export const CONFIDENCE_SUSPENDED = -8;

/**
 * Confidence after an epoch. A member that its juries keep leaving unconfirmed is suspended, and serves again after
 * as many more good epochs than bad ones as a newcomer has ahead.
 */
export function confidenceAfterEpoch(confidence: number, standing: Standing): number {
  if (standing === 'unasked') return confidence;
  if (standing === 'passed') {
    return confidence === -1 ? CONFIDENCE_NEW : Math.min(CONFIDENCE_MAX, confidence + 1);
  }
  return confidence === 1 ? CONFIDENCE_SUSPENDED : Math.max(CONFIDENCE_SUSPENDED, confidence - 1);
}

export function isSuspended(confidence: number): boolean {
  return confidence < 0;
}
