import { CREDIT_MAX, isSuspended, type Member, type Roster, weightOf } from '@nemea/membership';
import { accountOf, drawTargets, rosterOf, type Say, stepEpoch } from './network.ts';

/** What attackers try against juries, and what comes of it. Everything follows from the seed. */

export interface Attack {
  readonly seed: string;
  readonly members: number;
  /** Members that collude, of the same weight as the others at first. */
  readonly colluders: number;
  /** Expected jury size. */
  readonly expected: number;
  readonly epochsMax: number;
}

const TAMPERED_MAX = 8;

/**
 * The epoch in which each of some tampered machines is caught while it answers whoever is drawn for it: the first honest attestor
 * holds its own TPM's evidence against it, and every member judges that again. One more than there are when it is not.
 */
export function epochsUntilEvicted(attack: Attack): number[] {
  const roster = rosterOf(attack.members);
  const tampered = tamperedOf(attack);
  const isHonest = honestIn(attack);
  return firstEpochs(attack, tampered, (epoch) => {
    const caught = new Set<string>();
    for (const [attestor, targets] of drawTargets(roster, { ...attack, epoch })) {
      if (isHonest(attestor)) for (const target of targets) caught.add(target);
    }
    return (account) => caught.has(account);
  });
}

/** Epochs until tampered machines that answer nobody but their friends, who affirm them, are suspended. */
export function epochsUntilSuspended(attack: Attack): number[] {
  const say = hiding(attack);
  let roster = rosterOf(attack.members);
  return firstEpochs(attack, tamperedOf(attack), (epoch) => {
    roster = stepEpoch(roster, { ...attack, epoch }, say);
    return (account) => isOut(roster, account);
  });
}

/** Part of the time, in percent, that such machines are suspended in the second half of a long run. */
export function percentSuspended(attack: Attack): number {
  const tampered = tamperedOf(attack);
  let [out, seen] = [0, 0];
  forEachEpoch(attack, hiding(attack), (roster, epoch) => {
    if (epoch * 2 <= attack.epochsMax) return;
    seen += tampered.length;
    out += tampered.filter((account) => isOut(roster, account)).length;
  });
  return (100 * out) / seen;
}

export interface Slandered {
  /** Epochs of victims that they were suspended, in a thousand. */
  readonly suspendedPerMille: number;
  /** Credit of the median victim, and of the median colluder, at the end. */
  readonly creditVictim: number;
  readonly creditColluder: number;
  /** Weight of all colluders, in percent, at first, at most and at the end. */
  readonly weightBefore: number;
  readonly weightMost: number;
  readonly weightAfter: number;
}

/** Colluders call every honest member bad, or one of them, and affirm each other. */
export function slander(attack: Attack, victims: 'all' | 'one'): Slandered {
  const isHonest = honestIn(attack);
  const victim = accountOf(attack.members - 1);
  const isVictim = (account: string) => (victims === 'all' ? isHonest(account) : account === victim);
  const say: Say = (attestor, target) =>
    !isHonest(attestor) && isVictim(target) ? 'contraindicated' : 'affirming';
  let [out, seen, weightMost] = [0, 0, 0];
  let last = rosterOf(attack.members);
  const weightBefore = percentOfWeight(last, isHonest);
  forEachEpoch(attack, say, (roster) => {
    for (const { account } of roster.values()) {
      if (!isVictim(account)) continue;
      seen++;
      if (isOut(roster, account)) out++;
    }
    weightMost = Math.max(weightMost, percentOfWeight(roster, isHonest));
    last = roster;
  });
  const credits = (wanted: (account: string) => boolean) =>
    median([...last.values()].filter(({ account }) => wanted(account)).map(({ credit }) => credit));
  return {
    suspendedPerMille: (1000 * out) / seen,
    creditVictim: credits(isVictim),
    creditColluder: credits((account) => !isHonest(account)),
    weightBefore,
    weightMost,
    weightAfter: percentOfWeight(last, isHonest),
  };
}

