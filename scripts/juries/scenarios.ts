import { isSuspended, type Member, type Roster, weightOf } from '@nemea/membership';
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
 * Epochs for which each of some tampered machines goes uncaught while it answers whoever is drawn for it: the first honest attestor that is
 * holds its own TPM's evidence against it, and every member judges that again.
 */
export function epochsUntilEvicted(attack: Attack): number[] {
  const roster = rosterOf(attack.members);
  const tampered = tamperedOf(attack);
  const isHonest = honestIn(attack);
  const caught = new Map<string, number>();
  for (let epoch = 1; epoch <= attack.epochsMax && caught.size < tampered.length; epoch++) {
    for (const [attestor, targets] of drawTargets(roster, { ...attack, epoch })) {
      if (!isHonest(attestor)) continue;
      for (const target of targets)
        if (tampered.includes(target) && !caught.has(target)) caught.set(target, epoch);
    }
  }
  return tampered.map((account) => caught.get(account) ?? attack.epochsMax + 1);
}

/** Epochs until tampered machines that answer nobody but their friends, who affirm them, are suspended. */
export function epochsUntilSuspended(attack: Attack): number[] {
  const tampered = tamperedOf(attack);
  const isHonest = honestIn(attack);
  const say: Say = (attestor, target) =>
    tampered.includes(target) && isHonest(attestor) ? undefined : 'affirming';
  const suspended = new Map<string, number>();
  let roster = rosterOf(attack.members);
  for (let epoch = 1; epoch <= attack.epochsMax && suspended.size < tampered.length; epoch++) {
    roster = stepEpoch(roster, { ...attack, epoch }, say);
    for (const account of tampered) {
      if (isOut(roster, account) && !suspended.has(account)) suspended.set(account, epoch);
    }
  }
  return tampered.map((account) => suspended.get(account) ?? attack.epochsMax + 1);
}

/** Part of the time, in percent, that such machines are suspended in the second half of a long run: they cannot come back. */
export function percentSuspended(attack: Attack): number {
  const tampered = tamperedOf(attack);
  const isHonest = honestIn(attack);
  const say: Say = (attestor, target) =>
    tampered.includes(target) && isHonest(attestor) ? undefined : 'affirming';
  let [out, seen] = [0, 0];
  forEachEpoch(attack, say, (roster, epoch) => {
    if (epoch * 2 <= attack.epochsMax) return;
    seen += tampered.length;
    out += tampered.filter((account) => isOut(roster, account)).length;
  });
  return (100 * out) / seen;
}

export interface Slandered {
  /** Epochs of honest members that they were suspended, in a thousand. */
  readonly suspendedPerMille: number;
  /** Credit of the median honest member, and of the median colluder, at the end. */
  readonly creditHonest: number;
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
    creditHonest: credits(isVictim),
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
  'refuses a third': 'answers all attestors but every third',
  'refuses half': 'answers every other attestor',
  'refuses all': 'answers nobody',
} as const;
export type Habit = keyof typeof HABITS;

/** Credit of a member of some habit, and whether it serves, after some epochs. */
export function habitOf(
  habit: Habit,
  setting: Pick<Attack, 'seed' | 'members' | 'expected'>,
  epochs: readonly number[],
): { credit: number; serves: boolean }[] {
  const self = accountOf(0);
  const found: { credit: number; serves: boolean }[] = [];
  let done = 0;
  let asked = 0;
  const say: Say = (attestor, target) => {
    if (attestor === self) {
      done++;
      if (habit === 'skips all') return undefined;
      if (habit === 'skips one' && done === 1) return undefined;
      if (habit === 'skips half' && done % 2 === 1) return undefined;
      if (habit === 'slanders one' && done === 1) return 'contraindicated';
    }
    if (target === self) {
      asked++;
      if (habit === 'refuses all') return undefined;
      if (habit === 'refuses half' && asked % 2 === 1) return undefined;
      if (habit === 'refuses a third' && asked % 3 === 2) return undefined;
    }
    return 'affirming';
  };
  const epochsMax = Math.max(...epochs);
  forEachEpoch(
    { ...setting, colluders: 0, epochsMax },
    (...args) => say(...args),
    (roster, epoch) => {
      done = 0;
      asked = 0;
      const member = roster.get(self) as Member;
      if (epochs.includes(epoch)) {
        found.push({ credit: member.credit, serves: !isSuspended(member.confidence) });
      }
    },
  );
  return found;
}

function forEachEpoch(attack: Attack, say: Say, visit: (roster: Roster, epoch: number) => void): void {
  let roster = rosterOf(attack.members);
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
  const rising = values.toSorted((a, b) => a - b);
  return rising[Math.floor(rising.length / 2)] ?? 0;
}
