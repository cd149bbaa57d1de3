import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const LOG = fileURLToPath(new URL('../../../vectors/eventlog/ovmf-secure-boot.bin', import.meta.url));
const IMA = LOG.replace('.bin', '.ima.bin');
const dir = mkdtempSync(join(tmpdir(), 'refusals-'));
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

const TEXT = file('text', 'what a newcomer took for the right file\n');
const EMPTY = file('empty', '');
const OBJECT = file('object.json', '{}');
const DEEP = file('deep.json', '['.repeat(200_000));
const ESCAPE = file('\u001b[2J', '');
const OUT = join(dir, 'out');
const NO_NETWORK = ['--network', OBJECT];

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function nemea(
  args: readonly string[],
  stdio: readonly ('ignore' | 'pipe' | number)[] = [],
): Promise<Ended> {
  const [input = 'ignore', out = 'pipe'] = stdio;
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: [input, out, 'pipe'], cwd: dir });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => (stdout += chunk));
  child.stderr?.on('data', (chunk) => (stderr += chunk));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

/** What judges has a third answer: that it cannot judge. */
const REFUSALS: readonly (readonly [command: string, args: readonly string[], exit: 1 | 2, code: string])[] =
  [
    ['frobnicate', [], 1, 'USAGE_INVALID'],
    ['quote verfy', [], 2, 'USAGE_INVALID'],
    ['quote verify', ['--attest', TEXT], 2, 'USAGE_INVALID'],
    [
      'quote verify',
      ['--attest', TEXT, '--signature', TEXT, '--key', TEXT, '--nonce', '00'],
      2,
      'ATTEST_UNREADABLE',
    ],
    ['quote show', ['/dev/zero'], 2, 'FILE_UNREADABLE'],
    [
      'quote make',
      ['--tpm', 'unix:/nowhere', '--pcrs', 'sha256:0', '--nonce', 'zz', '--out', OUT],
      1,
      'BYTES_HEX_INVALID',
    ],
    ['ear verify', [TEXT, '--key', DEEP], 2, 'FILE_UNREADABLE'],
    ['eventlog', [EMPTY], 2, 'EVENTLOG_EMPTY'],
    ['eventlog', [LOG, '--pcrs', TEXT], 2, 'PCRS_UNREADABLE'],
    ['eventlog', [], 2, 'USAGE_INVALID'],
    ['ima', [dir], 2, 'FILE_UNREADABLE'],
    ['ima', [IMA, '--policy', DEEP], 2, 'FILE_UNREADABLE'],
    ['ima', [IMA, '--policy', ESCAPE], 2, 'FILE_UNREADABLE'],
    ['attest', ['node-three'], 2, 'NODE_UNKNOWN'],
    ['attest', [`0x${'11'.repeat(20)}`, ...NO_NETWORK], 2, 'NETWORK_INVALID'],
    ['attest', [TEXT, '--policy', OBJECT, '--ak', TEXT, '--nonce', '00'], 2, 'EVIDENCE_INVALID'],
    ['verify', ['/dev/zero', '--rpc', 'http://127.0.0.1:9'], 2, 'REPORT_UNREADABLE'],
    ['verify', [OBJECT, '--rpc', 'no address'], 2, 'REPORT_MALFORMED'],
    ['policy explain', [OBJECT], 1, 'POLICY_INVALID'],
    ['policy learn', ['--eventlog', LOG, '--out', OUT, '--ak', DEEP], 1, 'AK_UNREADABLE'],
    ['policy learn', ['--eventlog', LOG, '--out', '/proc/nowhere'], 1, 'FILE_UNWRITABLE'],
    ['policy learn', ['--eventlog', LOG, '--out', TEXT], 1, 'FILE_UNWRITABLE'],
    [
      'evidence pack',
      ['--attest', TEXT, '--signature', TEXT, '--pcrs', EMPTY, '--out', OUT],
      1,
      'FILE_UNREADABLE',
    ],
    ['corim import', ['/dev/zero'], 1, 'FILE_UNREADABLE'],
    ['corim export', [TEXT, '--id', 'x', '--out', OUT], 1, 'FILE_UNREADABLE'],
    ['capsule inspect', ['/dev/zero'], 1, 'FILE_UNREADABLE'],
    ['capsule seal', [TEXT, '--device', dir, '--code', TEXT, '--hours', 'long'], 1, 'USAGE_INVALID'],
    [
      'task submit',
      ['--device', dir, '--code', TEXT, '--capsule', '00', '--fee', 'much'],
      1,
      'USAGE_INVALID',
    ],
    ['task status', ['00', ...NO_NETWORK], 1, 'NETWORK_INVALID'],
    ['client init', ['--dir', TEXT], 1, 'FILE_UNWRITABLE'],
    ['client status', ['--dir', dir], 1, 'CONTROL_UNREACHABLE'],
    ['node init', ['--dir', OUT, '--overlay-port', '99999'], 1, 'USAGE_INVALID'],
    ['devnet up', ['--nodes', 'five', '--dir', OUT], 1, 'USAGE_INVALID'],
    ['devnet fund', ['me', '--dir', OUT], 1, 'ACCOUNT_INVALID'],
    ['demo', ['--nodes', '2', '--dir', OUT], 1, 'USAGE_INVALID'],
    ['tpm info', ['--tpm', 'tcp:127.0.0.1:99999'], 1, 'TPM_ADDRESS_INVALID'],
    ['tpm info', ['--tpm', 'device:/dev/null'], 1, 'TPM_CHANNEL'],
  ];

describe('every failure is one line with a code, as text and as JSON, and leaves nothing behind', () => {
  test.concurrent.each(REFUSALS)('nemea %s %j exits with %i: %s', async (command, args, exit, code) => {
    const call = [...command.split(' '), ...args];
    const text = await nemea(call);
    expect(text.stderr).toMatch(new RegExp(`^nemea: ${code}[A-Z_]*: [^\\p{C}]+\\n$`, 'u'));
    expect(text).toMatchObject({ code: exit, stdout: '' });
    const json = await nemea([...call, '--json']);
    expect(json).toMatchObject({ code: exit, stderr: '' });
    expect(json.stdout).toMatch(/^[^\n]+\n$/);
    expect(JSON.parse(json.stdout)).toEqual({
      ok: false,
      error: { code: expect.stringMatching(new RegExp(`^${code}`)), message: expect.any(String) },
    });
    expect(existsSync(OUT)).toBe(false);
  });

  test('help is no failure', async () => {
    expect(await nemea(['quote', 'verify', '--help'])).toMatchObject({ code: 0, stderr: '' });
    expect(await nemea(['--version'])).toMatchObject({ code: 0, stdout: '0.1.0\n' });
  });

  test('an answer that the disk has no room for is not given', async () => {
    const full = openSync('/dev/full', 'w');
    const { code, stderr } = await nemea(['eventlog', LOG, '--json'], ['ignore', full]);
    closeSync(full);
    expect(stderr).toMatch(/^nemea: OUTPUT_LOST: .*\n$/);
    expect(code).toBe(2);
  });
});

test('standard input is read to its end, however slowly it comes', async () => {
  const child = spawn('sh', [
    '-c',
    `(sleep 1; cat "$0") | "$1" "$2" eventlog - --json`,
    LOG,
    process.execPath,
    MAIN,
  ]);
  let stdout = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, events: expect.any(Number) });
});
