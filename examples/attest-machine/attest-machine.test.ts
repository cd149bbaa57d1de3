import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureBoot } from '@nemea/attestation/testing';
import { sha256 } from '@nemea/core';
import { openUnixChannel, Tpm } from '@nemea/tpm';
import { startTestTpm, type TestTpm } from '@nemea/tpm/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** The guide's two programs, on a software TPM that was given the boot of a recorded machine. */
const VECTOR = join(import.meta.dirname, '../../vectors/eventlog/ovmf-secure-boot');
const NEMEA = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const GUIDE = join(import.meta.dirname, '../../docs/attest-a-machine.md');
const dir = mkdtempSync(join(tmpdir(), 'nemea-machine-'));
let machine: TestTpm;

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' });
}

function program(name: string, ...args: string[]) {
  return run(join(import.meta.dirname, `${name}.ts`), ...args);
}

beforeAll(async () => {
  mkdirSync(join(dir, 'tpm0'));
  mkdirSync(join(dir, 'ima'));
  cpSync(`${VECTOR}.bin`, join(dir, 'tpm0/binary_bios_measurements'));
  cpSync(`${VECTOR}.ima.bin`, join(dir, 'ima/binary_runtime_measurements'));
  machine = await startTestTpm();
  await measureBoot(machine.tpm, {
    eventLog: readFileSync(`${VECTOR}.bin`),
    imaList: readFileSync(`${VECTOR}.ima.bin`),
  });
  // It serves one client at a time.
  await machine.tpm.close();
  expect(program('machine', machine.socketPath, '00', dir)).toMatchObject({ status: 0, stderr: '' });
  const learn = ['policy', 'learn', '--evidence', 'evidence.cbor', '--out', 'golden'];
  expect(run(NEMEA, ...learn)).toMatchObject({ status: 0, stderr: '' });
});

afterAll(async () => {
  await machine.stop();
  rmSync(dir, { recursive: true });
});

test('the guide shows both programs as they are', () => {
  for (const name of ['machine', 'verifier']) {
    const source = readFileSync(join(import.meta.dirname, `${name}.ts`), 'utf8');
    expect(readFileSync(GUIDE, 'utf8')).toContain(`\`\`\`ts\n${source}\`\`\``);
    expect(source.trimEnd().split('\n').length).toBeLessThanOrEqual(20);
  }
});

test('a machine that booted as the golden one is trusted, each claim with its reason', () => {
  expect(program('machine', machine.socketPath, 'a1b2', dir)).toMatchObject({ status: 0, stderr: '' });
  const { status, stdout, stderr } = program('verifier', 'a1b2');
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^affirming\s+secure-boot\s+Secure Boot was on/m);
  expect(stdout).toMatch(/^affirming\s+ima\s/m);
  expect(status).toBe(0);
});

test("an answer to another verifier's nonce is refused", () => {
  const { status, stdout } = program('verifier', 'a1b3');
  expect(stdout).toMatch(/^contraindicated\s+qualifying-data/m);
  expect(status).toBe(1);
});

test('a machine that measured something else into PCR 4 is refused', async () => {
  const tpm = await Tpm.open(await openUnixChannel(machine.socketPath));
  await tpm.pcrExtend(4, sha256(new Uint8Array()));
  await tpm.close();
  expect(program('machine', machine.socketPath, 'c0de', dir)).toMatchObject({ status: 0 });
  const { status, stdout } = program('verifier', 'c0de');
  expect(stdout).toMatch(/^contraindicated\s+firmware\s/m);
  expect(status).toBe(1);
});
