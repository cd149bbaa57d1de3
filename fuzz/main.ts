/**
 * `npm run fuzz`: coverage-guided search for bytes that break a parser. Reads README.md for what a target promises.
 *
 * --seconds N        for each target (60)
 * --target NAME      only this one, or all of a group; may be repeated
 * --jobs N           how many at a time (1)
 * --seed N           of the random choices; printed, so that a run can be repeated
 * --list             names the targets
 * --repro FILE       runs one input through the one target and says what it does
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { sha256, toHex } from '@nemea/core';
import { checkInput, type Outcome } from './check.ts';
import { measure } from './cost.ts';
import { type Report, runTarget } from './run.ts';
import type { Target } from './target.ts';
import { loadTarget, loadTargets } from './targets/index.ts';

const ROOT = join(import.meta.dirname, '..');
const STATE = join(ROOT, '.nemea', 'fuzz');
const SECONDS = 60;
const COLUMNS = ['executions', 'per s', 'accepted', 'corpus', 'blocks', 'findings'];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: String(SECONDS) },
      target: { type: 'string', multiple: true },
      jobs: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      list: { type: 'boolean', default: false },
      repro: { type: 'string' },
    },
  });
  const names = selectTargets(await loadTargets(), values.target);
  if (values.list) return console.log(names.join('\n'));
  if (values.repro !== undefined) return reproduce(await loadTarget(onlyOne(names)), values.repro);

  const options = { seconds: positive(values.seconds), seed: Number(values.seed) };
  console.log(`seed ${options.seed}, ${options.seconds} s each`);
  console.log(line('target', COLUMNS));
  const totals = { executions: 0, findings: 0 };
  const waiting = [...names];
  const work = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const report = await runTarget({ ...options, target: name, corpus: join(STATE, 'corpus', name) });
      totals.executions += report.executions;
      totals.findings += report.findings.length;
      print(name, report);
    }
  };
  await Promise.all(Array.from({ length: positive(values.jobs) }, work));
  console.log(`${names.length} targets, ${totals.executions} executions, ${totals.findings} findings`);
  if (totals.findings > 0) process.exitCode = 1;
}

function selectTargets(targets: readonly Target[], wanted: readonly string[] | undefined): string[] {
  const all = targets.map(({ name }) => name);
  if (wanted === undefined) return all;
  return wanted.flatMap((want) => {
    const chosen = all.filter((name) => name === want || name.startsWith(`${want}/`));
    if (chosen.length === 0) throw new Error(`no target ${want}: see --list`);
    return chosen;
  });
}

function onlyOne(names: readonly string[]): string {
  const [name] = names;
  if (name === undefined || names.length > 1) throw new Error('--repro needs the one --target');
  return name;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`got ${text}, want a number above 0`);
  return value;
}

function print(name: string, report: Report): void {
  const { executions, accepted, corpus, blocks, seconds, findings } = report;
  const values = [executions, Math.round(executions / seconds), accepted, corpus, blocks, findings.length];
  console.log(line(name, values));
  for (const { message, input } of findings) {
    const file = join(STATE, name, toHex(sha256(input).subarray(0, 8)));
    mkdirSync(join(STATE, name), { recursive: true });
    writeFileSync(file, input);
    console.log(`  ${message}\n  npm run fuzz -- --target ${name} --repro ${relative(ROOT, file)}`);
  }
}

function line(name: string, values: readonly (string | number)[]): string {
  return name.padEnd(32) + values.map((value) => String(value).padStart(11)).join('');
}

/** In this thread and on plain code: places are those of the source, and a debugger can stop in it. */
function reproduce(target: Target, file: string): void {
  const input = Uint8Array.from(readFileSync(file));
  let outcome: Outcome = 'accepted';
  const cost = measure(() => {
    outcome = checkInput(target, input);
  });
  console.log(`${input.length} bytes, ${cost.cpuMs.toFixed(1)} ms, ${cost.allocatedBytes} bytes allocated`);
  console.log(outcome);
  if (typeof outcome !== 'string') process.exitCode = 1;
}

await main();
