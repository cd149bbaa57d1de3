#!/usr/bin/env node
import { endQuietlyOnBrokenPipe, fail } from './output.ts';
import { createProgram } from './program.ts';

const NODE_MAJOR_MIN = 24;

const major = Number(process.versions.node.split('.')[0]);
if (major < NODE_MAJOR_MIN) {
  process.stderr.write(
    `nemea needs Node ${NODE_MAJOR_MIN}; this is ${process.versions.node}. Use \`npm run nemea -- ...\`, which brings its own.\n`,
  );
  process.exit(1);
}

endQuietlyOnBrokenPipe();
createProgram().parseAsync().catch(fail);
