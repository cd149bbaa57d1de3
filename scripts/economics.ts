/**
 * `npm run economics`: what an attack costs against what it gains, as docs/economics.svg and a table in docs/economics.md. Nothing is
 * measured or drawn by lot: every run writes the same bytes.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { economicsPlot, economicsTable } from './economics/report.ts';
import { replaceBlock } from './juries/block.ts';

const docs = join(import.meta.dirname, '..', 'docs');
writeFileSync(join(docs, 'economics.svg'), economicsPlot());
replaceBlock(join(docs, 'economics.md'), 'economics', economicsTable());
process.stdout.write(`${economicsTable()}\n`);
