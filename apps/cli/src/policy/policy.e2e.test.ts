import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureBoot } from '@nemea/attestation/testing';
import { fromUtf8, sha256, toHex } from '@nemea/core';
import { openUnixChannel, Tpm } from '@nemea/tpm';
import { startTestTpm, type TestTpm } from '@nemea/tpm/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** A live machine: a software TPM that was given the boot of a recorded one, and that boot's logs. */
const MAIN = join(import.meta.dirname, '../main.ts');
const VECTOR = join(import.meta.dirname, '../../../../vectors/eventlog/ovmf-secure-boot');
const LOGS = ['--eventlog', `${VECTOR}.bin`, '--ima', `${VECTOR}.ima.bin`];
const dir = mkdtempSync(join(tmpdir(), 'nemea-policy-'));
const at = (name: string): string => join(dir, name);
const POLICY = at('golden/policy.json');
let machine: TestTpm;
let address: string;

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function nemea(...args: string[]): Outcome {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
}

function learn(out: string, ...more: string[]): Outcome {
  return nemea('policy', 'learn', '--tpm', address, '--out', at(out), ...more);
}

/** What the machine shows now, for a new nonce, and what the judge says of it. */
function attestNow(nonce: string): { status: number | null; reasons: string; claims: readonly Claim[] } {
  const quote = ['--attest', at('q/quote.attest'), '--signature', at('q/quote.signature')];
  for (const args of [
    ['quote', 'make', '--tpm', address, '--pcrs', 'sha256:0-15', '--nonce', nonce, '--out', at('q')],
    ['evidence', 'pack', ...quote, '--pcrs', at('q/pcrs.json'), ...LOGS, '--out', at('evidence.cbor')],
  ])
    expect(nemea(...args)).toMatchObject({ status: 0, stderr: '' });
  const judge = ['--policy', POLICY, '--ak', at('q/ak.pub'), '--nonce', nonce];
  const { status, stdout } = nemea('attest', at('evidence.cbor'), ...judge, '--json');
  const { claims } = JSON.parse(stdout) as { claims: readonly Claim[] };
  const failed = claims.filter(({ verdict }) => verdict === 'contraindicated' || verdict === 'warning');
  return { status, reasons: failed.map(({ name, reason }) => `${name} ${reason}`).join(', '), claims };
}

interface Claim {
  readonly name: string;
  readonly verdict: string;
  readonly reason: string;
  readonly detail: string;
}

beforeAll(async () => {
  machine = await startTestTpm();
  address = `unix:${machine.socketPath}`;
  await measureBoot(machine.tpm, {
    eventLog: readFileSync(`${VECTOR}.bin`),
    imaList: readFileSync(`${VECTOR}.ima.bin`),
  });
  const recorded = JSON.parse(readFileSync(`${VECTOR}.json`, 'utf8')) as { pcrs: { sha256: string[] } };
  const live = await machine.tpm.pcrRead(recorded.pcrs.sha256.slice(0, 16).map((_, pcr) => pcr));
  expect(live.map(({ value }) => toHex(value))).toEqual(recorded.pcrs.sha256.slice(0, 16));
  // It serves one client at a time.
  await machine.tpm.close();
  expect(learn('golden', ...LOGS, '--level', 'development')).toMatchObject({ status: 0, stderr: '' });
});

afterAll(async () => {
  await machine.stop();
  rmSync(dir, { recursive: true });
});

