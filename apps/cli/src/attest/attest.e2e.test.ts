import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
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
const learnt = nemea('policy', 'learn', '--evidence', at('evidence.cbor'), '--out', at('golden'));

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

describe('nemea attest FILE --ear, and nemea ear verify [ATT-31]', () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(at('key.pem'), keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(at('key.pub.pem'), keys.publicKey.export({ type: 'spki', format: 'pem' }));
  const sign = (out: string) => ['--ear', at(out), '--sign', at('key.pem')];
  const verify = (file: string, ...more: string[]) =>
    nemea('ear', 'verify', at(file), '--key', at('key.pub.pem'), ...more);

  test('hand a result to others, who see every claim, the challenge and the policy', () => {
    const signed = attest('evidence.cbor', ...sign('good.ear'), '--json');
    expect(signed.status).toBe(0);
    const { status, stdout } = verify('good.ear', '--nonce', nonce, '--json');
    expect(status).toBe(0);
    expect(stdout.trimEnd()).not.toContain('\n');
    const { ear, ...result } = JSON.parse(signed.stdout) as Record<string, unknown>;
    expect(ear).toBe(at('good.ear'));
    const policy = createHash('sha256')
      .update(readFileSync(at('golden/policy.json')))
      .digest('hex');
    expect(JSON.parse(stdout)).toMatchObject({ ...result, nonce, policyIds: [`sha256:${policy}`] });
    expect(verify('good.ear').stdout).toMatch(/\ntrusted\n$/);
  });

  test('hand on a bad result, too, and exit with 1 for it', () => {
    expect(attest('no-logs.cbor', ...sign('bad.ear')).status).toBe(1);
    const { status, stdout } = verify('bad.ear');
    expect(stdout).toContain('NOT trusted: firmware FIRMWARE_NO_EVENT_LOG');
    expect(status).toBe(1);
  });

  test('exit with 1 for a result that is changed or answers another challenge, with 2 for what is none', () => {
    const bytes = readFileSync(at('good.ear'));
    writeFileSync(at('changed.ear'), bytes.fill(0, 100, 101));
    expect(verify('changed.ear', '--json')).toMatchObject({ status: 1, stderr: '' });
    expect(verify('good.ear', '--nonce', '00').stdout).toContain('REFUSED: NONCE_WRONG: ');
    expect(verify('nothing', '--json').stdout).toContain('"code":"FILE_UNREADABLE"');
    expect(verify('evidence.cbor')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('EAR_UNREADABLE'),
    });
    expect(nemea('ear', 'verify', at('good.ear'))).toMatchObject({ status: 2 });
  });

  test('sign nothing over another file, without a key, or for no challenge, and judge nothing then', () => {
    const rows = [
      [attest('evidence.cbor', ...sign('good.ear')), 'FILE_EXISTS'],
      [attest('evidence.cbor', '--ear', at('none')), 'KEY_NEEDED'],
      [attest('evidence.cbor', '--sign', at('key.pem')), 'EAR_NEEDED'],
      [attest('evidence.cbor', '--ear', at('none'), '--sign', at('key.pub.pem')), 'KEY_UNREADABLE'],
      [nemea('attest', at('evidence.cbor'), ...judge, '--any-time', ...sign('none')), 'NONCE_NEEDED'],
    ] as const;
    for (const [{ status, stdout, stderr }, code] of rows) {
      expect(stderr).toContain(`nemea: ${code}: `);
      expect({ status, stdout }, code).toEqual({ status: 2, stdout: '' });
    }
    expect(existsSync(at('none'))).toBe(false);
  });
});

describe('nemea policy', () => {
  test('learns the same bytes from the same machine, from evidence and from its parts', () => {
    const parts = ['--pcrs', at('pcrs.json'), ...logs];
    expect(nemea('policy', 'learn', ...parts, '--out', at('again')).status).toBe(0);
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
