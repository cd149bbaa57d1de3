import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const VECTOR = fileURLToPath(new URL('../../../../vectors/eventlog/ovmf-secure-boot', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'attest-'));
const at = (name: string): string => join(dir, name);

interface Recorded {
  readonly akPublic: string;
  readonly attest: string;
  readonly signature: string;
  readonly nonce: string;
  readonly pcrs: { readonly sha256: readonly string[] };
}

const recorded = JSON.parse(readFileSync(`${VECTOR}.json`, 'utf8')) as Recorded;
const { nonce } = recorded;
for (const [name, hex] of Object.entries({
  attest: recorded.attest,
  signature: recorded.signature,
  'ak.pub': recorded.akPublic,
}))
  writeFileSync(at(name), Buffer.from(hex, 'hex'));
const sha256 = Object.fromEntries(recorded.pcrs.sha256.slice(0, 16).map((value, pcr) => [pcr, value]));
writeFileSync(at('pcrs.json'), JSON.stringify({ sha256 }));

function nemea(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
}

function pack(out: string, ...more: string[]): void {
  const parts = ['--attest', at('attest'), '--signature', at('signature'), '--pcrs', at('pcrs.json')];
  expect(nemea('evidence', 'pack', ...parts, '--out', at(out), ...more)).toMatchObject({ status: 0 });
}

const logs = ['--eventlog', `${VECTOR}.bin`, '--ima', `${VECTOR}.ima.bin`];
pack('evidence.cbor', ...logs);
pack('evidence.json', ...logs, '--cmw', 'json');
pack('evidence.cmw', ...logs, '--cmw', 'cbor');
pack('no-logs.cbor');
const learnt = nemea(
  'policy',
  'learn',
  '--evidence',
  at('evidence.cbor'),
  '--out',
  at('golden'),
  '--level',
  'development',
);

const judge = ['--policy', at('golden/policy.json'), '--ak', at('ak.pub')];
const attest = (file: string, ...more: string[]) =>
  nemea('attest', at(file), ...judge, '--nonce', nonce, ...more);

afterAll(() => rmSync(dir, { recursive: true }));

describe('nemea attest FILE', () => {
  test('trusts a machine that is as the golden one, bare and wrapped, and exits with 0', () => {
    expect(learnt.stderr).toBe('');
    for (const file of ['evidence.cbor', 'evidence.json', 'evidence.cmw']) {
      const { status, stdout } = attest(file);
      expect(stdout.trimEnd().split('\n').at(-1), file).toBe('trusted');
      expect(status).toBe(0);
    }
  });

  test('shows every claim with its bytes, its reference and why, within 80 columns', () => {
    const { stdout } = attest('evidence.cbor');
    expect(stdout).toMatch(/^ {2}ok {2}secure-boot {5}Secure Boot was on; \d+ key lists are known$/m);
    expect(stdout).toMatch(/^ {8}from evidence\.eventLog event \d+: on; compared with \d+ keys$/m);
    expect(
      Math.max(
        ...stdout
          .split('\n')
          .slice(1)
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(80);
  });

  test('gives scripts one JSON line', () => {
    const { stdout } = attest('evidence.cbor', '--json');
    const result = JSON.parse(stdout) as {
      ok: boolean;
      verdict: string;
      claims: { name: string; reason: string }[];
    };
    expect(stdout.trimEnd()).not.toContain('\n');
    expect(result).toMatchObject({ ok: true, verdict: 'affirming' });
    expect(result.claims).toHaveLength(20);
  });

  test('exits with 1 and says why when the machine is not to be trusted', () => {
    const rows = [
      [attest('no-logs.cbor'), 'firmware FIRMWARE_NO_EVENT_LOG'],
      [
        nemea('attest', at('evidence.cbor'), ...judge, '--nonce', '00'),
        'qualifying-data QUALIFYING_DATA_WRONG',
      ],
      [
        nemea('attest', at('evidence.cbor'), ...judge, '--any-time'),
        'qualifying-data QUALIFYING_DATA_UNCHECKED',
      ],
    ] as const;
    for (const [{ status, stdout }, reason] of rows) {
      expect(stdout).toContain(reason);
      expect(status).toBe(1);
    }
  });

  test('exits with 2 when it cannot be judged', () => {
    const file = at('evidence.cbor');
    const rows = [
      [nemea('attest', file, '--ak', at('ak.pub'), '--nonce', nonce), 'POLICY_NEEDED'],
      [nemea('attest', file, '--policy', at('golden/policy.json'), '--nonce', nonce), 'AK_NEEDED'],
      [nemea('attest', file, ...judge), 'NONCE_NEEDED'],
      [nemea('attest', file, ...judge, '--nonce', 'xy'), 'NONCE_INVALID'],
      [nemea('attest', at('attest'), ...judge, '--nonce', nonce), 'EVIDENCE_INVALID'],
      [nemea('attest', at('pcrs.json'), ...judge, '--nonce', nonce), 'EVIDENCE_INVALID'],
      [
        nemea('attest', file, '--policy', at('pcrs.json'), '--ak', at('ak.pub'), '--nonce', nonce),
        'POLICY_INVALID',
      ],
      [nemea('attest', at('nothing'), ...judge, '--nonce', nonce), 'NODE_UNKNOWN'],
      [nemea('attest', file, '--no-such-option'), 'unknown option'],
    ] as const;
    for (const [{ status, stderr }, code] of rows) {
      expect(stderr).toContain(code);
      expect(status, code).toBe(2);
    }
  });

  test('keeps the highest clocks, and refuses one that went back [ATT-7]', () => {
    const clocks = ['--clocks', at('clocks')];
    expect(attest('evidence.cbor', ...clocks).status).toBe(0);
    expect(existsSync(at('clocks'))).toBe(true);
    expect(attest('evidence.cbor', ...clocks).status).toBe(0);
    // The record's last field is restartCount, 0 so far; one more makes the evidence older than the record.
    const registry = readFileSync(at('clocks'));
    const field = registry.indexOf('restartCount') + 'restartCount'.length;
    registry[field] = 1;
    writeFileSync(at('clocks'), registry);
    const { status, stdout } = attest('evidence.cbor', ...clocks);
    expect(stdout).toContain('clock CLOCK_RESTART_COUNT_DECREASED');
    expect(status).toBe(1);
  });
});

describe('nemea policy', () => {
  test('learns the same bytes from the same machine, from evidence and from its parts', () => {
    const parts = ['--pcrs', at('pcrs.json'), ...logs];
    expect(nemea('policy', 'learn', ...parts, '--out', at('again'), '--level', 'development').status).toBe(0);
    for (const file of ['policy.json', 'reference-values.json']) {
      expect(readFileSync(at(`again/${file}`), 'utf8')).toBe(readFileSync(at(`golden/${file}`), 'utf8'));
    }
  });

  test('learns nothing from a log that does not replay', () => {
    const other = VECTOR.replace('secure-boot', 'kernel');
    const { status, stderr } = nemea(
      'policy',
      'learn',
      '--pcrs',
      at('pcrs.json'),
      '--eventlog',
      `${other}.bin`,
      '--out',
      at('no'),
    );
    expect(stderr).toContain('LEARNING_FAILED');
    expect(status).toBe(1);
    expect(existsSync(at('no'))).toBe(false);
  });

  test('explains every field in sentences, within 80 columns', () => {
    const { stdout, status } = nemea('policy', 'explain', at('golden/policy.json'));
    expect(status).toBe(0);
    expect(stdout).toContain('  Secure Boot was on.\n    Why: ');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
