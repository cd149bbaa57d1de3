/**
 * Agreement of real processes: replicas as nodes run them, with their channels over loopback sockets and their journals
 * on a disk, beside three members of etcd in the same run. Puts are signed by bundle unless a row says otherwise.
 */

import type { LoadResult } from './loopback/load.ts';
import { type Level, measureTrial, type Rates, type Trial, type TrialOptions } from './loopback/trial.ts';
import { type Samples, summarize } from './measure.ts';
import { type Row, rowOf } from './row.ts';

export const FULL_TRIAL: TrialOptions = {
  levels: [1, 16, 128, 512],
  rounds: 5,
  loadMs: 2_000,
  warmUpMs: 3_000,
};

export async function benchLoopback(): Promise<Row[]> {
  return rowsOf(await measureTrial(FULL_TRIAL));
}

export function rowsOf(trial: Trial): Row[] {
  const group = 'loopback';
  const [few, many] = [trial.levels[0] as Level, trial.levels.at(-1) as Level];
  const etcd = `etcd ${trial.etcdVersion}`;
  const { channel } = trial;
  return [
    rowOf({
      group,
      unit: 'ms',
      own: { name: 'a put by one client, p50', samples: of(few.own, ({ p50Ms }) => p50Ms) },
      peer: { name: etcd, samples: of(few.etcd, ({ p50Ms }) => p50Ms) },
      target: { of: 'ratio', atMost: 2 },
    }),
    rowOf({
      group,
      unit: 'ms',
      own: {
        name: 'the same, nothing signed or on disk, p50',
        samples: of(trial.bare.own, ({ p50Ms }) => p50Ms),
      },
      peer: { name: etcd, samples: of(trial.bare.etcd, ({ p50Ms }) => p50Ms) },
    }),
    rowOf({
      group,
      unit: 'ms',
      own: { name: 'a put by one client, p99', samples: of(few.own, ({ p99Ms }) => p99Ms) },
      peer: { name: etcd, samples: of(few.etcd, ({ p99Ms }) => p99Ms) },
    }),
    rowOf({
      group,
      unit: 'perS',
      own: {
        name: `puts by ${many.clients} clients, signed by bundle`,
        samples: of(many.own, ({ perS }) => perS),
      },
      peer: { name: etcd, samples: of(many.etcd, ({ perS }) => perS) },
      target: { of: 'ratio', atLeast: 1.8 },
    }),
    rowOf({
      group,
      unit: 'ms',
      own: { name: `a put by ${many.clients} clients, p99`, samples: of(many.own, ({ p99Ms }) => p99Ms) },
      peer: { name: etcd, samples: of(many.etcd, ({ p99Ms }) => p99Ms) },
    }),
    rowOf({
      group,
      unit: 'bytes',
      own: { name: 'sent for a put by one client', samples: summarize([few.bytesEach]) },
    }),
    rowOf({
      group,
      unit: 'bytes',
      own: { name: `sent for a put by ${many.clients} clients`, samples: summarize([many.bytesEach]) },
    }),
    rowOf({
      group,
      unit: 'perS',
      own: { name: 'puts, each signed by itself, n = 4', samples: trial.signedEach.puts },
      peer: { name: 'limit by 4 Ed25519 checks each', samples: divide(trial.signedEach.verify, 4) },
    }),
    decisionRow(4, trial.decisionsOf4),
    decisionRow(16, trial.decisionsOf16, 0.5),
    rowOf({
      group,
      unit: 's',
      own: {
        name: 'service after the primary was killed',
        samples: summarize(trial.backAfterMs.map((ms) => ms / 1000)),
      },
      peer: { name: 'progress time-out', samples: summarize([trial.progressTimeoutMs / 1000]) },
      target: { of: 'ratio', atMost: 2 },
    }),
    rowOf({
      group,
      unit: 'perS',
      own: { name: 'messages of 256 bytes over the channel, single', samples: channel.single },
      peer: { name: 'a bare socket', samples: channel.bareSingle },
    }),
    rowOf({
      group,
      unit: 'perS',
      own: { name: 'messages of 256 bytes over the channel, 64 at once', samples: channel.burst },
      peer: { name: 'a bare socket', samples: channel.bareBurst },
    }),
  ];
}

/** Each replica checks 4f + 1 votes of a decision (n = 3f + 1), and the signature of its put. */
function decisionRow(size: number, { decisions, verify }: Rates, atLeast?: number): Row {
  const checks = size * (4 * Math.floor((size - 1) / 3) + 1) + size;
  return rowOf({
    group: 'loopback',
    unit: 'perS',
    own: { name: `decisions of one put, n = ${size}`, samples: decisions },
    peer: { name: `limit by ${checks} Ed25519 checks each`, samples: divide(verify, checks) },
    ...(atLeast === undefined ? {} : { target: { of: 'ratio', atLeast } }),
  });
}

function of(results: readonly LoadResult[], pick: (result: LoadResult) => number): Samples {
  return summarize(results.map(pick));
}

function divide({ median, min, max }: Samples, by: number): Samples {
  return { median: median / by, min: min / by, max: max / by };
}
