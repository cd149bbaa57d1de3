import { execFileSync, spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { concatBytes } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, '..', 'main.ts');
const NONCE = '0badcafe00000001';
const dir = mkdtempSync(join(tmpdir(), 'nemea-quote-'));
const at = (name: string): string => join(dir, name);
const socket = at('sock');
let swtpm: ReturnType<typeof spawn>;

/** Runs the command line in a process of its own. */
async function nemea(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, 'quote', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

interface Answer {
  readonly exit: number | null;
  readonly ok: boolean;
  readonly quote?: Record<string, unknown> | null;
  readonly error?: { readonly code: string; readonly message: string };
}

/** `nemea quote verify --json` of the files that tpm2_quote wrote as `made`, but for what is changed. */
async function verify(made: string, change: Record<string, string> = {}, ...more: string[]): Promise<Answer> {
  const options = {
    attest: at(`${made}.msg`),
    signature: at(`${made}.sig`),
    key: at(`${made}.pem`),
    nonce: NONCE,
    pcrs: at(`${made}.pcrs`),
    ...change,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const { code, stdout } = await nemea('verify', ...args, ...more, '--json');
  expect(stdout.trim().split('\n')).toHaveLength(1);
  return { exit: code, ...JSON.parse(stdout) };
}

function changed(name: string, change: (bytes: Uint8Array) => Uint8Array): string {
  const path = at(`changed-${name}`);
  writeFileSync(path, change(new Uint8Array(readFileSync(at(name)))));
  return path;
}

const flip = (byte: number) => (bytes: Uint8Array) => bytes.with(byte, (bytes[byte] as number) ^ 1);

function tpm2(tool: string, ...args: string[]): void {
  const env = { ...process.env, TPM2TOOLS_TCTI: `swtpm:path=${socket}` };
  execFileSync(`tpm2_${tool}`, args, { cwd: dir, env, stdio: 'pipe' });
  // The software TPM has three slots and no resource manager.
  for (const kind of ['-t', '-l', '-s']) execFileSync('tpm2_flushcontext', [kind], { env, stdio: 'pipe' });
}

/** An attestation key and its quote, all by tpm2-tools. */
function quoteByTools(
  name: string,
  key: { type: string; scheme: string; hash?: string; pcrs?: string },
): void {
  const { type, scheme, hash = 'sha256', pcrs = 'sha256:0,1,2,7,14,16' } = key;
  const ek = `${type.startsWith('rsa') ? 'rsa' : 'ecc'}.ek`;
  if (!existsSync(at(ek))) tpm2('createek', '-c', ek, '-G', ek.slice(0, 3), '-u', `${ek}.pub`);
  tpm2('createak', '-C', ek, '-c', `${name}.ak`, '-G', type, '-g', hash, '-s', scheme, '-u', `${name}.pub`);
  tpm2('readpublic', '-c', `${name}.ak`, '-f', 'pem', '-o', `${name}.pem`);
  const output = ['-m', `${name}.msg`, '-s', `${name}.sig`, '-o', `${name}.pcrs`, '-f', 'tss'];
  tpm2('quote', '-c', `${name}.ak`, '-l', pcrs, '-q', NONCE, ...output, '-g', hash, '--scheme', scheme);
}

beforeAll(async () => {
  const state = ['--tpmstate', `dir=${dir}`, '--flags', 'not-need-init,startup-clear'];
  const sockets = ['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${socket}.ctrl`];
  swtpm = spawn('swtpm', ['socket', '--tpm2', ...state, ...sockets], { stdio: 'ignore' });
  while (!existsSync(socket) || !existsSync(`${socket}.ctrl`)) await sleep(5);
  tpm2('pcrextend', `16:sha256=${'ab'.repeat(32)}`);
  quoteByTools('ecc', { type: 'ecc', scheme: 'ecdsa' });
  quoteByTools('p384', { type: 'ecc384', scheme: 'ecdsa', hash: 'sha384' });
  quoteByTools('rsa', { type: 'rsa', scheme: 'rsassa' });
  quoteByTools('pss', { type: 'rsa', scheme: 'rsapss' });
  quoteByTools('banks', {
    type: 'ecc',
    scheme: 'ecdsa',
    pcrs: 'sha256:0,16+sha1:0,3+sha384:5,6,7,8,9,10,11,12,13',
  });
});

afterAll(async () => {
  const exited = once(swtpm, 'exit');
  swtpm.kill();
  await exited;
  rmSync(dir, { recursive: true });
});

describe('a quote by tpm2_quote', () => {
  test.each([
    ['ecc', 'ecdsa', 'sha256'],
    ['p384', 'ecdsa', 'sha384'],
    ['rsa', 'rsassa', 'sha256'],
    ['pss', 'rsapss', 'sha256'],
    ['banks', 'ecdsa', 'sha256'],
  ])('verifies: %s', async (name, scheme, hash) => {
    const answer = await verify(name);
    expect(answer).toMatchObject({
      exit: 0,
      ok: true,
      quote: { type: 'quote', nonce: NONCE, extraData: NONCE, safe: true, signature: { scheme, hash } },
    });
    expect(answer).not.toHaveProperty('error');
  });

  test('is shown decoded, with the PCR values that it vouches for', async () => {
    const { quote } = await verify('ecc');
    expect(quote).toMatchObject({
      clock: expect.stringMatching(/^\d+$/),
      resetCount: expect.any(Number),
      restartCount: 0,
      firmwareVersion: expect.stringMatching(/^\d+$/),
      pcrSelection: { sha256: [0, 1, 2, 7, 14, 16] },
      pcrDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
      qualifiedSigner: expect.stringMatching(/^000b[0-9a-f]{64}$/),
      pcrs: { sha256: { 0: '00'.repeat(32), 16: expect.stringMatching(/^(?!0{64})[0-9a-f]{64}$/) } },
    });
  });

  test('verifies without PCR values, and with the public area as the tools write it', async () => {
    const { stdout, code } = await nemea(
      ...[
        'verify',
        '--attest',
        at('rsa.msg'),
        '--signature',
        at('rsa.sig'),
        '--nonce',
        NONCE,
        '--key',
        at('rsa.pub'),
      ],
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/\ngood\n$/);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('verifies by a key as openssl rsa -RSAPublicKey_out writes it [QUO-2]', async () => {
    const pkcs1 = createPublicKey(readFileSync(at('rsa.pem'))).export({ type: 'pkcs1', format: 'pem' });
    writeFileSync(at('rsa.pkcs1'), pkcs1);
    expect(await verify('rsa', { key: at('rsa.pkcs1') })).toMatchObject({ exit: 0 });
  });

  test('verifies in a TPM2B, with a plain signature, with bare PCR values, with the same values in JSON [QUO-9]', async () => {
    const wrapped = changed('ecc.msg', (bytes) => concatBytes(Uint8Array.of(0, bytes.length), bytes));
    expect(await verify('ecc', { attest: wrapped })).toMatchObject({ exit: 0 });
    const output = ['-m', 'plain.msg', '-s', 'plain.sig', '-o', 'plain.pcrs', '-f', 'plain', '-F', 'values'];
    tpm2('quote', '-c', 'ecc.ak', '-l', 'sha256:0,16+sha1:3', '-q', NONCE, ...output, '-g', 'sha256');
    const options = { key: at('ecc.pem'), plain: 'ecdsa-sha256' };
    expect(await verify('plain', options)).toMatchObject({ exit: 0 });
    const { quote } = await verify('plain', options);
    writeFileSync(at('plain.json'), JSON.stringify(quote?.pcrs));
    expect(await verify('plain', { ...options, pcrs: at('plain.json') })).toMatchObject({ exit: 0 });
    expect(await verify('plain', { ...options, plain: 'ecdsa-sha384' })).toMatchObject({ exit: 1 });
  });

  test('is held against the selection that is asked for', async () => {
    expect(await verify('ecc', { select: 'sha256:0-2,7,14,16' })).toMatchObject({ exit: 0 });
    expect(await verify('ecc', { select: 'sha256:0-7,14,16' })).toMatchObject({
      exit: 1,
      error: { code: 'PCR_SELECTION_WRONG' },
    });
  });
});

describe('a quote is refused with exit code 1 [QUO-10]', () => {
  const attest = (change: (bytes: Uint8Array) => Uint8Array) => () => ({
    attest: changed('ecc.msg', change),
  });
  const signature = (change: (bytes: Uint8Array) => Uint8Array) => () => ({
    signature: changed('ecc.sig', change),
  });
  const more = (bytes: Uint8Array): Uint8Array => concatBytes(bytes, Uint8Array.of(0));
  test.each<[string, () => Record<string, string>, string]>([
    ['another nonce', () => ({ nonce: 'ff' }), 'QUALIFYING_DATA_WRONG'],
    ['another key', () => ({ key: at('banks.pem') }), 'SIGNATURE_WRONG'],
    ['other PCR values', () => ({ pcrs: changed('ecc.pcrs', flip(150)) }), 'PCR_DIGEST_WRONG'],
    ['the PCR values of another quote', () => ({ pcrs: at('banks.pcrs') }), 'PCR_LIST_WRONG'],
    ['another magic', attest(flip(0)), 'ATTEST_MAGIC_WRONG'],
    ['a length that is wrong', attest(flip(6)), 'ATTEST_MALFORMED'],
    ['a bit of the nonce flipped', attest(flip(44)), 'SIGNATURE_WRONG'],
    ['a byte more', attest(more), 'ATTEST_TRAILING'],
    ['a byte less', attest((bytes) => bytes.slice(0, -1)), 'ATTEST_MALFORMED'],
    ['an unknown scheme', signature(flip(0)), 'SIGNATURE_SCHEME_WRONG'],
    ['a bit of r flipped', signature(flip(20)), 'SIGNATURE_WRONG'],
    [
      'r zero',
      signature((bytes) => concatBytes(bytes.slice(0, 6), new Uint8Array(32), bytes.slice(38))),
      'SIGNATURE_OUT_OF_RANGE',
    ],
    ['a byte more after the signature', signature(more), 'SIGNATURE_TRAILING'],
    ['the signature of another quote', () => ({ signature: at('banks.sig') }), 'SIGNATURE_WRONG'],
  ])('with %s', async (_, change, code) => {
    const answer = await verify('ecc', change());
    expect(answer).toMatchObject({ exit: 1, ok: false, error: { code, message: expect.any(String) } });
  });

  test('and says in one line why, for people', async () => {
    const files = ['--attest', at('ecc.msg'), '--signature', at('ecc.sig'), '--key', at('ecc.pem')];
    const { code, stdout } = await nemea('verify', ...files, '--nonce', 'ff');
    expect(code).toBe(1);
    expect(stdout).toMatch(/\nREFUSED: QUALIFYING_DATA_WRONG: made for another nonce\n$/);
  });
});

describe('what is no quote at all ends with exit code 2 [QUO-10]', () => {
  const garbage = (): string => {
    writeFileSync(at('garbage'), 'these are not the bytes of a TPM');
    return at('garbage');
  };
  const empty = (): string => {
    writeFileSync(at('empty'), '');
    return at('empty');
  };
  const privateKey = (): Record<string, string> => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(at('private.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return { key: at('private.pem') };
  };
  test.each<[string, () => Record<string, string>, string]>([
    ['a missing statement', () => ({ attest: at('none') }), 'FILE_UNREADABLE'],
    ['a folder for a signature', () => ({ signature: dir }), 'FILE_UNREADABLE'],
    ['text for a statement', () => ({ attest: garbage() }), 'ATTEST_UNREADABLE'],
    ['nothing for a statement', () => ({ attest: empty() }), 'ATTEST_UNREADABLE'],
    ['text for a signature', () => ({ signature: garbage() }), 'SIGNATURE_UNREADABLE'],
    ['text for a key', () => ({ key: garbage() }), 'KEY_UNREADABLE'],
    ['the wrong kind of file for a key', () => ({ key: at('ecc.sig') }), 'KEY_UNREADABLE'],
    ['a private key', privateKey, 'KEY_UNREADABLE'],
    ['a nonce that is not hex', () => ({ nonce: 'xyz' }), 'NONCE_UNREADABLE'],
    ['a selection that is none', () => ({ select: 'sha256:0-99' }), 'PCRS_UNREADABLE'],
    ['a TSS signature called plain', () => ({ plain: 'ecdsa-sha256' }), 'SIGNATURE_UNREADABLE'],
  ])('%s', async (_, change, code) => {
    expect(await verify('ecc', change())).toMatchObject({ exit: 2, ok: false, error: { code } });
  });

  test('an option, a file or a command that is missing or unknown', async () => {
    expect((await nemea('verify', '--attest', at('ecc.msg'))).code).toBe(2);
    for (const args of [[], ['show'], ['verfy']]) expect((await nemea(...args)).code).toBe(2);
    expect((await nemea('show', '/dev/zero')).code).toBe(2);
  });
});

describe('nemea quote show', () => {
  test('prints statement, signature, public area and key', async () => {
    const files = ['rsa.msg', 'rsa.sig', 'rsa.pub', 'rsa.pem'].map(at);
    const { code, stdout } = await nemea('show', ...files, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      files: [
        { structure: 'TPMS_ATTEST', type: 'quote', nonce: NONCE },
        { structure: 'TPMT_SIGNATURE', scheme: 'rsassa', hash: 'sha256' },
        { structure: 'TPMT_PUBLIC', type: 'rsa', attributes: expect.stringContaining('restricted') },
        { structure: 'SubjectPublicKeyInfo', key: 'RSA-2048' },
      ],
    });
    const text = (await nemea('show', ...files)).stdout;
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('ends with exit code 2 for anything else', async () => {
    expect((await nemea('show', at('ecc.ak'))).code).toBe(2);
  });
});

describe('nemea quote make', () => {
  test('makes what nemea and tpm2-tools verify', async () => {
    const out = at('made');
    const { code, stderr } = await nemea(
      ...['make', '--tpm', `unix:${socket}`, '--pcrs', 'sha256:0-7,14,16', '--nonce', NONCE, '--out', out],
    );
    expect(code, stderr).toBe(0);
    const [attest, signature] = [join(out, 'quote.attest'), join(out, 'quote.signature')];
    for (const key of ['ak.pem', 'ak.pub']) {
      const files = { attest, signature, key: join(out, key), pcrs: join(out, 'pcrs.json') };
      expect(await verify('ecc', { ...files, select: 'sha256:0-7,14,16' })).toMatchObject({ exit: 0 });
    }
    const checked = ['-u', join(out, 'ak.pem'), '-m', attest, '-s', signature, '-q', NONCE, '-g', 'sha256'];
    tpm2('checkquote', ...checked);
    expect(() => tpm2('checkquote', ...checked.with(7, 'ff'))).toThrow();
  });

  test.each([
    ['ecc', 'sha384:0-7,16', 'ecdsa'],
    ['rsa', 'sha1:0,1,16+sha256:0,16+sha384:0-9+sha512:23', 'rsassa'],
    ['rsapss', 'sha256:0-7,14', 'rsapss'],
  ])('quotes by a key of choice, and PCRs of any bank: %s, %s', async (ak, pcrs, scheme) => {
    const out = at(`made-${ak}`);
    const made = ['make', '--tpm', `unix:${socket}`, '--pcrs', pcrs, '--nonce', NONCE, '--out', out];
    const { code, stderr } = await nemea(...made, '--ak', ak);
    expect(code, stderr).toBe(0);
    const [attest, signature, pem] = ['quote.attest', 'quote.signature', 'ak.pem'].map((it) => join(out, it));
    const files = { attest, signature, key: pem, pcrs: join(out, 'pcrs.json') } as Record<string, string>;
    const answer = await verify('ecc', { ...files, select: pcrs });
    expect(answer).toMatchObject({ exit: 0, ok: true, quote: { signature: { scheme, hash: 'sha256' } } });
    const checked = ['-u', pem, '-m', attest, '-s', signature, '-q', NONCE, '-g', 'sha256'] as string[];
    // tpm2_checkquote 5.4 verifies no RSAPSS.
    if (ak !== 'rsapss') tpm2('checkquote', ...checked);
  });

  test('quotes by a persistent key, and refuses a key that is neither', async () => {
    tpm2('evictcontrol', '-C', 'o', '-c', 'p384.ak', '0x81010099');
    const out = at('made-handle');
    const made = ['make', '--tpm', `unix:${socket}`, '--pcrs', 'sha256:0', '--nonce', NONCE, '--out', out];
    expect(await nemea(...made, '--ak', '0x81010099')).toMatchObject({ code: 0 });
    const [attest, signature] = [join(out, 'quote.attest'), join(out, 'quote.signature')];
    const files = { attest, signature, pcrs: join(out, 'pcrs.json') };
    expect(await verify('p384', files)).toMatchObject({ exit: 0, quote: { signature: { hash: 'sha384' } } });
    expect(await nemea(...made, '--ak', 'dsa')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('AK_INVALID'),
    });
  });

  test('says what is wrong with an address, and with a bank', async () => {
    const make = (tpm: string, pcrs: string): Promise<{ code: number | null; stderr: string }> =>
      nemea('make', '--tpm', tpm, '--pcrs', pcrs, '--nonce', NONCE, '--out', at('none'));
    expect(await make('somewhere', 'sha256:0')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('TPM_ADDRESS_INVALID'),
    });
    expect(await make(`unix:${at('none')}`, 'sha256:0')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('TPM_CHANNEL'),
    });
    expect(await make(`unix:${socket}`, 'md5:0')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('PCRS_INVALID'),
    });
    expect(existsSync(at('none'))).toBe(false);
  });
});