/** What one member does with its duties; everybody else is honest. */
export const HABITS = {
  honest: 'does what it should',
  'skips one': 'leaves out one target that it is drawn for, each epoch',
  'skips half': 'leaves out every other target that it is drawn for',
  'skips all': 'reports, and never a result',
  'slanders one': 'calls one good target bad, each epoch',
  'refuses a third': 'answers two of three attestors',
  'refuses half': 'answers every other attestor',
  'refuses all': 'answers nobody',
} as const;
export type Habit = keyof typeof HABITS;

/** Credit of a member of some habit that began at the maximum, and whether it serves, after some epochs. */
export function habitOf(
  habit: Habit,
  setting: Pick<Attack, 'seed' | 'members' | 'expected'>,
  epochs: readonly number[],
): { credit: number; serves: boolean }[] {
  const self = accountOf(0);
  const found: { credit: number; serves: boolean }[] = [];
  let [done, asked] = [0, 0];
  const say: Say = (attestor, target) => {
    if (attestor === self) return sayBy(habit, ++done);
    if (target === self && isRefused(habit, ++asked)) return undefined;
    return 'affirming';
  };
  const epochsMax = Math.max(...epochs);
  const visit = (roster: Roster, epoch: number) => {
    [done, asked] = [0, 0];
    const { credit, confidence } = roster.get(self) as Member;
    if (epochs.includes(epoch)) found.push({ credit, serves: !isSuspended(confidence) });
  };
  forEachEpoch({ ...setting, colluders: 0, epochsMax }, say, visit, CREDIT_MAX);
  return found;
}

function sayBy(habit: Habit, which: number): ReturnType<Say> {
  const isSkipped =
    habit === 'skips all' ||
    (habit === 'skips one' && which === 1) ||
    (habit === 'skips half' && which % 2 === 1);
  if (isSkipped) return undefined;
  return habit === 'slanders one' && which === 1 ? 'contraindicated' : 'affirming';
}

function isRefused(habit: Habit, which: number): boolean {
  return (
    habit === 'refuses all' ||
    (habit === 'refuses half' && which % 2 === 1) ||
    (habit === 'refuses a third' && which % 3 === 2)
  );
}

/** Tampered machines answer honest attestors with silence; colluders affirm everybody. */
function hiding(attack: Attack): Say {
  const tampered = new Set(tamperedOf(attack));
  const isHonest = honestIn(attack);
  return (attestor, target) => (tampered.has(target) && isHonest(attestor) ? undefined : 'affirming');
}

function firstEpochs(
  { epochsMax }: Attack,
  accounts: readonly string[],
  step: (epoch: number) => (account: string) => boolean,
): number[] {
  const first = new Map<string, number>();
  for (let epoch = 1; epoch <= epochsMax && first.size < accounts.length; epoch++) {
    const holds = step(epoch);
    for (const account of accounts) if (!first.has(account) && holds(account)) first.set(account, epoch);
  }
  return accounts.map((account) => first.get(account) ?? epochsMax + 1);
}

function forEachEpoch(
  attack: Attack,
  say: Say,
  visit: (roster: Roster, epoch: number) => void,
  credit?: number,
): void {
  let roster = rosterOf(attack.members, credit);
  for (let epoch = 1; epoch <= attack.epochsMax; epoch++) {
    roster = stepEpoch(roster, { ...attack, epoch }, say);
    visit(roster, epoch);
  }
}

/** Colluders are the first members: their accounts are hashes, so they stand anywhere in the roster. */
function honestIn({ colluders }: Attack): (account: string) => boolean {
  const accounts = new Set(Array.from({ length: colluders }, (_, i) => accountOf(i)));
  return (account) => !accounts.has(account);
}

function tamperedOf({ colluders }: Attack): string[] {
  return Array.from({ length: Math.min(TAMPERED_MAX, Math.max(1, colluders)) }, (_, i) => accountOf(i));
}

function isOut(roster: Roster, account: string): boolean {
  return isSuspended((roster.get(account) as Member).confidence);
}

function percentOfWeight(roster: Roster, isHonest: (account: string) => boolean): number {
  let [colluding, total] = [0, 0];
  for (const { account, credit } of roster.values()) {
    total += weightOf(credit);
    if (!isHonest(account)) colluding += weightOf(credit);
  }
  return (100 * colluding) / total;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
