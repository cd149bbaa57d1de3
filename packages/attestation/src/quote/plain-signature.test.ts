import { sign } from 'node:crypto';
import { ALG } from '@nemea/tpm/structures';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AttestationError } from '../errors.ts';
import { fromPlainSignature } from './plain-signature.ts';
import { eccKey, NONCE, quoteBy, rsaKey } from './testing.ts';
import { verifyQuote } from './verify-quote.ts';

const p521 = eccKey('P-521', ALG.sha512);
const ecc = eccKey('P-256', ALG.sha256);
const rsa = rsaKey({ bits: 2048, scheme: 'rsassa', hashAlg: ALG.sha256 });

test.each([
  ['ecdsa-sha256', ecc, 'sha256'],
  ['ecdsa-sha512', p521, 'sha512'],
  ['rsassa-sha256', rsa, 'sha256'],
])('a bare signature counts as the kind it is: %s', (kind, key, hash) => {
  const attest = quoteBy(key);
  const verdict = (claimed: string) =>
    verifyQuote({
      attest,
      signature: fromPlainSignature(new Uint8Array(sign(hash, attest, key.privateKey)), claimed),
      key: key.spki,
      nonce: NONCE,
    });
  expect(verdict(kind)).toMatchObject({ ok: true });
  expect(verdict(kind.replace(/sha\d+/, 'sha384'))).toMatchObject({ error: { code: 'SIGNATURE_WRONG' } });
});

test('a kind is a scheme and a hash', () => {
  for (const kind of ['', 'ecdsa', 'sha256', 'ecdsa-md5', 'dsa-sha256', 'ecdsa-sha256-x', 'ecdsa-toString']) {
    expect(() => fromPlainSignature(new Uint8Array(1), kind), kind).toThrow(AttestationError);
  }
});

test('bytes become a signature of that kind, or are refused with one code', () => {
  const kind = fc.constantFrom('ecdsa-sha256', 'rsassa-sha256', 'rsapss-sha512');
  const der = fc.uint8Array({ maxLength: 80 }).map((rest) => Uint8Array.of(0x30, rest.length, ...rest));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 700 }), der), kind, (bytes, it) => {
      try {
        fromPlainSignature(bytes, it);
      } catch (error) {
        expect(error).toBeInstanceOf(AttestationError);
        expect(error).toMatchObject({ code: 'SIGNATURE_INVALID' });
      }
    }),
  );
});
