import { fromUtf8, sha256, toHex } from '@nemea/core';
import { makeCredential, TEMPLATES, type TpmKey } from '@nemea/tpm';
import { encodePublicArea, parsePublicArea, toSpki } from '@nemea/tpm/structures';
import { startTestTpm } from '@nemea/tpm/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  beginEnrolment,
  checkActivation,
  completeEnrolment,
  type EndorsedEk,
  ekIdOf,
  pinnedEk,
} from '../enrolment.ts';
import { checkKeyCertification } from '../key-certification.ts';
import { checkVrfCertification } from '../key-profile.ts';
import { LEVEL } from '../level.ts';

/** Both sides of an enrolment, the candidate's on a software TPM. */

const SECRET = sha256(fromUtf8('secret'));
const DATA = sha256(fromUtf8('this account, this network'));
// userWithAuth, sign, noDA, sensitiveDataOrigin: neither fixedTPM nor fixedParent.
const EXPORTABLE = 0x00040460;

let server: Awaited<ReturnType<typeof startTestTpm>>;
let ek: TpmKey;
let ak: TpmKey;
let vrf: TpmKey;
beforeAll(async () => {
  server = await startTestTpm();
  ek = await server.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ek });
  ak = await server.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
  vrf = await server.tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.vrf });
});
afterAll(() => server.stop());

function endorsedKey(key: TpmKey): EndorsedEk {
  const publicKeySpki = toSpki(parsePublicArea(key.publicArea));
  return { publicKeySpki, ekId: sha256(publicKeySpki), level: LEVEL.development };
}

const request = () => ({
  ekPublic: ek.publicArea,
  endorsement: endorsedKey(ek),
  akPublic: ak.publicArea,
  secret: SECRET,
});

const refusal = (code: string) => expect.objectContaining({ code });

describe('enrolment', () => {
  test('is proven by the TPM that holds both keys, with the keys that the AK certified [EK-12]', async () => {
    const enrolment = beginEnrolment(request());
    const secret = await server.tpm.activateCredential({ ak, ek, ...enrolment.credential });
    const { attest, signature } = await server.tpm.certify(vrf, ak, DATA);
    const key = { attest, signature, keyPublic: vrf.publicArea, qualifyingData: DATA };
    const enrolled = completeEnrolment(enrolment, { secret, keys: [key] });
    expect(enrolled).toEqual({
      ekId: endorsedKey(ek).ekId,
      level: LEVEL.development,
      akPublic: ak.publicArea,
      akName: ak.name,
      keyNames: [vrf.name],
    });
  });

  test('is refused without the secret, or with one that was recovered for another AK [EK-14]', async () => {
    const enrolment = beginEnrolment(request());
    const secret = await server.tpm.activateCredential({ ak, ek, ...enrolment.credential });
    expect(checkActivation(enrolment, secret)).toBe(true);
    expect(checkActivation({ ...enrolment, akName: ek.name }, secret)).toBe(false);
    expect(() => completeEnrolment(enrolment, { secret: sha256(secret) })).toThrow(
      refusal('ENROLMENT_REFUSED'),
    );
    const forVrf = makeCredential(ek.publicArea, vrf.name, SECRET);
    await expect(server.tpm.activateCredential({ ak, ek, ...forVrf })).rejects.toMatchObject({
      code: 'TPM_CREDENTIAL_REFUSED',
    });
  });

  test('does not begin when the EK is not the endorsed one, or a key is not what it must be [EK-13]', () => {
    expect(() => beginEnrolment({ ...request(), endorsement: endorsedKey(ak) })).toThrow(
      refusal('ENROLMENT_INVALID'),
    );
    expect(() => beginEnrolment({ ...request(), ekPublic: ak.publicArea })).toThrow(
      refusal('EK_PUBLIC_INVALID'),
    );
    expect(() => beginEnrolment({ ...request(), ekPublic: new Uint8Array(3) })).toThrow(
      refusal('EK_PUBLIC_INVALID'),
    );
    expect(() => beginEnrolment({ ...request(), akPublic: vrf.publicArea })).toThrow(
      refusal('AK_PUBLIC_INVALID'),
    );
    expect(() => beginEnrolment({ ...request(), akPublic: vrf.publicArea, akProfile: 'any' })).toThrow(
      refusal('AK_PUBLIC_INVALID'),
    );
    expect(() => beginEnrolment({ ...request(), secret: new Uint8Array(16) })).toThrow('assertion failed');
  });

  test('takes a key that the verifier pinned, and no other [EK-12]', () => {
    const ekId = ekIdOf(ek.publicArea);
    expect(toHex(ekId)).toBe(toHex(endorsedKey(ek).ekId));
    const pins = { ekIds: [sha256(fromUtf8('another machine')), ekId], level: LEVEL.hardware };
    const endorsement = pinnedEk(ek.publicArea, pins);
    expect(beginEnrolment({ ...request(), endorsement })).toMatchObject({ ekId, level: LEVEL.hardware });
    expect(() => pinnedEk(ek.publicArea, { ...pins, ekIds: pins.ekIds.slice(0, 1) })).toThrow(
      refusal('EK_NOT_PINNED'),
    );
    expect(() => pinnedEk(vrf.publicArea, pins)).toThrow(refusal('EK_PUBLIC_INVALID'));
  });
});

