import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { startTestTpm, type TestTpm } from '@nemea/tpm/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** What a stranger's first program does, on a software TPM. */
const PROGRAM = join(import.meta.dirname, 'main.ts');
let machine: TestTpm;

beforeAll(async () => {
  machine = await startTestTpm();
  // It serves one client at a time.
  await machine.tpm.close();
});
afterAll(() => machine.stop());

test('it quotes, seals, unseals and counts, twice the same', () => {
  for (const _run of [1, 2]) {
    const { stdout, stderr } = spawnSync(process.execPath, [PROGRAM, machine.socketPath], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(stdout).toBe('quote true true\na secret\n1n\n');
  }
});

test('it says which TPM it does not find', () => {
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, '/none'], { encoding: 'utf8' });
  expect(stderr).toContain('cannot connect to the tpm socket /none: ENOENT');
  expect(status).toBe(1);
});
