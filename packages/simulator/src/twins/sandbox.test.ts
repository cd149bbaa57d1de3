import { bytesEqual, concatBytes, fromUtf8, sha256, toUtf8 } from '@nemea/core';
import { type SandboxGround, type SandboxProgram, sandboxCompliance } from '@nemea/node/ports/testing';
import { describe, expect, it } from 'vitest';
import { Kernel } from '../kernel/kernel.ts';
import { Life } from './life.ts';
import { type Program, type SandboxCondition, SandboxTwin } from './sandbox.ts';
import { drive } from './testing.ts';

const MIB = 1 << 20;
const FILE = 'image';
const DIGEST = sha256(fromUtf8(FILE));
const BAR = fromUtf8('|');

const PROGRAMS: Readonly<Record<SandboxProgram, Program>> = {
  join: (inputs) => ({
    takesMs: 10,
    outputs: [concatBytes(...inputs.flatMap((input, index) => (index === 0 ? [input] : [BAR, input])))],
  }),
  list: (inputs) => ({ takesMs: 10, outputs: inputs }),
  'sleep-a-minute': () => ({ takesMs: 60_000, outputs: [BAR] }),
  raise: () => ({ takesMs: 10 }),
  'print-a-mebibyte': () => ({ takesMs: 60_000, printsBytes: MIB }),
  'take-a-gibibyte': () => ({ takesMs: 10, memoryBytes: 1024 * MIB, outputs: [BAR] }),
  'return-two-mebibytes': () => ({ takesMs: 10, outputs: [new Uint8Array(2 * MIB)] }),
};

async function ground(change: Partial<SandboxCondition> = {}): Promise<SandboxGround> {
  const kernel = new Kernel('sandbox');
  const sandbox = new SandboxTwin({
    kernel,
    life: new Life(),
    images: new Map([[FILE, DIGEST]]),
    programOf: (code) => PROGRAMS[toUtf8(code) as SandboxProgram],
    condition: () => ({ slowness: 1, isLittering: false, isBreaking: false, ...change }),
  });
  await sandbox.loadImage(FILE, DIGEST);
  return {
    sandbox,
    image: { file: FILE, digest: DIGEST },
    code: fromUtf8,
    drive: (work) => drive(kernel, work),
  };
}

/** The rules of the port, kept by the twin on a good machine. */
describe('a simulated sandbox', () => {
  for (const { title, run } of sandboxCompliance(ground)) it(title, run);
});

describe('a simulated sandbox on a bad machine', () => {
  const runOn = async ({ sandbox, drive: within, image }: SandboxGround) => {
    const before = await within(sandbox.snapshot());
    const session = await within(
      sandbox.open({
        runId: 'run',
        imageDigest: image.digest,
        code: fromUtf8('join'),
        entry: 'main',
        inputs: [],
        limits: { timeoutMs: 50, memoryBytes: MIB, pids: 1, outputBytes: MIB, stdoutBytes: 0 },
      }),
    );
    await within(session.start());
    const outcome = await within(session.wait());
    await within(session.wipe());
    const after = await within(sandbox.snapshot());
    return { outcome, isAsBefore: bytesEqual(before.digest, after.digest) };
  };

  it('is told from a good one: too slow, broken, or left with something behind', async () => {
    const slow = await runOn(await ground({ slowness: 10 }));
    expect(slow.outcome).toMatchObject({ outcome: 'failed', code: 'TIMEOUT' });
    const broken = await runOn(await ground({ isBreaking: true }));
    expect(broken.outcome).toMatchObject({ outcome: 'failed', code: 'RUNTIME_FAILED' });
    const littered = await runOn(await ground({ isLittering: true }));
    expect(littered.outcome.outcome).toBe('completed');
    expect([slow, broken, littered].map(({ isAsBefore }) => isAsBefore)).toEqual([true, true, false]);
  });
});
