import {
  epochsUntilEvicted,
  epochsUntilSuspended,
  HABITS,
  type Habit,
  habitOf,
  percentSuspended,
  slander,
} from './scenarios.ts';

/** The tables of docs/juries.md, from seeds alone. */

export interface Extent {
  readonly members: number;
  readonly juries: readonly number[];
  /** Colluders, in percent of the weight. */
  readonly percents: readonly number[];
  readonly seeds: number;
  /** Epochs of a long run. */
  readonly epochs: number;
}

export const FULL: Extent = {
  members: 120,
  juries: [3, 5, 8, 16],
  percents: [0, 10, 20, 33],
  seeds: 16,
  epochs: 600,
};

/** Longer than any machine stayed: whoever is not caught by then shows as more. */
const EPOCHS_CAUGHT_MAX = 400;
const HABIT_EPOCHS = [10, 100, 600];

export function reportJuries(extent: Extent, tell: (line: string) => void = () => {}): string {
  return [
    '### How long a tampered machine stays',
    ...caughtTable(extent, tell),
    '',
    '### What slander by colluders does to honest members',
    ...slanderTable(extent, tell),
    '',
    '### What neglect costs',
    ...habitTable(extent, tell),
  ].join('\n');
}

function caughtTable(extent: Extent, tell: (line: string) => void): string[] {
  const { members, epochs } = extent;
  const lines = [
    '| expected jury | colluders | answers: evicted after, mean / 99 % / most | hides: suspended after, mean / 99 % / most | hides: then suspended |',
    '|---|---|---|---|---|',
  ];
  for (const expected of extent.juries) {
    for (const percent of extent.percents) {
      const colluders = countOf(members, percent);
      const attack = { members, colluders, expected, epochsMax: EPOCHS_CAUGHT_MAX };
      const over = (run: (it: typeof attack & { seed: string }) => number[]) =>
        seedsOf(extent).flatMap((seed) => run({ ...attack, seed }));
      const out = percentSuspended({ ...attack, seed: 'long', epochsMax: epochs });
      lines.push(
        `| ${expected} | ${percent} % | ${spread(over(epochsUntilEvicted))} | ${spread(over(epochsUntilSuspended))} | ${out.toFixed(1)} % of the time |`,
      );
      tell(lines.at(-1) as string);
    }
  }
  return lines;
}

function slanderTable(extent: Extent, tell: (line: string) => void): string[] {
  const { members, epochs: epochsMax } = extent;
  const lines = [
    '| expected jury | colluders | victims | suspended | credit of a victim / a colluder at the end | weight of the colluders: before, most, after |',
    '|---|---|---|---|---|---|',
  ];
  for (const expected of extent.juries) {
    for (const percent of extent.percents.filter((it) => it >= 20)) {
      for (const victims of ['all', 'one'] as const) {
        const attack = {
          seed: 'slander',
          members,
          colluders: countOf(members, percent),
          expected,
          epochsMax,
        };
        const it = slander(attack, victims);
        const weights = [it.weightBefore, it.weightMost, it.weightAfter].map(
          (weight) => `${weight.toFixed(1)} %`,
        );
        lines.push(
          `| ${expected} | ${percent} % | ${victims} | ${(it.suspendedPerMille / 10).toFixed(2)} % of epochs | ${it.creditVictim} / ${it.creditColluder} | ${weights.join(', ')} |`,
        );
        tell(lines.at(-1) as string);
      }
    }
  }
  return lines;
}

function habitTable({ members, epochs }: Extent, tell: (line: string) => void): string[] {
  const shown = HABIT_EPOCHS.filter((it) => it <= epochs);
  const lines = [
    `| a member that | ${shown.map((epoch) => `credit after ${epoch}`).join(' | ')} | serves at the end |`,
    `|---|${shown.map(() => '---|').join('')}---|`,
  ];
  for (const habit of Object.keys(HABITS) as Habit[]) {
    const found = habitOf(habit, { seed: 'habit', members, expected: 3 }, shown);
    const credits = found.map(({ credit }) => credit).join(' | ');
    lines.push(`| ${HABITS[habit]} | ${credits} | ${found.at(-1)?.serves ? 'yes' : 'no, suspended'} |`);
    tell(lines.at(-1) as string);
  }
  return lines;
}

/** Whole members that weigh no more than a share; for a third, less than it. */
export function countOf(members: number, percent: number): number {
  return Math.min(Math.floor((members * percent) / 100), Math.ceil(members / 3) - 1);
}

function seedsOf({ seeds }: Extent): string[] {
  return Array.from({ length: seeds }, (_, i) => `seed ${i + 1}`);
}

function spread(epochs: readonly number[]): string {
  const rising = epochs.toSorted((a, b) => a - b);
  const mean = rising.reduce((sum, it) => sum + it, 0) / rising.length;
  const show = (it: number) => (it > EPOCHS_CAUGHT_MAX ? `> ${EPOCHS_CAUGHT_MAX}` : String(it));
  const high = rising[Math.ceil(rising.length * 0.99) - 1] as number;
  return `${mean.toFixed(1)} / ${show(high)} / ${show(rising.at(-1) as number)}`;
}
