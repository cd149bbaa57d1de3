import { CREDIT_MAX, CREDIT_NEWCOMER, creditAfterEpoch, weightOf } from '@nemea/membership';

/**
 * What an attack costs its author against what it gains. Money is counted in deposits, time in epochs; the credit
 * rules are the product's own. Assumptions are parameters, with their reasons in docs/economics.md.
 */
export interface Assumptions {
  /** What a node of full weight earns in an epoch, in deposits: half of its fees and its share as a verifier. */
  readonly incomeFull: number;
  /** Epochs for which an evicted machine may not come back. */
  readonly suspensionEpochs: number;
  /** Results that an honest attestor brings in an epoch. */
  readonly resultsPerEpoch: number;
}

export const ASSUMED: Assumptions = { incomeFull: 0.001, suspensionEpochs: 100, resultsPerEpoch: 3 };

/** Credit after each epoch of honest service, from a newcomer on, until the maximum. */
export function growth({ resultsPerEpoch }: Assumptions): number[] {
  const credits = [CREDIT_NEWCOMER];
  for (let credit = CREDIT_NEWCOMER; credit < CREDIT_MAX; credits.push(credit)) {
    credit = creditAfterEpoch(credit, 'passed', { isSilent: false, agreed: resultsPerEpoch, neglected: 0 });
  }
  return credits;
}

export interface Loss {
  readonly deposit: number;
  /** What the node would have earned by the time it had its credit again. */
  readonly income: number;
}

/** What being caught costs a node of some credit: all of the deposit, and the way back. */
export function lossOf(credit: number, assumed: Assumptions): Loss {
  const credits = growth(assumed);
  const epochsBack = credits.findIndex((it) => it >= credit);
  const full = weightOf(CREDIT_MAX);
  // Weights are whole numbers: their sums are exact, and more credit never comes out as less loss.
  const kept = weightOf(credit) * (assumed.suspensionEpochs + epochsBack);
  const earnedBack = credits.slice(0, epochsBack).reduce((sum, it) => sum + weightOf(it), 0);
  return { deposit: 1, income: (assumed.incomeFull * (kept - earnedBack)) / full };
}

/**
 * The gain, in deposits, from which on an attack pays: an attack that is noticed with some chance, and repeated until it is,
 * gains 1 / chance times before it costs the loss once.
 */
export function breakEven(credit: number, chanceNoticed: number, assumed: Assumptions): number {
  const { deposit, income } = lossOf(credit, assumed);
  return chanceNoticed * (deposit + income);
}
