import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { whole } from '../options.ts';
import { note, print } from '../output.ts';

const EXAMPLE = fileURLToPath(new URL('../../../../examples/private-set-intersection/', import.meta.url));

interface Options {
  nodes: number;
  dir: string;
  listB: string;
  listC: string;
  code?: string;
  entry: string;
  json?: boolean;
  keep?: boolean;
}

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description(
      "the main job, end to end: two owners, a stranger's machine, a common result, a tampered node caught",
    )
    .option('--nodes <N>', 'founding nodes, 5 to 16', whole(5, 16), 5)
    .option('--list-b <FILE>', "B's names, one a line, UTF-8", `${EXAMPLE}names-b.csv`)
    .option('--list-c <FILE>', "C's names, one a line, UTF-8", `${EXAMPLE}names-c.csv`)
    .option('--code <FILE>', "A's function in Python; by default the shipped intersection")
    .option('--entry <NAME>', 'function to call', 'intersect')
    .option('--dir <DIR>', 'where everything of this run lies', '.nemea/demo')
    .option('--json', 'print the report as one JSON line, last on stdout')
    .option('--keep', 'leave the network up')
    .addHelpText('after', '\nExample:\n  nemea demo --list-b mine.txt --list-c theirs.txt --json')
    .action(runDemo);
}

async function runDemo(options: Options): Promise<void> {
  const { Demo } = await import('../demo/demo.ts');
  const { summary } = await import('../demo/summary.ts');
  const demo = new Demo({
    dir: options.dir,
    nodes: options.nodes,
    listB: resolve(options.listB),
    listC: resolve(options.listC),
    code: resolve(options.code ?? `${EXAMPLE}intersect.py`),
    entry: options.entry,
    isIntersection: options.code === undefined,
    keep: options.keep === true,
  });
  const stop = () => void demo.net.down().then(() => process.exit(130));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  let ok = false;
  try {
    const report = await demo.run();
    ok = report.ok;
    note('');
    note(summary(report, demo.net.paths.report));
    if (options.json === true) print(options, report, '');
    else print(options, report, ok ? 'every check held' : 'a check did NOT hold');
  } finally {
    if (options.keep === true && ok) {
      const { dir, network } = demo.net.paths;
      note(`\nThe network is up. Look:  npm run nemea -- devnet status --dir ${dir}`);
      note(
        `Check the report:         npm run nemea -- verify ${demo.net.paths.report} --rpc ${demo.net.network.rpcUrl}`,
      );
      note(`Network file:             ${network}`);
      note(`Stop it:                  npm run nemea -- devnet down --dir ${dir}`);
    } else {
      await demo.net.down();
    }
  }
  process.exit(ok ? 0 : 1);
}
