import { performance } from 'node:perf_hooks';
import { isAsSpecified, type Outcome, type Row } from './matrix/row.ts';
import { rows } from './matrix/rows.ts';

/**
 * Runs the negative matrix and prints it: what was done to which artefact, who refuses it, and by which code. Ends with 1
 * when a row is not as specified, or when the honest artefact that it starts from is not accepted.
 */
const widths = { number: 4, artefact: 25, change: 66, by: 23, expected: 31, got: 31 };

function line(cells: Record<keyof typeof widths, string>, rule: string): string {
  const padded = Object.entries(widths).map(([name, width]) =>
    cells[name as keyof typeof widths].padEnd(width),
  );
  return [...padded, rule].join(' ').trimEnd();
}

function describe(row: Row, number: number, { honest, got }: Outcome): string {
  const { artefact, change, by, expected, rule } = row;
  const shown = honest === 'OK' ? got : `honest: ${honest}`;
  return line({ number: String(number), artefact, change, by, expected, got: shown }, rule);
}

/** A judge that throws anything but a coded error has failed: what it was given may come from anybody. */
function thrown(error: unknown): Outcome {
  return { honest: 'OK', got: `threw ${error instanceof Error ? error.message : String(error)}` };
}

const start = performance.now();
console.log(
  line(
    {
      number: '#',
      artefact: 'artefact',
      change: 'what was done to it',
      by: 'who judges',
      expected: 'specified',
      got: 'got',
    },
    'rule',
  ),
);
let refused = 0;
let accepted = 0;
let failed = 0;
for (const [i, row] of rows.entries()) {
  const outcome = await row.run().catch(thrown);
  const mark = isAsSpecified(row, outcome) ? '' : '  FAILED';
  console.log(`${describe(row, i + 1, outcome)}${mark}`);
  if (mark !== '') failed++;
  else if (row.expected === 'OK') accepted++;
  else refused++;
}
console.log(
  `${Math.round(performance.now() - start)} ms; accepted as specified: ${accepted} rows whose change must not matter`,
);
console.log(`${rows.length} rows, ${refused} refused as specified, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
