import { fromHex, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCredential } from './credential.ts';
import type { TpmKey } from './object.ts';
import { TEMPLATES } from './structures/templates.ts';
import { startTestTpm, type TestTpm } from './testing.ts';

// TCG EK Credential Profile, template L-2: P-256, policy PolicySecret(endorsement).
const EK_P256 = fromHex(
  `0023000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa0006008000430010000300100020${'00'.repeat(32)}0020${'00'.repeat(32)}`,
);
const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i + 1);

let software: TestTpm;
let ak: TpmKey;
beforeAll(async () => {
  software = await startTestTpm();
  ak = await software.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
});
afterAll(() => software.stop());

describe.each([
  ['an RSA-2048', TEMPLATES.ek],
  ['a P-256', EK_P256],
])('a credential for %s endorsement key', (_name, template) => {
  let ek: TpmKey;
  beforeAll(async () => {
    ek = await software.tpm.createPrimary({ hierarchy: 'endorsement', template });
  });
  afterAll(() => software.tpm.flush(ek.handle));

  it('gives its secret to the TPM that holds both keys', async () => {
    const credential = makeCredential(ek.publicArea, ak.name, SECRET);
    const secret = await software.tpm.activateCredential({ ak, ek, ...credential });
    expect(toHex(secret)).toBe(toHex(SECRET));
  });

  it('gives nothing when it was made for another attestation key', async () => {
    const otherName = ak.name.with(33, (ak.name[33] as number) ^ 1);
    const credential = makeCredential(ek.publicArea, otherName, SECRET);
    await expect(software.tpm.activateCredential({ ak, ek, ...credential })).rejects.toMatchObject({
      code: 'TPM_CREDENTIAL_REFUSED',
    });
  });

  it('gives nothing when a bit of it was changed', async () => {
    const { credentialBlob, encryptedSecret } = makeCredential(ek.publicArea, ak.name, SECRET);
    const last = credentialBlob.length - 1;
    const changed = credentialBlob.with(last, (credentialBlob[last] as number) ^ 1);
    const request = { ak, ek, credentialBlob: changed, encryptedSecret };
    await expect(software.tpm.activateCredential(request)).rejects.toMatchObject({
      code: 'TPM_CREDENTIAL_REFUSED',
    });
  });
});

describe('makeCredential', () => {
  it('refuses a key that stores nothing, a template and sealed data', () => {
    expect(() => makeCredential(ak.publicArea, ak.name, SECRET)).toThrow(/want a storage key/);
    expect(() => makeCredential(TEMPLATES.srk, ak.name, SECRET)).toThrow(/template/);
    expect(() => makeCredential(fromHex('0008000b00000412000000100000'), ak.name, SECRET)).toThrow(
      /got keyed-hash/,
    );
  });

  it('refuses a stranger’s key that is no point of its curve', async () => {
    const ek = await software.tpm.createPrimary({ hierarchy: 'endorsement', template: EK_P256 });
    await software.tpm.flush(ek.handle);
    const last = ek.publicArea.length - 1;
    const offCurve = ek.publicArea.with(last, (ek.publicArea[last] as number) ^ 1);
    expect(() => makeCredential(offCurve, ak.name, SECRET)).toThrow(/not a valid public key/);
  });

  it('refuses a secret that is empty or longer than the name digest', () => {
    expect(() => makeCredential(EK_P256, ak.name, new Uint8Array(0))).toThrow(/want 1 to 32/);
    expect(() => makeCredential(EK_P256, ak.name, new Uint8Array(33))).toThrow(/got 33 bytes/);
  });
});
