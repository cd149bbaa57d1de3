/**
 * `npm run simulate -- --seeds N --minutes M [--first SEED] [--bug NAME] [--trace]`: runs the swarm on all cores. Ends
 * with one line, and with exit code 1 when a seed failed. `--bug list` names the bugs that can be switched on.
 */
import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describePlan } from '../faults/plan.ts';
import { BUGS, mutate, readSource } from './bugs.ts';
import type { RunResult } from './simulation.ts';
import { Tally } from './tally.ts';

/** A seed that takes longer hangs, or as good as hangs. */
const SEED_TIMEOUT_MS = 10 * 60_000;

interface Options {
  readonly seeds: number;
  readonly minutes: number;
  readonly first: number;
  readonly bug: string | undefined;
  readonly jobs: number;
}

type Report = { ready: true } | { result: RunResult } | { seed: string; error: string };

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      minutes: { type: 'string', default: '60' },
      first: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      bug: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  });
  if (values.bug === 'list') {
    for (const { name } of BUGS) console.log(name);
    return 0;
  }
  const bug = BUGS.find(({ name }) => name === values.bug);
  if (values.bug !== undefined && bug === undefined) {
    console.error(`no bug is called ${values.bug}; --bug list names them`);
    return 2;
  }
  // One that went out of date breaks every worker, which must not count as found.
  if (bug !== undefined) mutate(bug, readSource(bug));
  const options: Options = {
    seeds: integer('seeds', values.seeds),
    minutes: integer('minutes', values.minutes),
    first: integer('first', values.first),
    jobs: integer('jobs', values.jobs),
    bug: values.bug,
  };
  if (values.trace) return await traceSeeds(options);
  return await runSwarm(options);
}

function integer(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name}: got ${text}, want a number from 1 on`);
  return value;
}

/** Hands seeds to workers until they are used up, time is up, or a switched-on bug was found. */
async function runSwarm(options: Options): Promise<number> {
  const startMs = performance.now();
  const deadlineMs = startMs + options.minutes * 60_000;
  const tally = new Tally();
  let next = options.first;
  const isOver = (): boolean =>
    next >= options.first + options.seeds ||
    performance.now() > deadlineMs ||
    (options.bug !== undefined && tally.failures > 0);
  const work = async (): Promise<void> => {
    let worker: ChildProcess | undefined;
    while (!isOver()) {
      const seed = String(next++);
      worker ??= startWorker(options.bug);
      const report = await runOn(worker, seed);
      if ('result' in report) {
        tally.add(report.result);
        if (report.result.violation !== undefined) explain(report.result, options.bug);
      } else if ('error' in report) {
        tally.addBroken();
        console.error(
          `seed ${seed} ended without a result: ${report.error}\n  replay: ${replayOf(seed, options.bug)}`,
        );
        worker.kill('SIGKILL');
        worker = undefined;
      }
      if (tally.seeds % 20 === 0) console.error(`${tally.seeds} seeds, ${tally.failures} failures so far`);
    }
    worker?.kill();
  };
  await Promise.all(Array.from({ length: Math.min(options.jobs, options.seeds) }, work));
  if (options.bug !== undefined) {
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
    console.log(`bug ${options.bug}: ${tally.failures > 0 ? `found in ${seconds} s` : 'not found'}`);
  }
  console.log(tally.line());
  return tally.failures > 0 ? 1 : 0;
}

function startWorker(bug: string | undefined): ChildProcess {
  return fork(join(import.meta.dirname, 'worker.ts'), [], preload(bug));
}

function preload(bug: string | undefined): ForkOptions {
  const serialization = 'advanced';
  if (bug === undefined) return { serialization };
  const hooks = new URL('./load-bug.ts', import.meta.url).href;
  const env = { ...process.env, NEMEA_SIMULATE_BUG: bug };
  return { serialization, execArgv: ['--import', hooks], env };
}

function runOn(worker: ChildProcess, seed: string): Promise<Report> {
  return new Promise((resolve) => {
    const end = (report: Report): void => {
      clearTimeout(timer);
      worker.off('message', onMessage);
      worker.off('exit', onExit);
      resolve(report);
    };
    const onMessage = (report: Report): void => {
      if (!('ready' in report)) end(report);
    };
    const onExit = (code: number | null, signal: string | null): void =>
      end({ seed, error: `the worker ended: ${code ?? signal}` });
    const timer = setTimeout(
      () => end({ seed, error: `no end after ${SEED_TIMEOUT_MS} ms` }),
      SEED_TIMEOUT_MS,
    );
    worker.on('message', onMessage);
    worker.on('exit', onExit);
    worker.send(seed);
  });
}

function explain({ seed, plan, violation, lastLines }: RunResult, bug: string | undefined): void {
  console.error(`\nseed ${seed} fails: ${violation?.checker}: ${violation?.detail}`);
  console.error(`  ${describePlan(plan)}`);
  for (const line of lastLines.slice(-20)) console.error(`  ${line.slice(0, 180)}`);
  console.error(`  replay: ${replayOf(seed, bug)}`);
}

function replayOf(seed: string, bug: string | undefined): string {
  return `npm run simulate -- --seeds 1 --first ${seed}${bug === undefined ? '' : ` --bug ${bug}`} --trace`;
}

/** Runs seeds in a process of their own each, and prints every line of their traces. */
async function traceSeeds({ first, seeds, bug }: Options): Promise<number> {
  let failures = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const child = fork(join(import.meta.dirname, 'trace.ts'), [String(seed)], preload(bug));
    const code = await new Promise<number>((resolve) => child.once('exit', (exit) => resolve(exit ?? 1)));
    if (code !== 0) failures++;
  }
  return failures > 0 ? 1 : 0;
}

process.exitCode = await main();
