import 'reflect-metadata';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { AttestationError } from '../errors.ts';
import { parseCertificate } from './certificate.ts';
import { parseCrl } from './crl.ts';
import { crl, EK_EXTENSIONS, type Maker, newMaker } from './test-authority.ts';

let maker: Maker;
let leaf: Uint8Array;
let list: Uint8Array;
beforeAll(async () => {
  maker = await newMaker();
  leaf = await maker.leaf();
  list = await crl({ issuer: 'CN=Middle', signer: maker.middle, revoked: ['01', '7fffffffffffffff'] });
});

/** Nothing but the package's own error, with the code of what was parsed. */
function throwsOnly(code: string, parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    expect(error.code).toBe(code);
  }
}

const changes = fc.array(fc.record({ at: fc.nat(), to: fc.nat(255) }), { minLength: 1, maxLength: 4 });

function changed(bytes: Uint8Array, edits: readonly { at: number; to: number }[]): Uint8Array {
  const copy = bytes.slice();
  for (const { at, to } of edits) copy[at % copy.length] = to;
  return copy;
}

test('a certificate with changed bytes is read, or refused as malformed', () => {
  fc.assert(
    fc.property(changes, (edits) => {
      throwsOnly('EK_CERTIFICATE_MALFORMED', () => parseCertificate(changed(leaf, edits)));
    }),
    { numRuns: 2000 },
  );
});

test('a CRL with changed bytes is read, or refused', () => {
  fc.assert(
    fc.property(changes, (edits) => {
      throwsOnly('EK_CRL_INVALID', () => parseCrl(changed(list, edits)));
    }),
    { numRuns: 2000 },
  );
});

test('neither is read when it is cut at any byte, or has one more', () => {
  for (let end = 0; end < leaf.length; end++) {
    expect(() => parseCertificate(leaf.slice(0, end))).toThrow(
      expect.objectContaining({ code: 'EK_CERTIFICATE_MALFORMED' }),
    );
  }
  for (let end = 0; end < list.length; end++) {
    expect(() => parseCrl(list.slice(0, end))).toThrow(expect.objectContaining({ code: 'EK_CRL_INVALID' }));
  }
  expect(() => parseCertificate(Uint8Array.of(...leaf, 0))).toThrow(AttestationError);
  expect(() => parseCrl(Uint8Array.of(...list, 0))).toThrow(AttestationError);
});

test('what is read of a certificate and a CRL is what was written', async () => {
  const read = parseCertificate(leaf);
  expect(read).toMatchObject({ serial: '0badcafe', isAuthority: false, keyUsage: 0x10, quirks: [] });
  expect(read.extensions).toHaveLength(EK_EXTENSIONS.length);
  expect(new Date(read.notAfterMs).toISOString()).toBe('2027-01-01T00:00:00.000Z');
  const { revoked, issuer } = parseCrl(list);
  expect([...revoked]).toEqual(['01', '7fffffffffffffff']);
  expect(issuer.canonical).toBe(read.issuer.canonical);
});
