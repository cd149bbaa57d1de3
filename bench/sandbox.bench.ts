/** What isolation costs a run, and what the whole life of a run costs beside the same work by a plain process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { assert, bytesEqual, fromHex, fromUtf8 } from '@nemea/core';
import { builtImage } from '../apps/cli/src/devnet/image.ts';
import { openRuncSandbox, type RuncSandbox } from '../packages/node/src/adapters/sandbox/runc-sandbox.ts';
import { race, type Samples } from './measure.ts';
import { type Row, rowOf } from './row.ts';

const PYTHON = '/usr/bin/python3';
const EXAMPLE = new URL('../examples/private-set-intersection/', import.meta.url);
const LIMITS = {
  timeoutMs: 20_000,
  memoryBytes: 128 << 20,
  pids: 64,
  outputBytes: 4 << 20,
  stdoutBytes: 65_536,
};
const NOTHING = 'def main(inputs):\n    return b""\n';
/** Each sample is one run: processes start, so the wall clock counts. */
const ONE_RUN = { clock: 'wall', repeats: 7, sampleMs: 1 } as const;

export async function benchSandbox(): Promise<Row[]> {
  const image = builtImage();
  const sandbox = await openRuncSandbox({ nodeId: 'bench' });
  try {
    const digest = fromHex(image.digest);
    await sandbox.loadImage(image.file, digest);
    const inputs = ['names-b.csv', 'names-c.csv'].map(read);
    const code = read('intersect.py');
    const life = lifeOf(sandbox, digest);
    const rates = await race(
      {
        plain: () => plainPython('pass'),
        empty: () => life({ code: fromUtf8(NOTHING), entry: 'main', inputs: [] }),
        plainIntersection: () => plainPython(intersectionOf()),
        intersection: () => life({ code, entry: 'intersect', inputs }),
      },
      ONE_RUN,
    );
    const row = (own: string, samples: Samples, peer: string, beside: Samples): Row =>
      rowOf({
        group: 'sandbox',
        unit: 'ms',
        own: { name: own, samples: toMs(samples) },
        peer: { name: peer, samples: toMs(beside) },
      });
    return [
      row('cold run of nothing, snapshot to snapshot', rates.empty, 'spawn of python3', rates.plain),
      row(
        'cold run of the shipped intersection',
        rates.intersection,
        'the same in a plain python3',
        rates.plainIntersection,
      ),
    ];
  } finally {
    await sandbox.close();
  }
}

interface Job {
  readonly code: Uint8Array;
  readonly entry: string;
  readonly inputs: readonly Uint8Array[];
}

let runs = 0;

/** Everything from the machine's state before to the machine's state after. */
function lifeOf(sandbox: RuncSandbox, imageDigest: Uint8Array): (job: Job) => Promise<number> {
  return async (job) => {
    const before = await sandbox.snapshot();
    // The sandbox overwrites what it is given.
    const inputs = job.inputs.map((input) => input.slice());
    const session = await sandbox.open({
      ...job,
      inputs,
      runId: `bench-${runs++}`,
      imageDigest,
      limits: LIMITS,
    });
    try {
      await session.start();
      const { outcome } = await session.wait();
      assert(outcome === 'completed', `the run completes: got ${outcome}`);
    } finally {
      await session.wipe();
    }
    const after = await sandbox.snapshot();
    assert(bytesEqual(before.digest, after.digest), 'the machine is clean');
    return 1;
  };
}

async function plainPython(program: string): Promise<number> {
  const child = spawn(PYTHON, ['-B', '-c', program], {
    stdio: ['ignore', 'ignore', 'inherit'],
    cwd: EXAMPLE,
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  assert(code === 0, `python3 succeeds: got exit code ${code}`);
  return 1;
}

function intersectionOf(): string {
  return [
    'from intersect import intersect',
    "read = lambda name: open(name, 'rb').read()",
    "intersect([read('names-b.csv'), read('names-c.csv')])",
  ].join('\n');
}

function read(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, EXAMPLE)));
}

/** From runs per second. */
function toMs({ median, min, max }: Samples): Samples {
  return { median: 1000 / median, min: 1000 / max, max: 1000 / min };
}
