import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ALG } from '@nemea/tpm/structures';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { AttestationError } from '../errors.ts';
import { parseSigningKey } from './signing-key.ts';
import { eccKey, rsaKey, type SoftwareKey } from './testing.ts';

const dir = mkdtempSync(join(tmpdir(), 'signing-key-'));
afterAll(() => rmSync(dir, { recursive: true }));
const at = (name: string): string => join(dir, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });

const ECC = eccKey('P-256', ALG.sha256);
const P384 = eccKey('P-384', ALG.sha384);
const RSA = rsaKey({ bits: 2048, scheme: 'rsassa', hashAlg: ALG.sha256 });

/** A certificate of version 3 that the key signs itself, by another implementation. */
function certificateOf({ privateKey }: SoftwareKey): string {
  writeFileSync(at('key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  openssl('req', '-x509', '-key', 'key', '-subj', '/CN=attestation key', '-out', 'certificate');
  return readFileSync(at('certificate'), 'utf8');
}

/** Of version 1, which names no version. */
function oldCertificateOf(key: SoftwareKey): string {
  certificateOf(key);
  openssl('req', '-new', '-key', 'key', '-subj', '/CN=attestation key', '-out', 'request');
  openssl('x509', '-req', '-in', 'request', '-signkey', 'key', '-out', 'old');
  return readFileSync(at('old'), 'utf8');
}

const derOf = (pem: string): Uint8Array => {
  const base64 = pem.split('\n').filter((line) => !line.startsWith('-'));
  return new Uint8Array(Buffer.from(base64.join(''), 'base64'));
};
const pkcs1 = createPublicKey(RSA.privateKey).export({ type: 'pkcs1', format: 'pem' }).toString();
const certificate = certificateOf(ECC);

describe('a key of a quote [QUO-2]', () => {
  test.each<[string, SoftwareKey, string]>([
    ['a certificate of P-256', ECC, certificate],
    ['a certificate of P-384', P384, certificateOf(P384)],
    ['a certificate of RSA', RSA, certificateOf(RSA)],
    ['a certificate of version 1', ECC, oldCertificateOf(ECC)],
    ['an RSAPublicKey', RSA, pkcs1],
    ['a SubjectPublicKeyInfo', RSA, RSA.pem],
  ])('is the same out of %s, in PEM and in DER', (_what, { spki }, pem) => {
    const wanted = parseSigningKey(spki);
    expect(parseSigningKey(pem)).toEqual(wanted);
    expect(parseSigningKey(new TextEncoder().encode(`\nSubject: CN=attestation key\n${pem}\n`))).toEqual(
      wanted,
    );
    expect(parseSigningKey(derOf(pem))).toEqual(wanted);
  });

  const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
  test.each([
    ['PKCS#8', ECC.privateKey.export({ type: 'pkcs8', format: 'pem' })],
    ['SEC 1', ECC.privateKey.export({ type: 'sec1', format: 'pem' })],
    ['PKCS#1', RSA.privateKey.export({ type: 'pkcs1', format: 'pem' })],
    ['PKCS#8 that is encrypted', ECC.privateKey.export(encrypted)],
    ['a file with its public half', `${ECC.pem}${ECC.privateKey.export({ type: 'pkcs8', format: 'pem' })}`],
  ])('is not private, and the refusal says so: %s', (_what, pem) => {
    expect(() => parseSigningKey(String(pem))).toThrow(
      expect.objectContaining({ code: 'KEY_INVALID', message: expect.stringContaining('private key') }),
    );
  });

  test.each<[string, string | Uint8Array]>([
    ['a private key in DER, PKCS#8', new Uint8Array(ECC.privateKey.export({ type: 'pkcs8', format: 'der' }))],
    ['a private key in DER, SEC 1', new Uint8Array(ECC.privateKey.export({ type: 'sec1', format: 'der' }))],
    ['a private key in DER, PKCS#1', new Uint8Array(RSA.privateKey.export({ type: 'pkcs1', format: 'der' }))],
    ['two keys', `${ECC.pem}${RSA.pem}`],
    ['a chain of certificates', certificate + certificate],
    ['a certificate request', openssl('req', '-new', '-key', 'key', '-subj', '/CN=x').toString()],
    ['a certificate by another name', certificate.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE')],
    ['a SubjectPublicKeyInfo by the name of a certificate', ECC.pem.replaceAll('PUBLIC KEY', 'CERTIFICATE')],
    ['a certificate by the name of a key', certificate.replaceAll('CERTIFICATE', 'PUBLIC KEY')],
    ['an empty block', '-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n'],
    ['an end of another block', ECC.pem.replace('END PUBLIC', 'END RSA PUBLIC')],
    ['a certificate with a byte more', Uint8Array.of(...derOf(certificate), 0)],
    ['a certificate that is cut', derOf(certificate).slice(0, -1)],
    ['an RSAPublicKey with a byte more', Uint8Array.of(...derOf(pkcs1), 0)],
    ['a certificate of Ed25519', ed25519Certificate()],
  ])('is not %s', (_what, key) => {
    expect(() => parseSigningKey(key)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
  });

  test('in a mutated certificate or RSAPublicKey is read, or refused with one code', () => {
    const whole = fc.constantFrom(derOf(certificate), derOf(pkcs1));
    const mutated = whole.chain((der) =>
      fc.tuple(fc.nat(der.length - 1), fc.nat(255)).map(([position, byte]) => der.with(position, byte)),
    );
    fc.assert(
      fc.property(mutated, (der) => {
        try {
          parseSigningKey(der);
        } catch (error) {
          expect(error).toBeInstanceOf(AttestationError);
          expect(error).toMatchObject({ code: 'KEY_INVALID' });
        }
      }),
    );
  });
});

function ed25519Certificate(): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  return certificateOf({
    ...ECC,
    privateKey: createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  });
}
