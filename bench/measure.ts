/** One thing to measure: does some work and tells how many units of it. */
export type Work = () => number | Promise<number>;

/** Samples of one contestant, each in units per second. */
export interface Samples {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface MeasureOptions {
  /** `cpu`: units per CPU-second of this process, for computing. `wall`: per second of real time, for waiting. */
  readonly clock: 'cpu' | 'wall';
  readonly repeats: number;
  /** Each sample repeats its work for at least this long. */
  readonly sampleMs: number;
}

export const COMPUTING: MeasureOptions = { clock: 'cpu', repeats: 7, sampleMs: 250 };

/**
 * Measures the contestants in turn, round after round, so that a noisy neighbour hits all of them alike. The first
 * round warms up and does not count.
 */
export async function race<Name extends string>(
  contestants: Readonly<Record<Name, Work>>,
  options: MeasureOptions,
): Promise<Record<Name, Samples>> {
  const names = Object.keys(contestants) as Name[];
  const rates = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round <= options.repeats; round++) {
    for (const name of names) {
      const rate = await sample(contestants[name], options);
      if (round > 0) rates.get(name)?.push(rate);
    }
  }
  return Object.fromEntries(names.map((name) => [name, summarize(rates.get(name) ?? [])])) as Record<
    Name,
    Samples
  >;
}

/** Units per second of the chosen clock. */
async function sample(work: Work, { clock, sampleMs }: MeasureOptions): Promise<number> {
  const startMs = nowMs(clock);
  let units = 0;
  let elapsedMs = 0;
  while (elapsedMs < sampleMs) {
    units += await work();
    elapsedMs = nowMs(clock) - startMs;
  }
  return (units * 1000) / elapsedMs;
}

function nowMs(clock: MeasureOptions['clock']): number {
  if (clock === 'wall') return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export function summarize(values: readonly number[]): Samples {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    min: at(0),
    max: at(sorted.length - 1),
  };
}
