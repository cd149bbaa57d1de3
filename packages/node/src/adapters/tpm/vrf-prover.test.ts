import { checkVrfCertification, compressPoint, LEVEL } from '@nemea/attestation';
import { checkSealedVrf } from '@nemea/attestation/enrolment';
import { fromUtf8, sha256, toHex } from '@nemea/core';
import { openUnixChannel, TEMPLATES, Tpm, type TpmChannel, type TpmKey } from '@nemea/tpm';
import { pcrDigest, vrfTemplate } from '@nemea/tpm/structures';
import { startTestTpm, type TestTpm } from '@nemea/tpm/testing';
import { verifyVrf } from '@nemea/vrf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  certifySealedVrf,
  createSealedVrf,
  openSealedVrf,
  openVrfProver,
  type SealedVrfKey,
  tpmVrfProver,
} from './vrf-prover.ts';

const ALPHA = sha256(fromUtf8('alpha'));
const DATA = sha256(fromUtf8('this account, this network'));
const PCRS = [7, 14];

let software: TestTpm;
let tpm: Tpm;
let ak: TpmKey;
let vrf: TpmKey;
beforeAll(async () => {
  software = await startTestTpm();
  tpm = software.tpm;
  ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak });
  vrf = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.vrf });
});
afterAll(() => software.stop());

const inTpm = () => ({
  vrfPublic: vrf.publicArea,
  vrfProve: (alpha: Uint8Array) => tpm.vrfProve(vrf, alpha),
});
const byAk = { quote: (request: Parameters<Tpm['quote']>[1]) => tpm.quote(ak, request) };

describe('a prover in the TPM', () => {
  test('is chosen where the TPM has ECDAA, and gives what a verifier accepts', async () => {
    const prover = await openVrfProver(tpm, inTpm(), () => Promise.reject(new Error('not asked')));
    expect(prover.custody).toBe('tpm');
    const { beta, proof } = await prover.prove(ALPHA);
    expect(toHex(verifyVrf(prover.publicKey, ALPHA, proof))).toBe(toHex(beta));
    expect(prover.publicKey).toEqual(compressPoint(vrf.publicArea));
  });

  test('hands out no proof that does not verify, and none of another output [EK-19]', async () => {
    const honest = inTpm();
    const changed = {
      ...honest,
      vrfProve: async (alpha: Uint8Array) => {
        const { beta, proof } = await honest.vrfProve(alpha);
        return { beta, proof: proof.with(120, (proof[120] as number) ^ 1) };
      },
    };
    const other = {
      ...honest,
      vrfProve: async (alpha: Uint8Array) => ({ ...(await honest.vrfProve(alpha)), beta: ALPHA }),
    };
    for (const lying of [changed, other]) {
      await expect(tpmVrfProver(lying).prove(ALPHA)).rejects.toMatchObject({ code: 'VRF_PROOF_REFUSED' });
    }
    expect(() => tpmVrfProver({ ...honest, vrfPublic: TEMPLATES.vrf })).toThrow();
  });

  test('under a PCR policy is certified for just this policy [EK-17]', async () => {
    const policy = { pcrs: PCRS };
    const authPolicy = await tpm.pcrPolicyDigest(policy);
    await using key = await tpm.createPrimary({
      hierarchy: 'endorsement',
      template: vrfTemplate(authPolicy),
    });
    const { attest, signature } = await tpm.certify(key, ak, DATA);
    const certification = {
      attest,
      signature,
      akPublic: ak.publicArea,
      vrfPublic: key.publicArea,
      qualifyingData: DATA,
    };
    const publicKey = checkVrfCertification({ ...certification, authPolicy });
    const bound = {
      vrfPublic: key.publicArea,
      vrfProve: (alpha: Uint8Array) => tpm.vrfProve(key, alpha, policy),
    };
    const prover = tpmVrfProver(bound);
    expect(prover.publicKey).toEqual(publicKey);
    await prover.prove(ALPHA);
    for (const wrong of [certification, { ...certification, authPolicy: DATA }]) {
      expect(() => checkVrfCertification(wrong)).toThrow(
        expect.objectContaining({ code: 'VRF_PUBLIC_INVALID' }),
      );
    }
  });
});

