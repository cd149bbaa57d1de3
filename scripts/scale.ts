/**
 * `npm run scale`: rosters, juries and credit from a hundred nodes to a million, and ten thousand with real proofs and signatures;
 * tables into docs/scale.md. Counts follow from seeds; times are CPU seconds of this machine. Takes some minutes.
 */
import { join } from 'node:path';
import { replaceBlock } from './juries/block.ts';
import { catchTable, signedTable, sizeTable } from './scale/report.ts';
import { runSignedEpoch } from './scale/signed.ts';

const tell = (line: string): void => void process.stderr.write(`${line}\n`);
const signed = signedTable(runSignedEpoch(10_000, tell));
const sizes = sizeTable(tell).table;
const caught = catchTable(20_000, tell);
const tables = [
  '### From a hundred nodes to a million, a hash in place of the VRF',
  sizes,
  '',
  '### Ten thousand nodes with real VRF proofs and signatures',
  signed,
  '',
  '### Epochs until a tampered node that answers is caught: mean (by theory) / 99.9 %',
  caught,
].join('\n');
replaceBlock(join(import.meta.dirname, '..', 'docs', 'scale.md'), 'scale', tables);
process.stdout.write(`${tables}\n`);
