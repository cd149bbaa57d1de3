import { concatBytes, fromHex, toHex } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TpmError } from '../errors.ts';
import { type IdentityVector, readVectors } from '../testing.ts';
import { certificateKeyBits, spkiKeyBits, splitCertificates, trimCertificate } from './certificate.ts';
import { parsePublicArea } from './public-area.ts';
import { toSpki } from './public-key.ts';

const identity = await readVectors<IdentityVector>('tpm/identity.json');
const ek = fromHex(identity.ekCertificate);
const root = fromHex(identity.caRoot);

test('the key in a certificate is that of the TPM', () => {
  const spki = toSpki(parsePublicArea(fromHex(identity.ekPublic)));
  expect(toHex(certificateKeyBits(ek))).toBe(toHex(spkiKeyBits(spki)));
  expect(toHex(certificateKeyBits(root))).not.toBe(toHex(spkiKeyBits(spki)));
});

test('a certificate is found without the padding behind it, and without the header of older TPMs', () => {
  const header = Uint8Array.of(0x10, 0x01, 0x00, ek.length >> 8, ek.length & 0xff);
  expect(trimCertificate(ek)).toEqual(ek);
  expect(trimCertificate(concatBytes(ek, new Uint8Array(40).fill(0xff)))).toEqual(ek);
  expect(trimCertificate(concatBytes(header, ek, new Uint8Array(3)))).toEqual(ek);
  expect(() => trimCertificate(new Uint8Array(0))).toThrow(TpmError);
  expect(() => trimCertificate(ek.slice(0, -1))).toThrow(
    expect.objectContaining({ code: 'TPM_STRUCTURE_INVALID' }),
  );
});

test('certificates one after the other are told apart, up to padding', () => {
  expect(splitCertificates(concatBytes(ek, root, ek))).toEqual([ek, root, ek]);
  expect(splitCertificates(concatBytes(ek, new Uint8Array(9)))).toEqual([ek]);
  expect(splitCertificates(new Uint8Array(5))).toEqual([]);
  expect(() => splitCertificates(concatBytes(ek, root.slice(0, 9)))).toThrow(TpmError);
  expect(() => splitCertificates(concatBytes(...Array.from({ length: 17 }, () => root)))).toThrow(
    'more than 16',
  );
});

test('whatever the bytes, nothing but TpmError is thrown, and nothing longer than them comes out', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(fc.nat(ek.length - 1), fc.nat(255)).map(([at, to]) => ek.with(at, to)),
  );
  fc.assert(
    fc.property(bytes, (input) => {
      for (const read of [trimCertificate, certificateKeyBits, spkiKeyBits]) {
        try {
          expect(read(input).length).toBeLessThanOrEqual(input.length);
        } catch (error) {
          if (!(error instanceof TpmError)) throw error;
        }
      }
    }),
    { numRuns: 2000 },
  );
});
