import { fromUtf8, toHex } from '@nemea/core';
import { p256 } from '@noble/curves/nist.js';
import { describe, expect, it } from 'vitest';
import { appraise } from '../appraise.ts';
import { type Cbor, decodeTaggedCbor, encodeTaggedCbor, type Tagged } from '../cose/cbor.ts';
import { type CoseSigner, signSign1, TAG_COSE_SIGN1 } from '../cose/sign1.ts';
import { appraisalOf, EXPECTED } from '../testing.ts';
import { EAR_CONTENT_TYPE, type EarContent, signEar, verifyEar } from './ear.ts';
import { toVector } from './vector.ts';

const secret = new Uint8Array(32).fill(3);
const verifier = { algorithm: 'es256', publicKey: p256.getPublicKey(secret) } as const;
const signer: CoseSigner = {
  algorithm: 'es256',
  sign: async (message) => p256.sign(message, secret, { lowS: false }),
};
const honest = appraise(appraisalOf());
const content: EarContent = {
  verifier: { developer: 'https://example.org', build: 'nemea 0.1.0' },
  nonce: EXPECTED.challenge,
  policyIds: ['sha256:00'],
  result: honest,
};

function payloadOf(ear: Uint8Array): Map<Cbor, Cbor> {
  const tagged = decodeTaggedCbor(ear, [TAG_COSE_SIGN1]) as Tagged;
  return decodeTaggedCbor(tagged.value[2], []) as Map<Cbor, Cbor>;
}

async function resigned(payload: Map<Cbor, Cbor>): Promise<Uint8Array> {
  return await signSign1(signer, { contentType: EAR_CONTENT_TYPE, payload: encodeTaggedCbor(payload) });
}

describe('an attestation result as EAR', () => {
  it('comes back with the normalised view and every claim of the judge', async () => {
    const ear = verifyEar(await signEar(signer, content), verifier);
    expect(ear).toMatchObject(content);
    expect(ear.issuedAtS).toBe(10);
    expect(ear.vector).toEqual({ instanceIdentity: 2, configuration: 2, executables: 2, hardware: 2 });
  });

  it('carries the claim keys of the draft: profile 265, submodules 266, status 1000, vector 1001', async () => {
    const claims = payloadOf(await signEar(signer, content));
    expect(claims.get(265)).toBe('tag:ietf.org,2026:rats/ear#04');
    const appraisal = (claims.get(266) as Map<Cbor, Cbor>).get('tpm') as Map<Cbor, Cbor>;
    expect(appraisal.get(1000)).toBe(2);
    expect(appraisal.get(1001)).toEqual(
      new Map([
        [0, 2],
        [1, 2],
        [2, 2],
        [4, 2],
      ]),
    );
  });

  it('is refused under another key and after any changed byte of its payload', async () => {
    const bytes = await signEar(signer, content);
    const other = { ...verifier, publicKey: p256.getPublicKey(new Uint8Array(32).fill(4)) };
    expect(() => verifyEar(bytes, other)).toThrow(expect.objectContaining({ code: 'COSE_SIGNATURE_WRONG' }));
    const at = toHex(bytes).indexOf(toHex(fromUtf8('nemea 0.1.0'))) / 2;
    expect(() => verifyEar(bytes.with(at, 0x4e), verifier)).toThrow(
      expect.objectContaining({ code: 'COSE_SIGNATURE_WRONG' }),
    );
  });

  it('is refused when its view says more than the result inside, though the verifier signed it', async () => {
    const refused = {
      ...content,
      result: appraise(
        appraisalOf({ appraisal: { nowMs: 20_000, expected: { ...EXPECTED, deadlineMs: 1 } } }),
      ),
    };
    const claims = payloadOf(await signEar(signer, refused));
    const appraisal = (claims.get(266) as Map<Cbor, Cbor>).get('tpm') as Map<Cbor, Cbor>;
    expect(appraisal.get(1000)).toBe(96);
    appraisal.set(1000, 2);
    const lie = await resigned(claims);
    expect(() => verifyEar(lie, verifier)).toThrow(expect.objectContaining({ code: 'EAR_INVALID' }));
  });

  it('is refused with a claim that no judge writes', async () => {
    const claims = payloadOf(await signEar(signer, content));
    const lie = await resigned(claims.set(-70_200, 'more'));
    expect(() => verifyEar(lie, verifier)).toThrow(expect.objectContaining({ code: 'EAR_INVALID' }));
  });

  it('says that cryptography failed where a signature is wrong, and nothing of what was not judged', () => {
    const { claims } = appraise(
      appraisalOf({ evidence: ({ signature }) => ({ signature: signature.with(20, 1) }) }),
    );
    expect(toVector(claims)).toMatchObject({ instanceIdentity: 99 });
    expect(toVector(claims)).not.toHaveProperty('fileSystem');
  });
});