describe('a policy learnt from a live TPM [ATT-29]', () => {
  test('trusts that machine by a fresh quote', () => {
    const { status, reasons, claims } = attestNow('0badcafe0badcafe0badcafe0badcafe');
    expect(reasons).toBe('');
    expect(status).toBe(0);
    for (const name of ['pcr-values', 'firmware', 'secure-boot', 'boot-chain', 'ima']) {
      expect(claims.find((claim) => claim.name === name)).toMatchObject({
        verdict: 'affirming',
        reason: 'OK',
      });
    }
  });

  test('is the same when it is learnt again', () => {
    expect(learn('again', ...LOGS, '--level', 'development').status).toBe(0);
    for (const file of ['policy.json', 'reference-values.json'])
      expect(readFileSync(at(`again/${file}`), 'utf8')).toBe(readFileSync(at(`golden/${file}`), 'utf8'));
  });

  test('demands the level that is asked for, and any that counts unless one is', () => {
    for (const [level, levelMin] of [
      [[], 1],
      [['--level', 'hardware'], 3],
    ] as const) {
      expect(learn('level', ...LOGS, ...level).status).toBe(0);
      expect(JSON.parse(readFileSync(at('level/policy.json'), 'utf8'))).toMatchObject({ levelMin });
    }
  });

  test('is explained with what was learnt, each field of the policy in turn, on 80 columns', () => {
    const { status, stdout } = nemea('policy', 'explain', POLICY);
    expect(status).toBe(0);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    const text = stdout.replace(/\s+/g, ' ');
    for (const sentence of [
      'The attestation key is one of ecdsa-p256, made by the TPM, and signs only what the TPM says.',
      'PCR 0, 8, 9, 12, 14 have a reference value (5 known).',
      'The machine measured its boot, and its event log replays to PCR 0 to 7.',
      'Secure Boot was on.',
      'PK, KEK, db and dbx are among the reference values (4 known).',
      'The words of the kernel command line are not judged. Why: The exact values of PCR 8, 9, 12 admit no other line',
      'The kernel shows an IMA list that replays to PCR 10. Every file and buffer in it is among the reference values (5 known',
    ])
      expect(text).toContain(sentence);
    // A field is said by its own name, or by those of its parts.
    const fields = stdout.split('\n').filter((line) => /^\S/.test(line));
    for (const field of Object.keys(JSON.parse(readFileSync(POLICY, 'utf8')) as object)) {
      if (['version', 'rules'].includes(field)) continue;
      expect(
        fields.some((line) => line === field || line.startsWith(`${field}.`)),
        field,
      ).toBe(true);
    }
  });

  test('learns nothing from logs that are not those of this TPM', () => {
    const other = VECTOR.replace('secure-boot', 'kernel');
    const { status, stderr } = learn('no', '--eventlog', `${other}.bin`);
    expect(stderr).toContain('LEARNING_FAILED');
    expect(status).toBe(1);
  });

  test('says which quoted registers it does not judge, and trusts whatever they hold', async () => {
    const { stdout } = nemea('policy', 'explain', POLICY);
    expect(stdout).toContain('pcrs (not judged)\n  PCR 11, 13, 15 may hold anything.\n');
    await extend(15);
    expect(attestNow('15'.repeat(16))).toMatchObject({ status: 0, reasons: '' });
  });

  // A PCR cannot be taken back, so each row adds to those before it.
  const rows = [
    [12, 'pcr-values PCR_VALUE_UNKNOWN', 'PCR 12 has a value that is no reference value'],
    [10, 'ima IMA_REPLAY_WRONG', 'the list does not replay to PCR 10'],
    [4, 'firmware FIRMWARE_LOG_REPLAY_WRONG', 'the log does not replay to sha256:4'],
  ] as const;
  test.each(rows)('refuses it once PCR %i holds one measurement more: %s', async (pcr, reason, detail) => {
    await extend(pcr);
    const { status, reasons, claims } = attestNow(toHex(sha256(Uint8Array.of(pcr))));
    expect(status).toBe(1);
    const before = rows
      .slice(
        0,
        rows.findIndex((row) => row[0] === pcr),
      )
      .map((row) => row[1]);
    expect(reasons.split(', ').sort()).toEqual([...before, reason].sort());
    expect(claims.find(({ name }) => reason.startsWith(`${name} `))?.detail).toContain(detail);
  });
});

async function extend(pcr: number): Promise<void> {
  const tpm = await Tpm.open(await openUnixChannel(machine.socketPath));
  await tpm.pcrExtend(pcr, sha256(fromUtf8('something else')));
  await tpm.close();
}