describe('a sealed key [EK-18]', () => {
  test('is the fallback on a TPM that does not know ECDAA', async () => {
    const other = await startTestTpm();
    await other.tpm.close();
    const lesser = await Tpm.open(withoutEcdaa(await openUnixChannel(other.socketPath)));
    expect(await lesser.supportsEcdaa()).toBe(false);
    const prover = await openVrfProver(lesser, undefined, () => createSealedVrf(lesser, PCRS));
    expect(prover.custody).toBe('sealed');
    const { beta, proof } = await prover.prove(ALPHA);
    expect(toHex(verifyVrf(prover.publicKey, ALPHA, proof))).toBe(toHex(beta));
    await lesser.close();
    await other.stop();
  });

  test('opens while the PCRs hold, proves while it is open, and does not open for other software', async () => {
    const key = await createSealedVrf(tpm, PCRS);
    const prover = await openSealedVrf(tpm, key);
    const { beta } = await prover.prove(ALPHA);
    await tpm.pcrExtend(14, sha256(fromUtf8('an image')));
    expect(toHex((await prover.prove(ALPHA)).beta)).toBe(toHex(beta));
    prover.close();
    await expect(prover.prove(ALPHA)).rejects.toThrow();
    await expect(openSealedVrf(tpm, key)).rejects.toMatchObject({ code: 'TPM_UNSEAL_REFUSED' });
  });

  test('is refused beside another public key, and is not made without PCRs', async () => {
    const [one, two] = [await createSealedVrf(tpm, PCRS), await createSealedVrf(tpm, PCRS)];
    await expect(openSealedVrf(tpm, { ...one, publicKey: two.publicKey })).rejects.toMatchObject({
      code: 'VRF_KEY_INVALID',
    });
    await expect(createSealedVrf(tpm, [])).rejects.toMatchObject({ code: 'VRF_KEY_INVALID' });
  });
});

describe("the attestation key's word for a sealed key", () => {
  async function certified(key: SealedVrfKey, pcrs = PCRS, by = byAk) {
    const statement = await certifySealedVrf(by, key, { pcrs, qualifyingData: DATA });
    return { ...statement, akPublic: ak.publicArea, vrfPublicKey: key.publicKey, qualifyingData: DATA };
  }
  const refused = (code: string) => expect.objectContaining({ code });

  test('says which PCR values open it, and that it is worth less', async () => {
    const certification = await certified(await createSealedVrf(tpm, PCRS));
    const values = (await tpm.pcrRead(PCRS)).map(({ value }) => value);
    expect(checkSealedVrf(certification)).toEqual({
      custody: 'sealed',
      publicKey: certification.vrfPublicKey,
      levelMax: LEVEL.development,
      pcrDigest: pcrDigest(values),
    });
  });

  test('is for one public key, one sealed object and one purpose', async () => {
    const certification = await certified(await createSealedVrf(tpm, PCRS));
    const other = await createSealedVrf(tpm, PCRS);
    const { sealedPublic } = await certified(other);
    for (const change of [
      { vrfPublicKey: other.publicKey },
      { sealedPublic },
      { qualifyingData: ALPHA },
      { signature: certification.signature.slice(1) },
      { attest: certification.attest.with(60, 0).with(61, 1) },
    ]) {
      expect(() => checkSealedVrf({ ...certification, ...change })).toThrow(refused('CERTIFY_INVALID'));
    }
    const offCurve = { vrfPublicKey: new Uint8Array(33).fill(5) };
    expect(() => checkSealedVrf({ ...certification, ...offCurve })).toThrow(refused('VRF_PUBLIC_INVALID'));
  });

  test('does not count when the quote is of other PCRs than those that open the secret', async () => {
    const key = await createSealedVrf(tpm, PCRS);
    const certification = await certified(key, [7]);
    expect(() => checkSealedVrf(certification)).toThrow(refused('KEY_POLICY_WRONG'));
    await tpm.pcrExtend(7, sha256(fromUtf8('later')));
    const late = await certified(key);
    expect(() => checkSealedVrf(late)).toThrow(refused('KEY_POLICY_WRONG'));
  });

  test('does not count for a secret that opens to a password, nor by an AK of the owner', async () => {
    const loose = { ...(await createSealedVrf(tpm, PCRS)), blob: await tpm.seal(ALPHA) };
    const certification = await certified(loose);
    expect(() => checkSealedVrf(certification)).toThrow(refused('KEY_POLICY_WRONG'));
    await using owned = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.ak });
    const byOwned = { quote: (request: Parameters<Tpm['quote']>[1]) => tpm.quote(owned, request) };
    const statement = { ...(await certified(loose, PCRS, byOwned)), akPublic: owned.publicArea };
    expect(() => checkSealedVrf(statement)).toThrow(refused('AK_HIERARCHY_WRONG'));
  });
});

/** A TPM that names another algorithm where this one names ECDAA. */
function withoutEcdaa(channel: TpmChannel): TpmChannel {
  const ECDAA = [0x00, 0x1a];
  return {
    ...channel,
    close: () => channel.close(),
    async transmit(command, options) {
      const response = Uint8Array.from(await channel.transmit(command, options));
      // TPM2_GetCapability(TPM_CAP_ALGS): 19 bytes of head, then pairs of algorithm and attributes.
      const isAlgorithms = command[9] === 0x7a && command[8] === 1 && command[13] === 0;
      for (let at = 19; isAlgorithms && at + 6 <= response.length; at += 6) {
        if (ECDAA.every((byte, i) => response[at + i] === byte)) response[at] = 0x7f;
      }
      return response;
    },
  };
}
