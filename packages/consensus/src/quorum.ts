import { type Configuration, weightOf } from './configuration.ts';

/**
 * The two thresholds of the protocol [CONS-2]. Faulty members are assumed to hold less than a third of the weight,
 * so any two quorums share an honest member, and the honest members alone form one.
 */
export function isQuorum(configuration: Configuration, ids: Iterable<string>): boolean {
  return hasQuorum(configuration, weightOfAll(configuration, ids));
}

/** The same for a weight that was added up before. */
export function hasQuorum({ weightTotal }: Configuration, weight: number): boolean {
  return 3 * weight > 2 * weightTotal;
}

/** True when at least one of the members must be honest. */
export function includesHonest(configuration: Configuration, ids: Iterable<string>): boolean {
  return 3 * weightOfAll(configuration, ids) >= configuration.weightTotal;
}

/** Counts every member once, and strangers not at all. */
export function weightOfAll(configuration: Configuration, ids: Iterable<string>): number {
  let weight = 0;
  for (const id of new Set(ids)) weight += weightOf(configuration, id);
  return weight;
}
