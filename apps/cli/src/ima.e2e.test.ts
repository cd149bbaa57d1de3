import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

const MAIN = join(import.meta.dirname, 'main.ts');
const VECTORS = join(import.meta.dirname, '../../../vectors');
const dir = mkdtempSync(join(tmpdir(), 'nemea-ima-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const recording = z.object({ pcrs: z.record(z.string(), z.array(z.string())), imaKey: z.string().nullish() });
const recorded = join(VECTORS, 'eventlog/ovmf-kernel');
const facts = recording.parse(JSON.parse(readFileSync(`${recorded}.json`, 'utf8')));
const pcr10 = (bank: string): string => `${bank}:${facts.pcrs[bank]?.[10]}`;

/** Runs the command line in a process of its own. */
function nemeaIma(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'ima', ...args], {
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

const answer = z.looseObject({
  ok: z.boolean(),
  error: z.object({ code: z.string() }).optional(),
  entries: z.number().optional(),
  violations: z.number().optional(),
  pcr10: z.record(z.string(), z.string()).optional(),
  badEntries: z.array(z.object({ number: z.number(), reason: z.string(), path: z.string() })).optional(),
});

function jsonOf(...args: string[]): { code: number | null; json: z.infer<typeof answer> } {
  const { code, stdout } = nemeaIma(...args, '--json');
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  return { code, json: answer.parse(JSON.parse(stdout)) };
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

describe('nemea ima', () => {
  test.each(['txt', 'bin'])('says that a recorded list is good, as one JSON line (%s)', (form) => {
    const { code, json } = jsonOf(
      `${recorded}.ima.${form}`,
      '--pcr10',
      pcr10('sha256'),
      '--pcr10',
      pcr10('sha384'),
    );
    expect(json).toMatchObject({ ok: true, badEntries: [], quote: { ok: true, matched: json.entries } });
    expect(json.violations).toBeGreaterThan(0);
    expect(json.pcr10?.sha1).toBe(facts.pcrs.sha1?.[10]);
    expect(json.pcr10?.sha256).toBe(facts.pcrs.sha256?.[10]);
    expect(code).toBe(0);
  });

  test('reads well on 80 columns', () => {
    const { code, stdout } = nemeaIma(`${recorded}.ima.txt`, '--pcr10', pcr10('sha512'));
    expect(stdout).toMatch(/^GOOD$/m);
    expect(stdout).toMatch(/vouches for \d+ of \d+ entries; sha512 padded$/m);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(code).toBe(0);
  });

  test('says that without a quoted value nothing vouches for a list', () => {
    const { code, stdout } = nemeaIma(`${recorded}.ima.txt`);
    expect(stdout).toMatch(/^CONSISTENT: without --pcr10/m);
    expect(code).toBe(0);
  });

  test('shows PCR 10 of other banks on request', () => {
    const { json } = jsonOf(`${recorded}.ima.txt`, '--bank', 'sha384');
    expect(Object.keys(json.pcr10 ?? {})).toEqual(['sha1', 'sha256', 'sha384']);
  });

  test('exits with 1 for a list that the quoted value does not explain', () => {
    const { code, json } = jsonOf(`${recorded}.ima.txt`, '--pcr10', `sha256:${'ab'.repeat(32)}`);
    expect(json).toMatchObject({ ok: false, error: { code: 'PCR_MISMATCH' } });
    expect(code).toBe(1);
  });

  test('exits with 1 for a changed entry, and names it', () => {
    const text = readFileSync(`${recorded}.ima.txt`, 'utf8').replace(
      '/data/bin/busybox',
      '/data/bin/busyb0x',
    );
    const { code, json } = jsonOf(file('changed.txt', text));
    expect(json.error?.code).toBe('BAD_ENTRIES');
    expect(json.badEntries).toEqual([
      { number: 1, reason: 'TEMPLATE_HASH_MISMATCH', path: '/data/bin/busyb0x' },
    ]);
    expect(code).toBe(1);
  });

  test('checks file signatures against keys', () => {
    const key = file('ima.pem', facts.imaKey ?? '');
    expect(jsonOf(`${recorded}.ima.bin`, '--keys', key)).toMatchObject({ code: 0, json: { ok: true } });
    const other = join(VECTORS, 'ima/rsa2048.pem');
    expect(jsonOf(`${recorded}.ima.bin`, '--keys', other)).toMatchObject({
      code: 1,
      json: { ok: false, error: { code: 'POLICY_REFUSED' } },
    });
  });

  test('judges by a policy, and exits with 1 for what it refuses', () => {
    const lines = readFileSync(`${recorded}.ima.txt`, 'utf8').trimEnd().split('\n');
    const digests: Record<string, string[]> = {};
    for (const [, , , digest = '', path = ''] of lines.map((line) => line.split(' '))) {
      digests[path] = [...(digests[path] ?? []), digest];
    }
    const good = file('good.json', JSON.stringify({ version: 1, digests, violations: 'accept' }));
    expect(jsonOf(`${recorded}.ima.txt`, '--policy', good)).toMatchObject({ code: 0, json: { ok: true } });
    delete digests['/data/bin/busybox'];
    const bad = file('bad.json', JSON.stringify({ version: 1, digests, violations: 'accept' }));
    const { code, stdout } = nemeaIma(`${recorded}.ima.txt`, '--policy', bad);
    expect(stdout).toMatch(/^ +1 PATH_NOT_LISTED +\/data\/bin\/busybox$/m);
    expect(code).toBe(1);
  });

  test.each([
    ['no file', join(dir, 'none'), 'FILE_UNREADABLE'],
    ['an empty file', file('empty', ''), 'IMA_EMPTY'],
    [
      'a list that is cut short',
      file('short', readFileSync(`${recorded}.ima.bin`).subarray(0, 100)),
      'IMA_TRUNCATED',
    ],
    ['something else', file('other', '{"a": 1}\n'), 'IMA_LINE_INVALID'],
  ])('exits with 2 for %s', (_what, path, code) => {
    expect(jsonOf(path)).toMatchObject({ code: 2, json: { ok: false, error: { code } } });
    const text = nemeaIma(path);
    expect(text).toMatchObject({ code: 2, stdout: '' });
    expect(text.stderr).toContain(code);
  });

  test('exits with 2 for a bank that there is not, and for a policy that is none', () => {
    expect(nemeaIma(`${recorded}.ima.txt`, '--pcr10', 'md5:00').code).toBe(2);
    const policy = file('policy.json', '{"version": 1, "digest": {}}');
    expect(jsonOf(`${recorded}.ima.txt`, '--policy', policy)).toMatchObject({
      code: 2,
      json: { error: { code: 'IMA_POLICY_INVALID' } },
    });
  });

  test('reads standard input for -, and no file without end', () => {
    const input = readFileSync(`${recorded}.ima.bin`);
    const { status, stdout } = spawnSync(process.execPath, [MAIN, 'ima', '-', '--json'], { input });
    expect(status).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ ok: true });
    expect(jsonOf('/dev/zero')).toMatchObject({ code: 2, json: { error: { code: 'FILE_UNREADABLE' } } });
  });

  test('writes no control characters of a file name into the terminal', () => {
    const line = `10 ${'11'.repeat(20)} ima-ng sha1:${'22'.repeat(20)} /tmp/\u001b[2J\u202ex\n`;
    const { code, stdout } = nemeaIma(file('escape.txt', line));
    expect(stdout).toContain('/tmp/\\u{1b}[2J\\u{202e}x');
    expect(stdout).not.toContain('\u001b');
    expect(code).toBe(1);
  });
});
