import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'nemea-corim-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function nemea(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const main = join(import.meta.dirname, '../main.ts');
  return spawnSync(process.execPath, [main, 'corim', ...args], { cwd: folder, encoding: 'utf8' });
}

test('reference values are exported as a CoRIM and imported again by the command', () => {
  const values = {
    releases: [],
    images: [],
    components: [
      { kind: 'pcr', name: 'sha256:7', digests: [`sha256:${'ab'.repeat(32)}`] },
      {
        kind: 'boot-loader',
        name: 'shim',
        digests: [`sha256:${'01'.repeat(32)}`, `sha384:${'02'.repeat(48)}`],
      },
    ],
  };
  writeFileSync(join(folder, 'values.json'), JSON.stringify(values));
  const exported = nemea('export', 'values.json', '--id', 'golden', '--out', 'golden.corim', '--json');
  expect(JSON.parse(exported.stdout)).toMatchObject({ registers: 1, components: 1 });
  expect(readFileSync(join(folder, 'golden.corim')).subarray(0, 3).toString('hex')).toBe('d901f5');
  const imported = nemea('import', 'golden.corim', '--json');
  expect(JSON.parse(imported.stdout)).toEqual(values);
  expect(imported.stderr).toBe('');
});

test('a file that is no CoRIM, a missing file and a key of another kind are refused by their codes', () => {
  writeFileSync(join(folder, 'junk'), 'junk');
  const { publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(folder, 'ed25519.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
  expect(nemea('import', 'junk').stderr).toContain('CORIM_INVALID');
  expect(nemea('import', 'nowhere').stderr).toContain('FILE_UNREADABLE');
  const wrongKey = nemea('import', 'junk', '--key', 'ed25519.pem');
  expect(wrongKey.stderr).toContain('KEY_UNREADABLE');
  expect(wrongKey.status).toBe(1);
});
