import { fromUtf8 } from '@nemea/core';
import { afterEach, describe, it } from 'vitest';
import { type SandboxGround, type SandboxProgram, sandboxCompliance } from '../../ports/testing/index.ts';
import { type Bench, IMAGE_FILE, openBench } from './testing.ts';

const PROGRAMS: Readonly<Record<SandboxProgram, string>> = {
  join: 'return b"|".join(inputs)',
  list: 'return list(inputs)',
  'sleep-a-minute': 'import time; time.sleep(60)',
  raise: 'raise ValueError(inputs)',
  'print-a-mebibyte': 'print("x" * (1 << 20)); import time; time.sleep(60)',
  'take-a-gibibyte': 'return bytes(bytearray(b"x") * (1 << 30))[:1]',
  'return-two-mebibytes': 'return b"x" * (2 << 20)',
};

/** The rules of the port, kept by runc on this machine. */
describe('the sandbox of runc', () => {
  let bench: Bench | undefined;
  afterEach(async () => {
    await bench?.sandbox.close();
  });

  const ground = async (): Promise<SandboxGround> => {
    bench = await openBench('test-compliance');
    return {
      sandbox: bench.sandbox,
      image: { file: IMAGE_FILE, digest: bench.imageDigest },
      code: (program) => fromUtf8(`def main(inputs):\n  ${PROGRAMS[program]}\n`),
      drive: (work) => work,
    };
  };
  for (const { title, run } of sandboxCompliance(ground)) it(title, run);
});
