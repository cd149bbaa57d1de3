import { Aes256Gcm, CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import { fromHex, toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openBase, sealBase, sharedSecret } from './hpke.ts';
import { generateReceiverKey, sealToKey } from './stanza.ts';
import { agree, publicKeyOf } from './x25519.ts';

/** RFC 9180, appendix A.1.1. */
const RFC = {
  skEm: '52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736',
  enc: '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431',
  skRm: '4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8',
  pkRm: '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d',
  sharedSecret: 'fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc',
};

const bytes = (max = 300) => fc.uint8Array({ maxLength: max });
const toBuffer = (given: Uint8Array): ArrayBuffer => new Uint8Array(given).buffer;

/** An implementation by others, over WebCrypto. */
const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
});

describe('HPKE', () => {
  test('gives both sides the shared secret of the RFC', () => {
    const enc = publicKeyOf(fromHex(RFC.skEm));
    expect(toHex(enc)).toBe(RFC.enc);
    expect(toHex(publicKeyOf(fromHex(RFC.skRm)))).toBe(RFC.pkRm);
    const publicKey = fromHex(RFC.pkRm);
    const sender = sharedSecret(agree(fromHex(RFC.skEm), publicKey), enc, publicKey);
    const receiver = sharedSecret(agree(fromHex(RFC.skRm), enc), enc, publicKey);
    expect([toHex(sender), toHex(receiver)]).toEqual([RFC.sharedSecret, RFC.sharedSecret]);
  });

  test('seals what another implementation opens', async () => {
    await fc.assert(
      fc.asyncProperty(bytes(), bytes(), bytes(), async (plaintext, info, aad) => {
        const { publicKey, privateKey } = generateReceiverKey();
        const sealed = sealToKey(publicKey, { plaintext, info, aad });
        const recipientKey = await suite.kem.deserializePrivateKey(toBuffer(privateKey));
        const opened = await suite.open(
          { recipientKey, enc: toBuffer(sealed.enc), info: toBuffer(info) },
          toBuffer(sealed.ciphertext),
          toBuffer(aad),
        );
        expect(new Uint8Array(opened)).toEqual(plaintext);
      }),
      { numRuns: 30 },
    );
  });

  test('opens what another implementation sealed', async () => {
    await fc.assert(
      fc.asyncProperty(bytes(), bytes(), bytes(), async (plaintext, info, aad) => {
        const { publicKey, privateKey } = generateReceiverKey();
        const sealed = await suite.seal(
          {
            recipientPublicKey: await suite.kem.deserializePublicKey(toBuffer(publicKey)),
            info: toBuffer(info),
          },
          toBuffer(plaintext),
          toBuffer(aad),
        );
        const stanza = { enc: new Uint8Array(sealed.enc), ciphertext: new Uint8Array(sealed.ct) };
        expect(openBase(privateKey, stanza, { info, aad })).toEqual(plaintext);
      }),
      { numRuns: 30 },
    );
  });

  test('gives the same bytes for the same ephemeral key, and opens none that were changed', () => {
    const ephemeralKey = fromHex(RFC.skEm);
    const info = Uint8Array.of(1);
    const seal = () => sealBase(fromHex(RFC.pkRm), info, { info, aad: info, ephemeralKey });
    expect(seal()).toEqual(seal());
    const { enc, ciphertext } = seal();
    const changes = Array.from(ciphertext, (_, at) => ciphertext.with(at, (ciphertext[at] ?? 0) ^ 1));
    for (const changed of [...changes, ciphertext.slice(1), ciphertext.slice(0, 3)])
      expect(() => openBase(fromHex(RFC.skRm), { enc, ciphertext: changed }, { info, aad: info })).toThrow();
  });
});