describe('a certified key is refused [EK-15]', () => {
  async function certified(key: TpmKey, by = ak) {
    const { attest, signature } = await server.tpm.certify(key, by, DATA);
    return { attest, signature, akPublic: by.publicArea, keyPublic: key.publicArea, qualifyingData: DATA };
  }

  test('when it may leave its TPM, although the AK certifies it', async () => {
    const template = parsePublicArea(TEMPLATES.vrf);
    const loose = encodePublicArea({ ...template, attributes: EXPORTABLE });
    await using key = await server.tpm.createPrimary({ hierarchy: 'endorsement', template: loose });
    const certification = await certified(key);
    expect(() => checkKeyCertification(certification)).toThrow(refusal('KEY_EXPORTABLE'));
    expect(() => checkVrfCertification({ ...certification, vrfPublic: key.publicArea })).toThrow(
      refusal('VRF_PUBLIC_INVALID'),
    );
  });

  test('when the AK is in the owner hierarchy [EK-16]', async () => {
    await using owned = await server.tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.ak });
    const certification = await certified(vrf, owned);
    expect(() => checkKeyCertification(certification)).toThrow(refusal('AK_HIERARCHY_WRONG'));
    expect(() => checkVrfCertification({ ...certification, vrfPublic: vrf.publicArea })).toThrow(
      refusal('AK_HIERARCHY_WRONG'),
    );
  });

  test('when another policy, or a password, lets it be used', async () => {
    const certification = await certified(vrf);
    expect(checkKeyCertification(certification).name).toEqual(vrf.name);
    expect(() => checkKeyCertification({ ...certification, authPolicy: SECRET })).toThrow(
      refusal('KEY_POLICY_WRONG'),
    );
    expect(() => checkKeyCertification({ ...certification, authPolicy: new Uint8Array(0) })).toThrow(
      refusal('KEY_POLICY_WRONG'),
    );
  });

  test('when the statement is about another key, for another purpose, or by another AK', async () => {
    const certification = await certified(vrf);
    const changes = [
      { keyPublic: ak.publicArea },
      { keyPublic: new Uint8Array(2) },
      { qualifyingData: SECRET },
      { signature: certification.signature.slice(1) },
      { attest: certification.attest.slice(1) },
    ];
    for (const change of changes) {
      expect(() => checkKeyCertification({ ...certification, ...change })).toThrow(
        refusal('CERTIFY_INVALID'),
      );
    }
    expect(() => checkKeyCertification({ ...certification, akPublic: vrf.publicArea })).toThrow(
      refusal('AK_PUBLIC_INVALID'),
    );
  });
});
