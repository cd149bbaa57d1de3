import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_SETTINGS } from '@nemea/consensus';
import { rawVerify } from '../consensus.bench.ts';
import { COMPUTING, race, type Samples, summarize } from '../measure.ts';
import { PUTS_MAX } from './bundle.ts';
import { openBareLink, openChannelLink } from './channel.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { type Etcd, startEtcd } from './etcd.ts';
import { type LoadResult, type PutValue, run } from './load.ts';
import type { Usage } from './replica-process.ts';

export interface TrialOptions {
  /** Clients at the same time, the fewest first. */
  readonly levels: readonly number[];
  readonly rounds: number;
  readonly loadMs: number;
  /** Compilers of JavaScript need work to learn from; each level of each contestant gets so much. */
  readonly warmUpMs: number;
}

/** Both contestants at one level, round by round in turns. */
export interface Level {
  readonly clients: number;
  readonly own: readonly LoadResult[];
  readonly etcd: readonly LoadResult[];
  /** Sent by all replicas for each put. */
  readonly bytesEach: number;
}

/** By CPU-second of all replicas together, and Ed25519 checks by CPU-second in turns with them. */
export interface Rates {
  readonly puts: Samples;
  readonly decisions: Samples;
  readonly verify: Samples;
}

export interface Trial {
  readonly etcdVersion: string;
  readonly levels: readonly Level[];
  /** The first level again, with replicas that sign, check and write to disk nothing. */
  readonly bare: Level;
  /** Puts, each signed by itself, of four replicas. */
  readonly signedEach: Rates;
  /** Decisions of one put. */
  readonly decisionsOf4: Rates;
  readonly decisionsOf16: Rates;
  readonly backAfterMs: readonly number[];
  readonly progressTimeoutMs: number;
  readonly channel: Readonly<Record<'single' | 'bareSingle' | 'burst' | 'bareBurst', Samples>>;
}

/** A temporary folder may be in memory, where nothing is synchronised. */
const DISK = join(import.meta.dirname, '../../.nemea');
const VALUE_BYTES = 256;
const SIGNED_CLIENTS = 512;
const DECISION_CLIENTS = 16;
/** Many replicas on few processors are late, and nobody is to be given up for it. */
const PATIENCE_MS = 60_000;
const DEATHS = 3;

