/**
 * `npm run bench`: one table of ratios, measured side by side in one run. Reads README.md for what each line means.
 */
import { parseArgs } from 'node:util';
import { observeMachine } from './environment.ts';
import type { Row } from './row.ts';
import { formatEnvironment, formatTable, formatTargets } from './table.ts';

type Bench = () => Promise<Row[]>;

/** Each is loaded when it runs, so that none weighs on another. */
const QUICK: Readonly<Record<string, () => Promise<Bench>>> = {
  quote: async () => (await import('./quote.bench.ts')).benchQuote,
  tpm: async () => (await import('./tpm.bench.ts')).benchTpm,
  eventlog: async () => (await import('./eventlog.bench.ts')).benchEventLog,
  ima: async () => (await import('./ima.bench.ts')).benchIma,
  vrf: async () => (await import('./vrf.bench.ts')).benchVrf,
  sessions: async () => (await import('./sessions.bench.ts')).benchSessions,
  capsule: async () => (await import('./capsule.bench.ts')).benchCapsule,
  consensus: async () => (await import('./consensus.bench.ts')).benchConsensus,
  certificate: async () => (await import('./certificate.bench.ts')).benchCertificates,
  sandbox: async () => (await import('./sandbox.bench.ts')).benchSandbox,
};
const NETWORK: typeof QUICK = {
  network: async () => (await import('./network.bench.ts')).benchNetwork,
};
const PEERS: typeof QUICK = {
  loopback: async () => (await import('./loopback.bench.ts')).benchLoopback,
};
const ALL = { ...QUICK, ...NETWORK, ...PEERS };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      network: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  if (values.list) {
    process.stdout.write(`${Object.keys(ALL).join('\n')}\n`);
    return;
  }
  const names = values.only ?? Object.keys(values.network ? ALL : QUICK);
  const chosen = names.map((name) => {
    const load = ALL[name];
    if (load === undefined)
      throw new NoSuchBench(`no benchmark ${name}: choose from ${Object.keys(ALL).join(', ')}`);
    return { name, load };
  });
  const finish = observeMachine();
  const rows: Row[] = [];
  for (const { name, load } of chosen) {
    process.stderr.write(`${name} ...\n`);
    const bench = await load();
    rows.push(...(await bench()));
  }
  const environment = finish();
  if (values.json) process.stdout.write(`${JSON.stringify({ environment, rows })}\n`);
  else
    process.stdout.write(
      `${formatTable(rows)}\n\n${formatTargets(rows)}\n${formatEnvironment(environment)}\n`,
    );
}

class NoSuchBench extends Error {}

await main().catch((error: unknown) => {
  if (!(error instanceof NoSuchBench)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
});
