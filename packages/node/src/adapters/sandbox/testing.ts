/** What the tests of the real sandbox share: the built image, a sandbox, and one run from snapshot to snapshot. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fromHex, fromUtf8, toUtf8 } from '@nemea/core';
import type { SandboxLimits, SandboxOutcome, SandboxSession } from '../../ports/sandbox.ts';
import { openRuncSandbox, type RuncSandbox } from './runc-sandbox.ts';
import { snapshotDifference } from './snapshot.ts';

const REPOSITORY = join(import.meta.dirname, '../../../../..');
const MIB = 1024 * 1024;

export const IMAGE_FILE = join(REPOSITORY, '.nemea/images/python.erofs');
export const EXAMPLES = join(REPOSITORY, 'examples');

export const LIMITS: SandboxLimits = {
  timeoutMs: 20_000,
  memoryBytes: 128 * MIB,
  pids: 64,
  outputBytes: 4 * MIB,
  stdoutBytes: 64 * 1024,
};

export interface Bench {
  readonly sandbox: RuncSandbox;
  readonly imageDigest: Uint8Array;
}

export interface BenchRun {
  readonly code: string;
  readonly entry?: string;
  readonly inputs?: readonly Uint8Array[];
  readonly limits?: Partial<SandboxLimits>;
  /** Called after the start. */
  readonly during?: (session: SandboxSession) => Promise<void>;
}

export function builtImageDigest(): Uint8Array {
  const script = join(REPOSITORY, 'scripts/build-image.ts');
  const stdio = ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'];
  return fromHex(execFileSync(process.execPath, [script], { encoding: 'utf8', stdio }).trim());
}

export async function openBench(nodeId: string): Promise<Bench> {
  const imageDigest = builtImageDigest();
  const sandbox = await openRuncSandbox({ nodeId });
  await sandbox.loadImage(IMAGE_FILE, imageDigest);
  return { sandbox, imageDigest };
}

let runs = 0;

/** One run with all its phases. Throws when the machine is not, item by item, as it was before. */
export async function runOnce(bench: Bench, run: BenchRun): Promise<SandboxOutcome> {
  const before = await bench.sandbox.snapshot();
  runs += 1;
  const session = await bench.sandbox.open({
    runId: `run-${runs}`,
    imageDigest: bench.imageDigest,
    code: fromUtf8(run.code),
    entry: run.entry ?? 'main',
    inputs: run.inputs ?? [],
    limits: { ...LIMITS, ...run.limits },
  });
  const outcome = await startAndWait(session, run);
  await session.wipe();
  const changed = snapshotDifference(before, await bench.sandbox.snapshot());
  if (changed.length > 0) throw new Error(`the run left something behind: ${changed.join(', ')}`);
  return outcome;
}

async function startAndWait(session: SandboxSession, run: BenchRun): Promise<SandboxOutcome> {
  try {
    await session.start();
    await run.during?.(session);
    return await session.wait();
  } catch (error) {
    await session.wipe();
    throw error;
  }
}

/** The text of the only result; throws with the outcome's code when the run failed. */
export async function resultText(bench: Bench, run: BenchRun): Promise<string> {
  const outcome = await runOnce(bench, run);
  if (outcome.outcome === 'failed') throw new Error(`${outcome.code}: ${outcome.detail}`);
  return toUtf8(outcome.outputs[0] ?? new Uint8Array());
}
