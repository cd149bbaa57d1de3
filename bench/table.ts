import type { Environment } from './environment.ts';
import type { Samples } from './measure.ts';
import type { Row, Target, Unit } from './row.ts';

export const HEADINGS = ['measured', 'value', 'spread', 'beside it, in the same run', 'ratio', 'target', ''];

export function formatTable(rows: readonly Row[]): string {
  const lines = rows.map(cellsOf);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...lines.map((line) => (line[column] ?? '').length)),
  );
  const format = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const out = [
    format(HEADINGS),
    widths
      .map((width) => '-'.repeat(width))
      .join('  ')
      .trimEnd(),
  ];
  let group = '';
  for (const [index, row] of rows.entries()) {
    if (row.group !== group) out.push(`${row.group}`);
    group = row.group;
    out.push(format(lines[index] ?? []));
  }
  return out.join('\n');
}

/** How many targets the run met, and by name which it did not. */
export function formatTargets(rows: readonly Row[]): string {
  const met = rows.filter(({ isMet }) => isMet === true).length;
  const missed = rows.filter(({ isMet }) => isMet === false);
  const names = missed.map(({ group, own }) => `${group}: ${own.name}`).join('; ');
  return `targets: ${met} met, ${missed.length} NOT MET${names === '' ? '' : ` (${names})`}`;
}

export function formatEnvironment(environment: Environment): string {
  const { waitingShare } = environment;
  const waiting =
    waitingShare === null ? '' : `, work waited for a processor ${percent(waitingShare)} of the time`;
  return [
    `${environment.date} UTC, commit ${environment.commit}`,
    `Node ${environment.node}, OpenSSL ${environment.openssl}, ${environment.processor}, ${environment.cores} cores, ${environment.memoryGb} GB`,
    `load ${environment.loadBefore.toFixed(1)} before, ${environment.loadAfter.toFixed(1)} after${waiting}`,
    'value: median of the repeats; spread: (largest - smallest) / median; rates count per CPU-second, times are wall time',
  ].join('\n');
}

/** One row under `HEADINGS`. */
export function cellsOf(row: Row): string[] {
  const { own, peer, unit } = row;
  return [
    `  ${own.name}`,
    formatValue(own.samples.median, unit),
    formatSpread(own.samples),
    peer === null
      ? ''
      : `${peer.name}: ${formatValue(peer.samples.median, unit)} (${formatSpread(peer.samples)})`,
    row.ratio === null ? '' : formatRatio(row.ratio, unit),
    row.target === null ? '' : formatTarget(row.target, unit),
    row.isMet === null ? '' : row.isMet ? 'met' : 'NOT MET',
  ];
}

export function formatValue(value: number, unit: Unit): string {
  switch (unit) {
    case 'perS':
      return `${value < 100 ? value.toPrecision(3) : Math.round(value).toLocaleString('en')}/s`;
    case 'gbPerS':
      return `${value.toFixed(2)} GB/s`;
    case 'ms':
      return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
    case 's':
      return `${value.toFixed(2)} s`;
    case 'mb':
      return `${value.toFixed(0)} MB`;
    case 'bytes':
      return `${Math.round(value).toLocaleString('en')} B`;
    case 'gas':
      return `${Math.round(value / 1000)}k gas`;
  }
}

/** Rates are a share of their limit; costs are a multiple of their peer's. */
function formatRatio(ratio: number, unit: Unit): string {
  if (unit === 'perS' || unit === 'gbPerS') return percent(ratio);
  return `${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio).toLocaleString('en')}x`;
}

function formatTarget({ of, atLeast, atMost }: Target, unit: Unit): string {
  const format = (value: number): string =>
    of === 'ratio' ? formatRatio(value, unit) : formatValue(value, unit);
  return atLeast === undefined ? `<= ${format(atMost ?? Number.NaN)}` : `>= ${format(atLeast)}`;
}

function formatSpread({ median, min, max }: Samples): string {
  return max === min ? '1 sample' : percent((max - min) / median);
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
