import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestTpm, type TestTpm } from '@nemea/tpm/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, '..', 'main.ts');
const dir = mkdtempSync(join(tmpdir(), 'nemea-tpm-'));
const at = (name: string): string => join(dir, name);
let software: TestTpm;
let address: string;

beforeAll(async () => {
  software = await startTestTpm({ setup: [] });
  address = `unix:${software.socketPath}`;
  // The TPM serves one client at a time.
  await software.tpm.close();
});
afterAll(async () => {
  await software.stop();
  rmSync(dir, { recursive: true });
});

async function nemea(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, 'tpm', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

test('info says what a TPM is, on 80 columns and as one line of JSON', async () => {
  const { code, stdout } = await nemea('info', '--tpm', address);
  expect(code).toBe(0);
  expect(stdout).toContain('IBM (id:49424D00)');
  expect(stdout).toContain('L-1 (RSA 2048), H-3 (ECC P-384)');
  expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  const json = JSON.parse((await nemea('info', '--tpm', address, '--json')).stdout);
  expect(json).toMatchObject({
    ok: true,
    hasEcdaa: true,
    persistentHandles: ['0x81010001', '0x81010016'],
    ekCertificates: ['L-1', 'H-3'],
  });
  expect(json.firmwareVersion).toMatch(/^0x[0-9a-f]{16}$/);
});

test('provision makes what is missing, writes what a verifier needs, and does nothing the second time', async () => {
  const passwords = ['--owner-auth', at('owner'), '--lockout-auth', at('lockout')];
  const args = ['provision', '--tpm', address, '--out', at('out'), ...passwords];
  const { code, stdout, stderr } = await nemea(...args);
  expect(`${code} ${stderr}`).toBe('0 ');
  expect(stdout).toContain('already endorsement-keys      L-1, H-3, each of its certificate');
  expect(stdout).toContain('done    owner-password');
  expect(statSync(at('owner')).mode & 0o777).toBe(0o600);
  expect(readFileSync(at('owner'), 'utf8')).not.toBe(readFileSync(at('lockout'), 'utf8'));
  expect(new X509Certificate(readFileSync(at('out/ek-H-3.der'))).publicKey.asymmetricKeyType).toBe('ec');
  expect(readFileSync(at('out/ak.pem'), 'utf8')).toMatch(/^-----BEGIN PUBLIC KEY-----/);

  const again = JSON.parse((await nemea(...args, '--endorsement-auth', at('endorsement'), '--json')).stdout);
  const done = (steps: { step: string; outcome: string }[]) =>
    steps.filter(({ outcome }) => outcome === 'done').map(({ step }) => step);
  expect(done(again.steps)).toEqual(['endorsement-password']);
  const third = JSON.parse((await nemea(...args, '--endorsement-auth', at('endorsement'), '--json')).stdout);
  expect(done(third.steps)).toEqual([]);
});

test('an empty password file is refused before anything is sent', async () => {
  writeFileSync(at('empty'), '\n');
  const options = ['--tpm', address, '--out', at('none'), '--owner-auth', at('empty')];
  const { code, stderr } = await nemea('provision', ...options);
  expect(code).toBe(1);
  expect(stderr).toContain('PASSWORD_INVALID');
});
