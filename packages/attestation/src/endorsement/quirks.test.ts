import 'reflect-metadata';
import { concatBytes, fromHex, fromUtf8, toHex } from '@nemea/core';
import { X509CertificateGenerator } from '@peculiar/x509';
import { beforeAll, describe, expect, test } from 'vitest';
import { childrenOf, type Der, encodeDer, parseDer, TAG } from '../der.ts';
import { toDer } from '../ecdsa-der.ts';
import { LEVEL } from '../level.ts';
import { parseCertificate } from './certificate.ts';
import { verifyEkCertificate } from './ek-certificate.ts';
import { EK_QUIRKS } from './quirks.ts';
import { EC, EK_EXTENSIONS, type Maker, NOW_MS, newMaker } from './test-authority.ts';

/** What makers do, done to certificates that are then signed anew. */

const RSA = fromHex('06092a864886f70d010101');
const OAEP = fromHex('06092a864886f70d010107');
// TBSCertificate (RFC 5280, 4.1): version, serial, signature, issuer, validity, subject, key, extensions.
const FIELD = { subject: 5, key: 6, extensions: 7 } as const;

let maker: Maker;
beforeAll(async () => {
  maker = await newMaker();
});

/** The certificate with one field of its body changed, and a signature over that. */
async function reissued(
  der: Uint8Array,
  at: keyof typeof FIELD,
  change: (field: Der) => Uint8Array,
): Promise<Uint8Array> {
  const [body, algorithm] = childrenOf(parseDer(der));
  if (body === undefined || algorithm === undefined) throw new Error('no certificate');
  const fields = childrenOf(body).map((field, i) => (i === FIELD[at] ? change(field) : field.whole));
  const signed = encodeDer(TAG.sequence, ...fields);
  const raw = await crypto.subtle.sign(EC, maker.middle.privateKey, new Uint8Array(signed));
  const rs = new Uint8Array(raw);
  const signature = toDer({ r: rs.subarray(0, 32), s: rs.subarray(32) });
  return encodeDer(
    TAG.sequence,
    signed,
    algorithm.whole,
    encodeDer(TAG.bitString, Uint8Array.of(0), signature),
  );
}

const verify = (der: Uint8Array) =>
  verifyEkCertificate({
    chain: [der, maker.middleDer],
    roots: [{ certificate: maker.rootDer, levelMax: LEVEL.hardware }],
    nowMs: NOW_MS,
  });

describe('an oddity of makers is read, and told [EK-11]', () => {
  test('a default that is written out, as Intel does', async () => {
    const odd = await reissued(await maker.leaf(), 'extensions', (field) => {
      const [list] = childrenOf(field);
      const extensions = childrenOf(list as Der).map((extension) => {
        const [type, second, third] = childrenOf(extension) as [Der, Der, Der?];
        if (third !== undefined) return extension.whole;
        return encodeDer(TAG.sequence, type.whole, Uint8Array.of(1, 1, 0), second.whole);
      });
      return encodeDer(TAG.context3, encodeDer(TAG.sequence, ...extensions));
    });
    expect(verify(odd)).toMatchObject({ quirks: ['default-encoded'], level: LEVEL.hardware });
  });

  test('attributes of a name out of order, as Nuvoton has them: the name is the same', async () => {
    const leaf = await maker.leaf();
    const attribute = (oid: string, text: string) =>
      encodeDer(TAG.sequence, fromHex(oid), encodeDer(TAG.utf8String, fromUtf8(text)));
    // Country, then common name, in one relative name.
    const parts = [attribute('0603550406', 'TW'), attribute('0603550403', 'a TPM')];
    const named = (order: readonly Uint8Array[]) =>
      reissued(leaf, 'subject', () => encodeDer(TAG.sequence, encodeDer(TAG.set, ...order)));
    const [one, two] = [await named(parts), await named([...parts].reverse())];
    expect(parseCertificate(one).subject.canonical).toBe(parseCertificate(two).subject.canonical);
    expect([verify(one).quirks, verify(two).quirks].sort()).toEqual([[], ['name-unsorted']]);
  });

  test('an RSA key that is declared for OAEP, as Infineon does: it is the key that the TPM shows', async () => {
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048 };
    const rsa = await crypto.subtle.generateKey(
      { ...algorithm, publicExponent: Uint8Array.of(1, 0, 1) },
      true,
      ['sign', 'verify'],
    );
    const made = await X509CertificateGenerator.create({
      serialNumber: '05',
      issuer: 'CN=Middle',
      subject: 'CN=unknown',
      notBefore: new Date(NOW_MS - 1000),
      notAfter: new Date(NOW_MS + 1000),
      signingAlgorithm: EC,
      publicKey: rsa.publicKey,
      signingKey: maker.middle.privateKey,
      extensions: EK_EXTENSIONS,
    });
    const plain = new Uint8Array(made.rawData);
    const odd = await reissued(plain, 'key', ({ whole }) =>
      fromHex(toHex(whole).replace(toHex(RSA), toHex(OAEP))),
    );
    const { publicKeySpki, ekId, quirks } = verify(odd);
    expect(quirks).toEqual(['oaep-key']);
    expect({ publicKeySpki, ekId }).toEqual({
      publicKeySpki: verify(plain).publicKeySpki,
      ekId: verify(plain).ekId,
    });
  });
});

test('every oddity of the table is one of these', () => {
  expect(Object.keys(EK_QUIRKS)).toEqual(['default-encoded', 'name-unsorted', 'oaep-key']);
});

describe('a key that is weak or unknown is refused [EK-7]', () => {
  test.each([
    ['RSA-1024', 1024],
    ['RSA-1536', 1536],
  ])('%s', async (_, modulusLength) => {
    const rsa = await crypto.subtle.generateKey(
      { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength, publicExponent: Uint8Array.of(1, 0, 1) },
      true,
      ['sign', 'verify'],
    );
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', rsa.publicKey));
    const weak = await reissued(await maker.leaf(), 'key', () => spki);
    expect(() => verify(weak)).toThrow(expect.objectContaining({ code: 'EK_KEY_WEAK' }));
  });

  test('a curve that is not judged', async () => {
    // id-ecPublicKey with SM2, and a point of its size.
    const algorithm = encodeDer(TAG.sequence, fromHex('06072a8648ce3d0201'), fromHex('06082a811ccf5501822d'));
    const point = concatBytes(Uint8Array.of(0, 4), new Uint8Array(64).fill(3));
    const spki = encodeDer(TAG.sequence, algorithm, encodeDer(TAG.bitString, point));
    const foreign = await reissued(await maker.leaf(), 'key', () => spki);
    expect(() => verify(foreign)).toThrow(expect.objectContaining({ code: 'EK_KEY_WEAK' }));
  });
});
