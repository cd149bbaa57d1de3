import { X509Certificate } from 'node:crypto';
import { concatBytes, fromHex, fromUtf8, sha256, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCredential } from './credential.ts';
import {
  listEkCertificates,
  readEkChain,
  readEkTemplate,
  readEndorsementKey,
  withEk,
} from './endorsement-key.ts';
import { openIdentity } from './identity.ts';
import { nvDefine, nvWrite } from './nv.ts';
import { createPrimary, flush, type TpmKey } from './object.ts';
import { storePersistent } from './persistent.ts';
import { EK_TEMPLATES, type EkTemplateId } from './structures/ek-templates.ts';
import { nameOf, parsePublicArea } from './structures/public-area.ts';
import { toSpki } from './structures/public-key.ts';
import { TEMPLATES } from './structures/templates.ts';
import { type IdentityVector, readVectors, startTestTpm, type TestTpm } from './testing.ts';

const SECRET = sha256(fromUtf8('credential'));
const identity = await readVectors<IdentityVector>('tpm/identity.json');

describe('a TPM that its maker provisioned', () => {
  let maker: TestTpm;
  beforeAll(async () => {
    maker = await startTestTpm({ setup: [] });
  });
  afterAll(() => maker.stop());

  test('has the certificates L-1 and H-3, each of the key that its template gives [EK-2]', async () => {
    const { tpm, authority } = maker;
    const ids = await tpm.exclusive(listEkCertificates);
    expect(ids).toEqual(['L-1', 'H-3']);
    const issuer = new X509Certificate(authority?.intermediate ?? '');
    for (const id of ids) {
      const key = await tpm.exclusive((io) => readEndorsementKey(io, id));
      const certificate = new X509Certificate(key.certificate);
      expect(certificate.verify(issuer.publicKey)).toBe(true);
      const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
      expect(toHex(spki)).toBe(toHex(toSpki(parsePublicArea(key.publicArea))));
      expect(key.name).toEqual(nameOf(key.publicArea));
      // Not from where the maker stored it, but made anew.
      const template = { hierarchy: 'endorsement', template: EK_TEMPLATES[id].template } as const;
      await using made = await tpm.createPrimary(template);
      expect(toHex(made.name)).toBe(toHex(key.name));
    }
  });

  test.each(['L-1', 'H-3'] as const)(
    'activates a credential by its key %s, under the policy of its range [EK-3]',
    async (ek) => {
      const opened = await openIdentity(maker.tpm, { ek });
      expect(opened.ekTemplate).toBe(ek);
      const credential = makeCredential(opened.ekPublic, opened.akName, SECRET);
      expect(toHex(await opened.activateCredential(credential))).toBe(toHex(SECRET));
      const other = makeCredential(opened.ekPublic, nameOf(opened.vrfPublic), SECRET);
      await expect(opened.activateCredential(other)).rejects.toMatchObject({
        code: 'TPM_CREDENTIAL_REFUSED',
      });
      await opened.close();
    },
  );

  test('stands for itself with the first certificate, and has no other', async () => {
    const opened = await openIdentity(maker.tpm);
    expect(opened).toMatchObject({ ekTemplate: 'L-1', ekChain: [] });
    await opened.close();
    await expect(openIdentity(maker.tpm, { ek: 'H-1' })).rejects.toMatchObject({
      code: 'TPM_EK_CERTIFICATE_MISSING',
    });
  });
});

describe('a TPM that its maker provisioned with RSA 3072', () => {
  test('has the certificate H-6 and activates by it', async () => {
    const maker = await startTestTpm({ setup: ['--rsa-keysize', '3072'] });
    expect(await maker.tpm.exclusive(listEkCertificates)).toEqual(['H-3', 'H-6']);
    const opened = await openIdentity(maker.tpm, { ek: 'H-6' });
    const credential = makeCredential(opened.ekPublic, opened.akName, SECRET);
    expect(toHex(await opened.activateCredential(credential))).toBe(toHex(SECRET));
    await maker.stop();
  });
});

