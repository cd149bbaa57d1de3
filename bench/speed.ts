/**
 * `npm run speed`: agreement beside etcd, as docs/speed.svg and a table in docs/speed.md. Takes some minutes; every run
 * measures anew.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Plot, renderPlots } from '../scripts/economics/plot.ts';
import { replaceBlock } from '../scripts/juries/block.ts';
import { type Environment, observeMachine } from './environment.ts';
import type { LoadResult } from './loopback/load.ts';
import { type Level, measureTrial } from './loopback/trial.ts';
import { FULL_TRIAL, rowsOf } from './loopback.bench.ts';
import { summarize } from './measure.ts';
import { cellsOf, formatEnvironment, formatTable, formatTargets, HEADINGS } from './table.ts';

const docs = join(import.meta.dirname, '..', 'docs');
const finish = observeMachine();
const trial = await measureTrial(FULL_TRIAL);
const rows = rowsOf(trial);
const environment = finish();
writeFileSync(
  join(docs, 'speed.svg'),
  renderPlots([latencyPlot(trial.levels), throughputPlot(trial.levels)]),
);
replaceBlock(join(docs, 'speed.md'), 'speed', [markdown(), '', machine(environment)].join('\n'));
process.stdout.write(`${formatTable(rows)}\n\n${formatTargets(rows)}\n${formatEnvironment(environment)}\n`);

function markdown(): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.trim()).join(' | ')} |`;
  return [line(HEADINGS), line(HEADINGS.map(() => '---')), ...rows.map((row) => line(cellsOf(row)))].join(
    '\n',
  );
}

function machine({
  date,
  commit,
  node,
  processor,
  cores,
  loadBefore,
  loadAfter,
  waitingShare,
}: Environment): string {
  const waiting =
    waitingShare === null
      ? ''
      : `, work waited for a processor ${Math.round(100 * waitingShare)} % of the time`;
  return (
    `Measured on ${date} UTC at commit ${commit}: Node ${node}, ${processor}, ${cores} cores shared with other work, ` +
    `load ${loadBefore.toFixed(1)} before and ${loadAfter.toFixed(1)} after${waiting}.`
  );
}

function latencyPlot(levels: readonly Level[]): Plot {
  const results = levels.flatMap(({ own, etcd }) => [...own, ...etcd]);
  return {
    title: 'How long a put takes, by clients at once (median)',
    x: clientAxis(levels),
    y: { label: 'milliseconds', isLog: true, ...powersAround(results.map(({ p50Ms }) => p50Ms)) },
    lines: lines(levels, ({ p50Ms }) => p50Ms),
  };
}

function throughputPlot(levels: readonly Level[]): Plot {
  const results = levels.flatMap(({ own, etcd }) => [...own, ...etcd]);
  return {
    title: 'Puts in a second, by clients at once (median)',
    x: clientAxis(levels),
    y: { label: 'puts in a second', isLog: true, ...powersAround(results.map(({ perS }) => perS)) },
    lines: lines(levels, ({ perS }) => perS),
  };
}

function lines(levels: readonly Level[], pick: (result: LoadResult) => number): Plot['lines'] {
  const points = (of: 'own' | 'etcd') =>
    levels.map((level) => [level.clients, summarize(level[of].map(pick)).median] as const);
  return [
    { name: 'four replicas, signed by bundle', points: points('own') },
    { name: `three members of etcd ${trial.etcdVersion}`, points: points('etcd') },
  ];
}

function clientAxis(levels: readonly Level[]): Plot['x'] {
  const max = Math.max(...levels.map(({ clients }) => clients));
  return { label: 'clients at once', max, ticks: [1, max / 4, max / 2, (3 * max) / 4, max] };
}

function powersAround(values: readonly number[]): { min: number; max: number; ticks: number[] } {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.ceil(Math.log10(Math.max(...values)));
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  return { min: 10 ** low, max: 10 ** high, ticks };
}
