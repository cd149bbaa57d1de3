import { ByteWriter, concatBytes, fromHex, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { readVectors } from '../testing.ts';
import { ALG, digestOf, NV_ATTRIBUTE } from './algorithms.ts';
import { encode } from './codec.ts';
import { tpmsNvPublic } from './context.ts';
import { EK_POLICIES, EK_TEMPLATE_IDS, EK_TEMPLATES, withNonce } from './ek-templates.ts';
import { policyDigest } from './policy-digest.ts';
import { parsePublicArea } from './public-area.ts';
import { TEMPLATES } from './templates.ts';

interface EkVectors {
  readonly templates: readonly {
    readonly id: (typeof EK_TEMPLATE_IDS)[number];
    readonly algorithm: string;
    readonly certificateIndex: string;
    readonly nonceIndex: string | null;
    readonly templateIndex: string;
    readonly template: string;
  }[];
  readonly policies: readonly {
    readonly nameAlg: 'sha256' | 'sha384' | 'sha512' | 'sm3';
    readonly a: string;
    readonly b: string;
    readonly c: string;
  }[];
}

const vectors = await readVectors<EkVectors>('tpm/ek-templates.json');
const ENDORSEMENT = fromHex('4000000b');
// Policy indexes I-1 to I-4 of the profile, C.6.1.
const POLICY_INDEX = { sha256: 0x01c07f01, sha384: 0x01c07f02, sha512: 0x01c07f03, sm3: 0x01c07f04 } as const;

test('the templates are the frozen ones, in order [EK-1]', () => {
  expect(vectors.templates.map(({ id }) => id)).toEqual(EK_TEMPLATE_IDS);
  for (const { id, ...frozen } of vectors.templates) {
    const { algorithm, template, ...indexes } = EK_TEMPLATES[id];
    const hex = (index: number | undefined) => (index === undefined ? null : `0x0${index.toString(16)}`);
    expect({
      algorithm,
      certificateIndex: hex(indexes.certificateIndex),
      nonceIndex: hex(indexes.nonceIndex),
      templateIndex: hex(indexes.templateIndex),
      template: toHex(template),
    }).toEqual(frozen);
  }
  expect(EK_TEMPLATES['L-1'].template).toEqual(TEMPLATES.ek);
});

describe.each(vectors.policies)('the policies by $nameAlg', ({ nameAlg, a, b, c }) => {
  const alg = ALG[nameAlg];

  test('are the frozen ones', () => {
    const { a: ownA, b: ownB, c: ownC } = EK_POLICIES.get(alg) ?? {};
    expect([ownA, ownB, ownC]).toEqual([a, b, c].map(fromHex));
  });

  test('follow from the endorsement hierarchy and the policy index that the profile fixes', () => {
    const policyA = policyDigest([{ type: 'secret', name: ENDORSEMENT }], alg);
    const { policyWrite, writeAll, ppRead, ownerRead, authRead, policyRead, noDa, written } = NV_ATTRIBUTE;
    const index = encode(tpmsNvPublic, {
      nvIndex: POLICY_INDEX[nameAlg],
      nameAlg: alg,
      attributes: policyWrite | writeAll | ppRead | ownerRead | authRead | policyRead | noDa | written,
      authPolicy: policyA,
      dataSize: policyA.length + 2,
    });
    const name = concatBytes(new ByteWriter().u16(alg).toBytes(), digestOf(alg, index));
    const policyC = policyDigest([{ type: 'authorize-nv', name }], alg);
    const policyB = policyDigest([{ type: 'or', digests: [policyA, policyC] }], alg);
    expect([policyA, policyB, policyC].map(toHex)).toEqual([a, b, c]);
  });
});

test("a maker's nonce fills the unique field from its start", () => {
  const nonce = fromHex('0102030405');
  const rsa = withNonce(parsePublicArea(EK_TEMPLATES['L-1'].template), nonce);
  const ecc = withNonce(parsePublicArea(EK_TEMPLATES['L-2'].template), nonce);
  if (rsa.type !== 'rsa' || ecc.type !== 'ecc') throw new Error('want both kinds');
  expect([rsa.modulus.length, toHex(rsa.modulus.subarray(0, 7))]).toEqual([256, '01020304050000']);
  expect([ecc.x.length, toHex(ecc.x.subarray(0, 7))]).toEqual([32, '01020304050000']);
  expect(ecc.y).toEqual(new Uint8Array(32));
});
