import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEventLog, replayEventLog } from '@nemea/attestation/eventlog';
import {
  action,
  bootEvents,
  grubText,
  secureBootVariable,
  separator,
  type WrittenEvent,
  writeAgileLog,
} from '@nemea/attestation/eventlog/testing';
import { toHex } from '@nemea/core';
import { afterAll, describe, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, '../main.ts');
const dir = mkdtempSync(join(tmpdir(), 'nemea-eventlog-'));
const LOG = writeAgileLog(['sha1', 'sha256'], bootEvents(150));

/** Runs the command line in a process of its own. */
function nemea(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, 'eventlog', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

function file(name: string, content: Uint8Array | string): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

function pcrsOf(bytes: Uint8Array): Record<string, Record<string, string>> {
  const banks = [...replayEventLog(parseEventLog(bytes))].map(([bank, values]) => [
    bank,
    Object.fromEntries([...values].map(([pcr, value]) => [pcr, toHex(value)])),
  ]);
  return Object.fromEntries(banks);
}

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('a log that can be read', () => {
  test('is shown on 80 columns, a line for each event, with PCRs, Secure Boot, loaders and command line', async () => {
    const { code, stdout, stderr } = await nemea(file('good', LOG));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.filter((line) => /^ {0,3}\d+ +\d+ {2}\S/.test(line))).toHaveLength(150);
    expect(stdout).toContain('SecureBoot = 1');
    expect(stdout).toMatch(/^Secure Boot +on$/m);
    expect(stdout).toMatch(/^loaders +sha256 [0-9a-f]{16} \\EFI\\linux\\shimx64\.efi$/m);
    expect(stdout).toMatch(/^command line +\/boot\/vmlinuz-6\.1 root=LABEL=root ro quiet$/m);
    expect(stdout).toContain('no findings');
    for (const value of Object.values(pcrsOf(LOG).sha256 ?? {})) expect(stdout).toContain(value);
  });

  test('is one JSON line for scripts', async () => {
    const { code, stdout } = await nemea(file('good', LOG), '--json');
    expect(code).toBe(0);
    expect(stdout.trimEnd()).not.toContain('\n');
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      events: 150,
      pcrs: pcrsOf(LOG),
      secureBoot: true,
      findings: [],
      kernelCommandLines: ['/boot/vmlinuz-6.1 root=LABEL=root ro quiet'],
    });
  });

  test('may be odd: then it has findings with their ids, and exits with 0 all the same', async () => {
    const odd = writeAgileLog(['sha256'], [...bootEvents(32), { ...separator(9), data: new Uint8Array(2) }]);
    const padded = new Uint8Array(odd.length + 64);
    padded.set(odd);
    const { code, stdout } = await nemea(file('odd', padded), '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      findings: [{ quirk: 'padding-zeros', event: null }, { quirk: 'separator-size' }],
    });
    expect((await nemea(file('odd', padded))).stdout).toMatch(/^findings: 2$/m);
  });

  test('keeps its answer when the reader leaves before the end, as head does', () => {
    const long = file('long', writeAgileLog(['sha256'], bootEvents(5000)));
    const script = `"${process.execPath}" "${MAIN}" eventlog "${long}" | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script]);
    expect(stdout.toString()).toMatch(/^ {3}# PCR .*\n0\n$/);
    expect(stderr.toString()).toBe('');
  });

  test('may come from standard input', () => {
    const args = [MAIN, 'eventlog', '-', '--json'];
    const { status, stdout } = spawnSync(process.execPath, args, { input: LOG });
    expect(status).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ ok: true, events: 150 });
  });

  test('says that Secure Boot is off, or that nobody knows', async () => {
    const off = writeAgileLog(['sha256'], bootEvents(40, { isSecureBoot: false }));
    expect(JSON.parse((await nemea(file('off', off), '--json')).stdout).secureBoot).toBe(false);
    expect((await nemea(file('off', off))).stdout).toMatch(/^Secure Boot +OFF$/m);
    const none = writeAgileLog(['sha256'], [separator(4)]);
    expect(JSON.parse((await nemea(file('none', none), '--json')).stdout).secureBoot).toBeNull();
  });

  test('of a confidential VM is recognised by its registers', async () => {
    const events = [secureBootVariable('SecureBoot', Uint8Array.of(1)), separator(7)];
    const log = writeAgileLog(
      ['sha384'],
      events.map((event) => ({ ...event, pcr: 1 })),
    );
    const { stdout } = await nemea(file('ccel', log), '--json');
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, registers: 'cc', secureBoot: true });
  });

  test('cannot write to the terminal: control characters, bidi marks and escapes are not printed', async () => {
    const hostile = '\u001b[2J\u202egood\u0007\r\u009b31m';
    const events: WrittenEvent[] = [
      grubText('grub_cmd: ', hostile),
      action(4, hostile),
      grubText('kernel_cmdline: ', hostile),
    ];
    const { code, stdout } = await nemea(file('hostile', writeAgileLog(['sha256'], events)));
    expect(code).toBe(0);
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

describe('PCR values to compare with', () => {
  const wrong = structuredClone(pcrsOf(LOG));
  if (wrong.sha256 !== undefined) wrong.sha256['4'] = '00'.repeat(32);

  test('that the log replays to are confirmed, in JSON or as tpm2_pcrread prints them', async () => {
    const json = file('pcrs.json', JSON.stringify(pcrsOf(LOG)));
    const lines = Object.entries(pcrsOf(LOG).sha256 ?? {}).map(
      ([pcr, hex]) => `    ${pcr.padEnd(2)}: 0x${hex.toUpperCase()}`,
    );
    const text = file('pcrs.txt', ['  sha256:', ...lines].join('\n'));
    const own = file('own.json', (await nemea(file('good', LOG), '--json')).stdout);
    for (const pcrs of [json, text, own]) {
      const { code, stdout } = await nemea(file('good', LOG), '--pcrs', pcrs);
      expect(stdout).toContain('The log replays to the given PCR values.');
      expect(code).toBe(0);
    }
  });

  test('that differ end with code 1 and name the PCR', async () => {
    const pcrs = file('wrong.json', JSON.stringify(wrong));
    const shown = await nemea(file('good', LOG), '--pcrs', pcrs);
    expect(shown.code).toBe(1);
    expect(shown.stdout).toContain('DIFFERENT: PCR 4 of sha256');
    const { code, stdout } = await nemea(file('good', LOG), '--pcrs', pcrs, '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      events: 150,
      mismatches: [{ bank: 'sha256', pcr: 4, want: '00'.repeat(32) }],
      error: { code: 'EVENTLOG_PCR_MISMATCH' },
    });
  });

  test.each([
    ['', 'nothing'],
    ['{', 'no JSON'],
    ['{"sha256": {"0": "zz"}}', 'no hex'],
    ['{"sha256": {"0": "00"}}', 'a short value'],
    ['{"md5": {"0": "00"}}', 'an unknown bank'],
  ])('%j end with code 2: %s', async (text) => {
    const { code, stdout } = await nemea(file('good', LOG), '--pcrs', file('bad', text), '--json');
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'PCRS_UNREADABLE' } });
  });
});

describe('a log that cannot be read', () => {
  test.each<[string, Uint8Array, string]>([
    ['cut', LOG.subarray(0, LOG.length - 3), 'EVENTLOG_TRUNCATED'],
    ['empty', new Uint8Array(0), 'EVENTLOG_EMPTY'],
    ['text', new TextEncoder().encode('this is not an event log at all, not even a short one'), 'EVENTLOG_'],
  ])('because it is %s ends with code 2 and its reason', async (name, bytes, want) => {
    const asJson = await nemea(file(name, bytes), '--json');
    expect(asJson.code).toBe(2);
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      ok: false,
      error: { code: expect.stringContaining(want) },
    });
    const asText = await nemea(file(name, bytes));
    expect(asText).toMatchObject({ code: 2, stdout: '' });
    expect(asText.stderr).toContain(want);
  });

  test('because it is not there, or never ends, ends with code 2', async () => {
    const missing = await nemea(join(dir, 'nothing'), '--json');
    expect(missing.code).toBe(2);
    expect(JSON.parse(missing.stdout)).toMatchObject({ ok: false, error: { code: 'EVENTLOG_UNREADABLE' } });
    const endless = await nemea('/dev/zero', '--json');
    expect(endless.code).toBe(2);
    expect(JSON.parse(endless.stdout)).toMatchObject({ ok: false, error: { code: 'EVENTLOG_TOO_LARGE' } });
  });

  test('because none was named ends with code 2', async () => {
    expect((await nemea()).code).toBe(2);
  });
});
