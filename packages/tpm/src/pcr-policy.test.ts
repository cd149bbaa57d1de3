import { generateKeyPairSync, sign } from 'node:crypto';
import { concatBytes, fromUtf8, sha256, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authorityPolicyDigest, type PcrPolicy } from './pcr-policy.ts';
import type { PolicyAuthority } from './sessions/policy-means.ts';
import { ALG, CURVE } from './structures/algorithms.ts';
import { pcrDigest } from './structures/pcr-selection.ts';
import { approvalDigest, pcrPolicyDigest } from './structures/policy-digest.ts';
import { encodePublicArea, parsePublicArea } from './structures/public-area.ts';
import { encodeSignature } from './structures/signature.ts';
import { vrfTemplate } from './structures/templates.ts';
import { startTestTpm, type TestTpm } from './testing.ts';

const PCRS = [8, 15];
const ALPHA = sha256(fromUtf8('alpha'));
const REF = fromUtf8('vrf key, release channel 1');
const NEXT_RELEASE = sha256(fromUtf8('release 2'));

let software: TestTpm;
beforeAll(async () => {
  software = await startTestTpm();
});
afterAll(() => software.stop());

const createKey = async (policy: PcrPolicy) => {
  const template = vrfTemplate(await software.tpm.pcrPolicyDigest(policy));
  return await software.tpm.createPrimary({ hierarchy: 'endorsement', template });
};

/** A release key in software, and what it approves. */
function newAuthority() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const publicArea = encodePublicArea({
    type: 'ecc',
    nameAlg: ALG.sha256,
    // sign, userWithAuth, noDA: an external key.
    attributes: 0x00040440,
    authPolicy: new Uint8Array(0),
    symmetric: undefined,
    scheme: { scheme: 'ecdsa', hashAlg: ALG.sha256 },
    curve: CURVE.p256,
    kdf: undefined,
    x: Buffer.from(x, 'base64url'),
    y: Buffer.from(y, 'base64url'),
  });
  const approve = (approvedPolicy: Uint8Array, policyRef = REF) => {
    const message = concatBytes(approvedPolicy, policyRef);
    expect(toHex(approvalDigest(approvedPolicy, policyRef))).toBe(toHex(sha256(message)));
    const rs = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const [r, s] = [rs.subarray(0, 32), rs.subarray(32)];
    return { approvedPolicy, signature: encodeSignature({ scheme: 'ecdsa', hashAlg: ALG.sha256, r, s }) };
  };
  return { publicArea, approve };
}

describe('a VRF key that is bound to the values of PCRs', () => {
  const policy = { pcrs: PCRS };

  test('proves while they hold, with the same output as ever', async () => {
    await using key = await createKey(policy);
    const first = await software.tpm.vrfProve(key, ALPHA, policy);
    const second = await software.tpm.vrfProve(key, ALPHA, policy);
    expect(toHex(second.beta)).toBe(toHex(first.beta));
    expect(toHex(second.proof)).not.toBe(toHex(first.proof));
  });

  test('does not prove by a password, nor once a PCR was extended, nor under another list of PCRs', async () => {
    await using key = await createKey(policy);
    await expect(software.tpm.vrfProve(key, ALPHA)).rejects.toMatchObject({ data: { returnCode: 0x12f } });
    await expect(software.tpm.vrfProve(key, ALPHA, { pcrs: [8] })).rejects.toMatchObject({
      code: 'TPM_POLICY_REFUSED',
    });
    await software.tpm.pcrExtend(15, sha256(fromUtf8('other software')));
    await expect(software.tpm.vrfProve(key, ALPHA, policy)).rejects.toMatchObject({
      code: 'TPM_POLICY_REFUSED',
    });
  });

  test('is another key for other values: an update is a new registration', async () => {
    await using before = await createKey(policy);
    await software.tpm.pcrExtend(15, sha256(fromUtf8('an update')));
    await using after = await createKey(policy);
    expect(toHex(after.publicArea)).not.toBe(toHex(before.publicArea));
    expect(parsePublicArea(after.publicArea).attributes & 0x40).toBe(0);
  });
});

describe('a VRF key that is bound to what an authority approves', () => {
  const authority = newAuthority();
  const boundBy = (approvals: PolicyAuthority['approvals'] = []): PcrPolicy => ({
    pcrs: PCRS,
    authority: { publicArea: authority.publicArea, policyRef: REF, approvals },
  });
  const policyNow = async () => {
    const values = await software.tpm.pcrRead(PCRS);
    return pcrPolicyDigest(PCRS, pcrDigest(values.map(({ value }) => value)));
  };

  test('has a policy that follows from the authority alone, so that a verifier can demand it', async () => {
    const { publicArea } = authority;
    expect(await software.tpm.pcrPolicyDigest(boundBy())).toEqual(
      authorityPolicyDigest({ publicArea, policyRef: REF }),
    );
  });

  test('proves under approved values, is the same key after an approved update, and proves under nothing else', async () => {
    await using key = await createKey(boundBy());
    await expect(software.tpm.vrfProve(key, ALPHA, boundBy())).rejects.toMatchObject({
      code: 'TPM_POLICY_REFUSED',
    });
    const first = authority.approve(await policyNow());
    const { beta } = await software.tpm.vrfProve(key, ALPHA, boundBy([first]));

    await software.tpm.pcrExtend(15, NEXT_RELEASE);
    await expect(software.tpm.vrfProve(key, ALPHA, boundBy([first]))).rejects.toMatchObject({
      code: 'TPM_POLICY_REFUSED',
    });
    const second = authority.approve(await policyNow());
    await using again = await createKey(boundBy());
    expect(toHex(again.name)).toBe(toHex(key.name));
    expect(toHex((await software.tpm.vrfProve(again, ALPHA, boundBy([first, second]))).beta)).toBe(
      toHex(beta),
    );
  });

  test('is not moved by an approval of another authority or for another purpose', async () => {
    await using key = await createKey(boundBy());
    const now = await policyNow();
    for (const approval of [
      newAuthority().approve(now),
      authority.approve(now, fromUtf8('disk encryption')),
    ]) {
      // The TPM itself refuses the signature.
      await expect(software.tpm.vrfProve(key, ALPHA, boundBy([approval]))).rejects.toMatchObject({
        code: 'TPM_RETURN_CODE',
        data: { command: 'VerifySignature' },
      });
    }
    expect(await software.tpm.listHandles('transient')).toEqual([key.handle]);
  });
});
