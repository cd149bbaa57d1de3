/**
 * `npm run simulate:juries`: what colluding members can do to juries, as tables in docs/juries.md. From seeds alone: every
 * run writes the same bytes. Takes some minutes.
 */
import { join } from 'node:path';
import { replaceBlock } from './juries/block.ts';
import { FULL, reportJuries } from './juries/report.ts';

const tables = reportJuries(FULL, (line) => process.stderr.write(`${line}\n`));
replaceBlock(join(import.meta.dirname, '..', 'docs', 'juries.md'), 'juries', tables);
process.stdout.write(`${tables}\n`);
