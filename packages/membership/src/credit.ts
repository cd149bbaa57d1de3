/**
 * Credit: earned by time and work, never bought, never transferred; it decays, is cut on faults, and weighs votes
 * and draws. Integers only. The same rules stand in NodeRegistry.sol; `vectors/credit` holds both to one truth [MEMB-7] [MEMB-8].
 */

export const CREDIT_MAX = 10_000;
export const CREDIT_GENESIS = 100;
export const CREDIT_NEWCOMER = 1;

/** Least credit that draws: below it are only members with a proven fault or a missed update [MEMB-9]. */
export const CREDIT_DRAW_MIN = 1;
/** Results of one epoch that are paid, or charged, at most. */
export const CREDIT_ATTESTING_MAX = 5;

/** What an executor and each verifier of a settled task earn. */
export const CREDIT_TASK_EXECUTED = 20;
export const CREDIT_TASK_VERIFIED = 5;

/** Whole part of the square root, by Newton's method on integers. */
export function integerSquareRoot(value: number): number {
  let root = Math.floor(Math.sqrt(value));
  // Math.sqrt is exact to the last bit below 2^52; the two corrections make that no assumption.
  while (root * root > value) root--;
  while ((root + 1) * (root + 1) <= value) root++;
  return root;
}

/** Voting and drawing weight: concave in credit, so that age counts less and less; a member never weighs less than 1. */
export function weightOf(credit: number): number {
  return Math.max(1, integerSquareRoot(credit));
}

/** A passed epoch earns a thousandth of what is missing to the maximum, at least 1: growth saturates. */
export function creditAfterPass(credit: number): number {
  return Math.min(CREDIT_MAX, credit + Math.max(1, Math.floor((CREDIT_MAX - credit) / 1000)));
}

/** Not being there costs one per cent, at least 1, and never the right to draw: that takes a proof of fault. */
export function creditAfterAbsence(credit: number): number {
  return atLeastDrawing(credit, credit - Math.max(1, Math.floor(credit / 100)));
}

/** Each attestation that agrees with the verdict earns 1, at most 5 in an epoch. */
export function creditAfterAttesting(credit: number, attestations: number): number {
  return Math.min(CREDIT_MAX, credit + Math.min(CREDIT_ATTESTING_MAX, Math.max(0, attestations)));
}

/** Each target that an attestor was drawn for and left out, or contradicted without ground, costs 1, at most 5 in an epoch. */
export function creditAfterNeglect(credit: number, neglected: number): number {
  return atLeastDrawing(credit, credit - Math.min(CREDIT_ATTESTING_MAX, Math.max(0, neglected)));
}

/** A fault that is proven by the member's own signature takes all [MEMB-27] [MEMB-43]. */
export function creditAfterFault(_credit: number): number {
  return 0;
}

/** Software that policy does not allow any more: all credit that draws is gone, until the member has updated [MEMB-37]. */
export function creditAfterMissedUpdate(credit: number): number {
  return Math.min(credit, CREDIT_DRAW_MIN - 1);
}

/** Adds earned credit within the bounds. */
export function creditAfter(credit: number, delta: number): number {
  return Math.min(CREDIT_MAX, Math.max(0, credit + delta));
}

function atLeastDrawing(before: number, after: number): number {
  return Math.max(Math.min(before, CREDIT_DRAW_MIN), after);
}
