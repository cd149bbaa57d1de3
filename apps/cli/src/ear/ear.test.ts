import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { appraise } from '@nemea/attestation';
import { signEar } from '@nemea/attestation/ear';
import { appraisalOf, EXPECTED } from '@nemea/attestation/testing';
import { toHex } from '@nemea/core';
import { afterAll, describe, expect, test } from 'vitest';
import { checkEarFile, isTrusted, toJson, toText } from './ear.ts';
import { readSigner, readVerifier } from './key.ts';

const dir = mkdtempSync(join(tmpdir(), 'ear-'));
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

const pem = (key: KeyObject, type: 'pkcs8' | 'spki' | 'sec1') =>
  String(key.export({ type, format: 'pem' } as never));
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const secret = file('p256.key', pem(p256.privateKey, 'pkcs8'));
const key = file('p256.pem', pem(p256.publicKey, 'spki'));
const nonce = toHex(EXPECTED.challenge);

async function signed(name: string, changes: Parameters<typeof appraisalOf>[0] = {}): Promise<string> {
  const content = {
    verifier: { developer: 'test', build: '1' },
    nonce: EXPECTED.challenge,
    policyIds: ['sha256:00'],
    result: appraise(appraisalOf(changes)),
  };
  return file(name, await signEar(readSigner(secret), content));
}

const good = await signed('good.ear');
const late = { appraisal: { nowMs: 20_000, expected: { ...EXPECTED, deadlineMs: 1 } } };

describe('a signed result', () => {
  test('is trusted under its key, and says for which challenge and by which policy', () => {
    const checked = checkEarFile(good, { key, nonce });
    expect(isTrusted(checked)).toBe(true);
    expect(toJson(checked)).toMatchObject({ ok: true, trusted: true, nonce, policyIds: ['sha256:00'] });
    expect(toText(checked)).toMatch(/^issued 1970-.* by 1 \(test\)$/m);
    expect(toText(checked)).toMatch(/trusted$/);
  });

  test('of a machine that is not trusted is shown, and is no reason for trust', async () => {
    const checked = checkEarFile(await signed('late.ear', late), { key });
    expect(isTrusted(checked)).toBe(false);
    expect(toJson(checked)).toMatchObject({ ok: false, trusted: false, verdict: 'contraindicated' });
    expect(toText(checked)).toContain('NOT trusted: freshness EVIDENCE_STALE');
  });

  test('for another challenge is refused', () => {
    const checked = checkEarFile(good, { key, nonce: '00' });
    expect(isTrusted(checked)).toBe(false);
    expect(toJson(checked)).toMatchObject({ ok: false, error: { code: 'NONCE_WRONG' } });
  });

  test.each([
    ['under another key', (bytes: Uint8Array) => bytes, p256Other(), 'COSE_SIGNATURE_WRONG'],
    ['under a key of another curve', (bytes: Uint8Array) => bytes, p384.publicKey, 'COSE_INVALID'],
    [
      'with a changed byte',
      (bytes: Uint8Array) => bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1),
      p256.publicKey,
      'COSE_SIGNATURE_WRONG',
    ],
    ['that was cut', (bytes: Uint8Array) => bytes.slice(0, -1), p256.publicKey, 'CBOR_MALFORMED'],
    ['with a byte more', (bytes: Uint8Array) => Uint8Array.of(...bytes, 0), p256.publicKey, 'CBOR_MALFORMED'],
  ])('%s is refused', (_what, change, under, code) => {
    const path = file('changed.ear', change(new Uint8Array(readFileSync(good))));
    const checked = checkEarFile(path, { key: file('under.pem', pem(under, 'spki')) });
    expect(checked).toMatchObject({ ear: null, error: { code } });
    expect(isTrusted(checked)).toBe(false);
  });

  test.each([
    ['nothing', ''],
    ['text', 'result'],
    ['its own key', pem(p256.publicKey, 'spki')],
  ])('is not %s', (_what, content) => {
    const path = file('other', content);
    expect(() => checkEarFile(path, { key })).toThrow(expect.objectContaining({ code: 'EAR_UNREADABLE' }));
  });

  test('cannot be checked against what is no nonce', () => {
    for (const text of ['', 'xy', 'abc'])
      expect(() => checkEarFile(good, { key, nonce: text })).toThrow(
        expect.objectContaining({ code: 'NONCE_INVALID' }),
      );
  });
});

function p256Other(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
}

describe('a key that signs results', () => {
  test.each([
    ['P-256 in PKCS#8', p256, 'pkcs8'],
    ['P-256 in SEC 1', p256, 'sec1'],
    ['P-384 in PKCS#8', p384, 'pkcs8'],
  ] as const)('may be %s', async (_what, pair, type) => {
    const content = {
      verifier: { developer: 'test', build: '1' },
      nonce: EXPECTED.challenge,
      policyIds: [],
      result: appraise(appraisalOf()),
    };
    const ear = await signEar(readSigner(file('any.key', pem(pair.privateKey, type))), content);
    const publicKey = file('any.pem', pem(pair.publicKey, 'spki'));
    expect(isTrusted(checkEarFile(file('any.ear', ear), { key: publicKey }))).toBe(true);
  });

  const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' } as const;
  test.each([
    ['nothing', ''],
    ['a public key', pem(p256.publicKey, 'spki')],
    ['an RSA key', pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, 'pkcs8')],
    ['an encrypted key', String(p256.privateKey.export(encrypted))],
    ['a key that was cut', pem(p256.privateKey, 'pkcs8').slice(0, 100)],
  ])('is not %s, and nothing of the file is in the refusal', (_what, content) => {
    const path = file('no.key', content);
    expect(() => readSigner(path)).toThrow(
      expect.objectContaining({
        code: 'KEY_UNREADABLE',
        message: expect.stringMatching(
          /no\.key: want a private key (in PEM that is not encrypted|on P-256 or P-384)$/,
        ),
      }),
    );
  });

  test('checks nothing when it is private', () => {
    expect(() => readVerifier(secret)).toThrow(expect.objectContaining({ code: 'KEY_UNREADABLE' }));
  });
});
