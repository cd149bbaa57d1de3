/**
 * `npm run scale`: rosters, juries and credit from a hundred nodes to a million, and ten thousand with real proofs and signatures;
 * tables into docs/scale.md, and a plot beside it. Counts follow from seeds; times are CPU seconds of this machine. Takes some minutes.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceBlock } from './juries/block.ts';
import {
  catchTable,
  measureCatches,
  measureSizes,
  scalePlot,
  signedTable,
  sizeTable,
} from './scale/report.ts';
import { runSignedEpoch } from './scale/signed.ts';

const tell = (line: string): void => void process.stderr.write(`${line}\n`);
const signed = signedTable(runSignedEpoch(10_000, tell));
const sizes = measureSizes(tell);
const caught = measureCatches(20_000, tell);
const tables = [
  '### From a hundred nodes to a million, a hash in place of the VRF',
  sizeTable(sizes),
  '',
  '### Ten thousand nodes with real VRF proofs and signatures',
  signed,
  '',
  '### Epochs until a tampered node that answers is caught: mean (by theory) / 99.9 %',
  catchTable(caught),
].join('\n');
const docs = join(import.meta.dirname, '..', 'docs');
writeFileSync(join(docs, 'scale.svg'), scalePlot(sizes, caught));
replaceBlock(join(docs, 'scale.md'), 'scale', tables);
process.stdout.write(`${tables}\n`);