describe('on a TPM without certificates', () => {
  let blank: TestTpm;
  beforeAll(async () => {
    blank = await startTestTpm();
  });
  afterAll(() => blank.stop());

  /** What a maker would have stored. */
  async function store(index: number, content: Uint8Array): Promise<void> {
    await blank.tpm.exclusive(async (io) => {
      await nvDefine(io, { index, dataSize: content.length });
      await nvWrite(io, index, content);
    });
  }

  test('every template but that of SM2 makes a key by which credentials are activated', async () => {
    const ids: readonly EkTemplateId[] = ['L-1', 'L-2', 'H-1', 'H-2', 'H-3', 'H-4', 'H-6'];
    await using ak = await blank.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
    for (const id of ids) {
      const secret = await blank.tpm.exclusive((io) => withEk(io, id, async (key) => key.publicArea));
      const credential = makeCredential(secret, ak.name, SECRET);
      const template = { hierarchy: 'endorsement', template: EK_TEMPLATES[id].template } as const;
      await using ek = await blank.tpm.createPrimary(template);
      expect(toHex(await blank.tpm.activateCredential({ ak, ek, ...credential })), id).toBe(toHex(SECRET));
    }
  });

  test('no certificate is found, nor a chain', async () => {
    const { tpm } = blank;
    expect(await tpm.exclusive(listEkCertificates)).toEqual([]);
    expect(await tpm.exclusive(readEkChain)).toEqual([]);
    await expect(tpm.exclusive((io) => readEndorsementKey(io, 'L-1'))).rejects.toMatchObject({
      code: 'TPM_EK_CERTIFICATE_MISSING',
    });
    await expect(openIdentity(tpm)).rejects.toMatchObject({ code: 'TPM_EK_CERTIFICATE_MISSING' });
  });

  test("a maker's nonce and template count, and make another key", async () => {
    const keyOf = (id: EkTemplateId): Promise<TpmKey> =>
      blank.tpm.exclusive((io) => withEk(io, id, async (key) => key));
    const before = await keyOf('L-2');
    const nonce = sha256(fromUtf8('nonce'));
    await store(0x01c0000b, nonce);
    const template = parsePublicArea(await blank.tpm.exclusive((io) => readEkTemplate(io, 'L-2')));
    expect(template).toMatchObject({ type: 'ecc', x: nonce, y: new Uint8Array(32) });
    const after = await keyOf('L-2');
    expect(toHex(after.name)).not.toBe(toHex(before.name));
    // In the high range a maker's template stands behind the certificate's index.
    await store(0x01c00015, EK_TEMPLATES['L-2'].template);
    expect(await blank.tpm.exclusive((io) => readEkTemplate(io, 'H-2'))).toEqual(
      EK_TEMPLATES['L-2'].template,
    );
    expect(toHex((await keyOf('H-2')).name)).toBe(toHex(before.name));
  });

  test('a certificate of another key is refused, padding and all', async () => {
    await store(0x01c00002, concatBytes(fromHex(identity.ekCertificate), new Uint8Array(7).fill(0xff)));
    await expect(blank.tpm.exclusive((io) => readEndorsementKey(io, 'L-1'))).rejects.toMatchObject({
      code: 'TPM_KEY_UNEXPECTED',
    });
  });

  test('a chain is read over several indexes, wherever it was cut', async () => {
    const [root, intermediate] = [fromHex(identity.caRoot), fromHex(identity.caIntermediate)];
    const stored = concatBytes(intermediate, root);
    await store(0x01c00100, stored.slice(0, 700));
    await store(0x01c00101, stored.slice(700));
    expect(await blank.tpm.exclusive(readEkChain)).toEqual([intermediate, root]);
  });

  test('a persistent key is used as it is, whatever others are stored beside it', async () => {
    const stored = await blank.tpm.exclusive(async (io) => {
      const key = await createPrimary(io, {
        hierarchy: 'endorsement',
        template: EK_TEMPLATES['H-4'].template,
      });
      await storePersistent(io, key, 0x81010005);
      await flush(io, key.handle);
      return key;
    });
    const used = await blank.tpm.exclusive((io) => withEk(io, 'H-4', async (key) => key));
    expect(used).toMatchObject({ handle: 0x81010005, name: stored.name });
  });
});
