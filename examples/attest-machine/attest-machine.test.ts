import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '@nemea/core';
import { openUnixChannel, Tpm } from '@nemea/tpm';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** The guide's two programs, on a software TPM that was given the boot of a recorded machine. */
const BIN = join(import.meta.dirname, '../../node_modules/.bin');
const GUIDE = join(import.meta.dirname, '../../docs/attest-a-machine.md');
const dir = mkdtempSync(join(tmpdir(), 'nemea-machine-'));
let machine: ChildProcess;
let socketPath: string;

/** With the PATH that the guide sets. */
function run(command: string, ...args: string[]) {
  const env = { ...process.env, PATH: `${BIN}:${process.env.PATH}` };
  return spawnSync(command, args, { cwd: dir, encoding: 'utf8', env });
}

function program(name: string, ...args: string[]) {
  return run('node', join(import.meta.dirname, `${name}.ts`), ...args);
}

beforeAll(async () => {
  machine = spawn(process.execPath, [join(import.meta.dirname, 'test-machine.ts'), dir]);
  const [line] = (await once(machine.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const [, command = '', path = ''] = String(line).split(' ');
  expect(command).toBe('machine.ts');
  socketPath = path;
  expect(program('machine', socketPath, '00', dir)).toMatchObject({ status: 0, stderr: '' });
  const learn = ['policy', 'learn', '--evidence', 'evidence.cbor', '--out', 'golden'];
  expect(run('nemea', ...learn)).toMatchObject({ status: 0, stderr: '' });
});

afterAll(async () => {
  const ended = once(machine, 'exit');
  machine.kill('SIGINT');
  expect(await ended).toEqual([0, null]);
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
  expect(program('machine', socketPath, 'a1b2', dir)).toMatchObject({ status: 0, stderr: '' });
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
  const tpm = await Tpm.open(await openUnixChannel(socketPath));
  await tpm.pcrExtend(4, sha256(new Uint8Array()));
  await tpm.close();
  expect(program('machine', socketPath, 'c0de', dir)).toMatchObject({ status: 0 });
  const { status, stdout } = program('verifier', 'c0de');
  expect(stdout).toMatch(/^contraindicated\s+firmware\s/m);
  expect(status).toBe(1);
});