/** Measures agreement of real processes beside etcd. Takes minutes, and needs a mirror of Debian. */
export async function measureTrial(options: TrialOptions): Promise<Trial> {
  await mkdir(DISK, { recursive: true });
  const dir = await mkdtemp(join(DISK, 'loopback-'));
  const note = (what: string): void => void process.stderr.write(`  ${what}\n`);
  try {
    note('channel');
    const channel = await measureChannel();
    note('etcd and four replicas');
    const etcd = await startEtcd(join(dir, 'etcd'));
    const four = await startCluster({ size: 4, dir: join(dir, 'four') });
    try {
      // First what makes the most steps: compilers of JavaScript have seen them by the time that latency counts.
      note('a signature for each put');
      const signedEach = await measureRates(four, SIGNED_CLIENTS, options);
      const levels: Level[] = [];
      for (const clients of options.levels) {
        note(`${clients} clients`);
        levels.push(await measureLevel(four, etcd, clients, options));
      }
      await four.close();
      note('nothing signed, nothing on disk');
      const bare = await measureBare(etcd, join(dir, 'bare'), options);
      return {
        etcdVersion: etcd.version,
        levels,
        bare,
        signedEach,
        decisionsOf4: await measureDecisions(4, dir, options, note),
        decisionsOf16: await measureDecisions(16, dir, options, note),
        backAfterMs: await measureDeaths(dir, note),
        progressTimeoutMs: DEFAULT_SETTINGS.progressTimeoutMs,
        channel,
      };
    } finally {
      etcd.close();
      await four.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function measureChannel(): Promise<Trial['channel']> {
  const [own, bare] = [await openChannelLink(), await openBareLink()];
  const contestants = {
    single: own.single,
    bareSingle: bare.single,
    burst: own.burst,
    bareBurst: bare.burst,
  };
  const samples = await race(contestants, COMPUTING);
  await own.close();
  await bare.close();
  return samples;
}

async function measureLevel(
  cluster: Cluster,
  etcd: Etcd,
  clients: number,
  { rounds, loadMs, warmUpMs }: TrialOptions,
): Promise<Level> {
  cluster.client.limits = { putsMax: PUTS_MAX, bundlesMax: 2 };
  const load = (put: PutValue, durationMs: number): Promise<LoadResult> =>
    run(put, { clients, durationMs, valueBytes: VALUE_BYTES });
  const put: PutValue = (key, value) => cluster.client.put({ key, value });
  await load(put, warmUpMs);
  await load(etcd.put, warmUpMs);
  const own: LoadResult[] = [];
  const theirs: LoadResult[] = [];
  const before = await cluster.usage();
  for (let round = 0; round < rounds; round++) {
    own.push(await load(put, loadMs));
    theirs.push(await load(etcd.put, loadMs));
  }
  const bytes = spent(before, await cluster.usage()).bytesSent;
  const puts = own.reduce((sum, { operations }) => sum + operations, 0);
  return { clients, own, etcd: theirs, bytesEach: bytes / puts };
}

/** What one client would wait for if signatures and disks took no time. */
async function measureBare(etcd: Etcd, dir: string, options: TrialOptions): Promise<Level> {
  const cluster = await startCluster({ size: 4, dir, isBare: true });
  try {
    const [clients = 1] = options.levels;
    // As much to learn from as the others have had.
    await measureRates(cluster, SIGNED_CLIENTS, options);
    return await measureLevel(cluster, etcd, clients, options);
  } finally {
    await cluster.close();
  }
}

/** So many clients, each put signed and ordered by itself; rates by the time that processors gave to the replicas. */
async function measureRates(
  cluster: Cluster,
  clients: number,
  { rounds, loadMs, warmUpMs }: TrialOptions,
): Promise<Rates> {
  cluster.client.limits = { putsMax: 1, bundlesMax: clients };
  const put: PutValue = (key, value) => cluster.client.put({ key, value });
  const load = (durationMs: number) => run(put, { clients, durationMs, valueBytes: VALUE_BYTES });
  await load(warmUpMs);
  const [puts, decided, verified]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round++) {
    const before = await cluster.usage();
    const { operations } = await load(loadMs);
    const { cpuMs, decisions } = spent(before, await cluster.usage());
    puts.push((operations * 1000) / cpuMs);
    decided.push((decisions * 1000) / cpuMs);
    const { verify } = await race({ verify: rawVerify() }, { ...COMPUTING, repeats: 1 });
    verified.push(verify.median);
  }
  return { puts: summarize(puts), decisions: summarize(decided), verify: summarize(verified) };
}

async function measureDecisions(
  size: number,
  dir: string,
  options: TrialOptions,
  note: (what: string) => void,
): Promise<Rates> {
  note(`decisions of ${size} replicas`);
  const cluster = await startCluster({
    size,
    dir: join(dir, `decisions-${size}`),
    settings: { batchOperations: 1, progressTimeoutMs: PATIENCE_MS, pulseMs: PATIENCE_MS },
    resendMs: PATIENCE_MS,
  });
  try {
    // The more replicas share the processors, the longer each takes to learn.
    return await measureRates(cluster, DECISION_CLIENTS, {
      ...options,
      warmUpMs: (size * options.warmUpMs) / 2,
    });
  } finally {
    await cluster.close();
  }
}

/** From the end of the primary's process to the first put after it. */
async function measureDeaths(dir: string, note: (what: string) => void): Promise<number[]> {
  const backAfterMs: number[] = [];
  for (let death = 0; death < DEATHS; death++) {
    note(`death of a primary, ${death + 1} of ${DEATHS}`);
    const cluster = await startCluster({ size: 4, dir: join(dir, `death-${death}`) });
    try {
      const put: PutValue = (key, value) => cluster.client.put({ key, value });
      await run(put, { clients: 1, durationMs: 500, valueBytes: VALUE_BYTES });
      cluster.kill(cluster.client.primary);
      const killedMs = performance.now();
      await put('after', new Uint8Array(VALUE_BYTES));
      backAfterMs.push(performance.now() - killedMs);
    } finally {
      await cluster.close();
    }
  }
  return backAfterMs;
}

/** What all replicas together have used; of decisions, which all of them make, one replica's. */
function spent(before: Map<string, Usage>, after: Map<string, Usage>): Omit<Usage, 'view'> {
  let [cpuMs, checks, bytesSent, decisions] = [0, 0, 0, 0];
  for (const [id, usage] of after) {
    const start = before.get(id);
    if (start === undefined) continue;
    cpuMs += usage.cpuMs - start.cpuMs;
    checks += usage.checks - start.checks;
    bytesSent += usage.bytesSent - start.bytesSent;
    decisions = Math.max(decisions, usage.decisions - start.decisions);
  }
  return { cpuMs, checks, bytesSent, decisions };
}
