import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '@nemea/core';
import { startTestTpm } from '@nemea/tpm/testing';
import { afterAll, describe, expect, test } from 'vitest';
import type { ResultVectors } from './browser/result-checks.ts';
import { readmeExamples } from './readme.ts';

/** The examples of the packages' READMEs, run as they stand: they are the first thing that a stranger tries. */
const root = join(import.meta.dirname, '..');
mkdirSync(join(root, '.nemea'), { recursive: true });
// In the repository, so that the packages are found by name.
const dir = mkdtempSync(join(root, '.nemea/readme-'));
afterAll(() => rmSync(dir, { recursive: true }));

function run(source: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  writeFileSync(join(dir, 'example.ts'), source);
  return spawnSync(process.execPath, ['example.ts', ...args], { cwd: dir, encoding: 'utf8' });
}

function vectors<T>(path: string): T {
  return JSON.parse(readFileSync(join(root, 'vectors', path), 'utf8')) as T;
}

describe('the README of @nemea/tpm', () => {
  test('quotes and seals, on a software TPM in place of the device', async () => {
    const [example = ''] = readmeExamples('tpm');
    const software = await startTestTpm();
    try {
      // It serves one client at a time.
      await software.tpm.close();
      const source = example
        .replace('openDeviceChannel, ', 'openUnixChannel, ')
        .replace("openDeviceChannel('/dev/tpmrm0')", `openUnixChannel('${software.socketPath}')`);
      expect(run(source)).toEqual(
        expect.objectContaining({
          stderr: '',
          stdout: '145 bytes, signed by 72; 32 bytes unsealed\n',
          status: 0,
        }),
      );
    } finally {
      await software.stop();
    }
  });
});

describe('the README of @nemea/attestation', () => {
  const [quote = '', machine = ''] = readmeExamples('attestation');

  test('verifies a quote of tpm2-tools, and refuses it for another nonce', () => {
    const [recorded] =
      vectors<readonly Record<'attest' | 'signature' | 'pem' | 'nonce', string>[]>('quote/quotes.json');
    if (recorded === undefined) throw new Error('no quote');
    writeFileSync(join(dir, 'quote.attest'), fromHex(recorded.attest));
    writeFileSync(join(dir, 'quote.signature'), fromHex(recorded.signature));
    writeFileSync(join(dir, 'ak.pem'), recorded.pem);
    expect(run(quote, recorded.nonce).stdout).toMatch(/^PCRs \[\{"hashAlg":\d+,"pcrs":\[\d/);
    expect(run(quote, '00').stdout).toBe('QUALIFYING_DATA_WRONG\n');
  });

  test('judges a machine by what a golden one taught', () => {
    const { evidence, cases } = vectors<ResultVectors>('attestation/results.json');
    const recorded = cases.find(({ name }) => name === 'secure boot, as learnt');
    if (recorded === undefined) throw new Error('no case');
    writeFileSync(join(dir, 'evidence.cbor'), fromHex(evidence[recorded.evidence] ?? ''));
    writeFileSync(join(dir, 'ak.pub'), fromHex(recorded.akPublic));
    writeFileSync(join(dir, 'policy.json'), JSON.stringify(recorded.policy));
    writeFileSync(join(dir, 'reference-values.json'), JSON.stringify(recorded.referenceValues));
    const good = run(machine, recorded.nonce);
    expect(good.stderr).toBe('');
    expect(good.stdout.trimEnd().split('\n').at(-1)).toBe('affirming');
    expect(good.stdout).toMatch(/^affirming secure-boot OK Secure Boot was on/m);
    expect(run(machine, '00').stdout).toMatch(/^contraindicated qualifying-data QUALIFYING_DATA_WRONG/m);
  });
});

test.each(['tpm', 'attestation'])('the README of @nemea/%s names every entry', (name) => {
  const text = readFileSync(join(root, 'packages', name, 'README.md'), 'utf8');
  const manifest = readFileSync(join(root, 'packages', name, 'package.json'), 'utf8');
  const { exports } = JSON.parse(manifest) as { exports: Record<string, string> };
  const entries = Object.keys(exports).filter((entry) => !entry.endsWith('/testing'));
  expect(entries.length).toBeGreaterThan(2);
  for (const entry of entries) expect(text).toContain(`| \`@nemea/${name}${entry.slice(1)}\` |`);
});
