import { readFile } from 'node:fs/promises';
import { fromHex } from '@nemea/core';
import { TEMPLATES } from '@nemea/tpm/structures';
import { describe, expect, test } from 'vitest';
import { AttestationError } from './errors.ts';
import { checkAkPublic, checkVrfCertification, checkVrfPublic, compressPoint } from './key-profile.ts';
import { softwareAk } from './testing.ts';

async function recorded<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(new URL(`../../../vectors/tpm/${file}`, import.meta.url), 'utf8')) as T;
}
const identity = await recorded<Record<'akPublic' | 'vrfPublic' | 'ekPublic', string>>('identity.json');
const attestations =
  await recorded<readonly Record<'name' | 'qualifyingData' | 'attest' | 'signature', string>[]>(
    'attestations.json',
  );
const certify = attestations.find(({ name }) => name === 'certify');
const quote = attestations.find(({ name }) => name === 'quote');
if (certify === undefined || quote === undefined) throw new Error('no recorded attestations');

const akPublic = fromHex(identity.akPublic);
const vrfPublic = fromHex(identity.vrfPublic);
const certification = {
  attest: fromHex(certify.attest),
  signature: fromHex(certify.signature),
  akPublic,
  vrfPublic,
  qualifyingData: fromHex(certify.qualifyingData),
};

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
  return copy;
}

test("a TPM's certification of its VRF key gives the compressed key", () => {
  const point = checkVrfCertification(certification);
  expect(point).toEqual(compressPoint(vrfPublic));
  expect(point.length).toBe(33);
});

describe('a certification is refused', () => {
  const rows = [
    ['by another attestation key', { akPublic: softwareAk('other').akPublic }, 'CERTIFY_INVALID'],
    ['of another VRF key', { vrfPublic: flipped(vrfPublic, 8 * 60) }, 'VRF_PUBLIC_INVALID'],
    ['for another enrolment', { qualifyingData: new Uint8Array(32) }, 'CERTIFY_INVALID'],
    ['with a changed statement', { attest: flipped(certification.attest, 300) }, 'CERTIFY_INVALID'],
    ['with a changed signature', { signature: flipped(certification.signature, 300) }, 'CERTIFY_INVALID'],
    ['with a signature that is cut', { signature: certification.signature.slice(1) }, 'CERTIFY_INVALID'],
    [
      'that is a quote',
      { attest: fromHex(quote.attest), signature: fromHex(quote.signature) },
      'CERTIFY_INVALID',
    ],
    ['of the attestation key itself', { vrfPublic: akPublic }, 'VRF_PUBLIC_INVALID'],
    ['by the VRF key', { akPublic: vrfPublic }, 'AK_PUBLIC_INVALID'],
    [
      'with another point on the curve',
      { vrfPublic: withPointOf(vrfPublic, softwareAk('x').akPublic) },
      'CERTIFY_INVALID',
    ],
  ] as const;
  test.each(rows)('%s', (_, change, code) => {
    expect(() => checkVrfCertification({ ...certification, ...change })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

test('no attribute, policy or scheme bit of a key profile may differ', () => {
  const pointBits = 8 * (TEMPLATES.ak.length - 4);
  for (let bit = 0; bit < pointBits; bit++) {
    expect(() => checkAkPublic(flipped(akPublic, bit)), `AK bit ${bit}`).toThrow(AttestationError);
  }
  for (let bit = 0; bit < 8 * (TEMPLATES.vrf.length - 4); bit++) {
    expect(() => checkVrfPublic(flipped(vrfPublic, bit)), `VRF bit ${bit}`).toThrow(AttestationError);
  }
});

test('a VRF key off the curve is refused', () => {
  expect(() => checkVrfPublic(flipped(vrfPublic, 8 * vrfPublic.length - 1))).toThrow('not on P-256');
});

test('a template without a key is no key', () => {
  expect(() => checkAkPublic(TEMPLATES.ak)).toThrow(AttestationError);
  expect(() => checkVrfPublic(TEMPLATES.vrf)).toThrow(AttestationError);
});

test('only elliptic curve keys have a point to compress', () => {
  expect(() => compressPoint(fromHex(identity.ekPublic))).toThrow('object type: got rsa, want ecc');
  expect(() => compressPoint(new Uint8Array(2))).toThrow(
    expect.objectContaining({ code: 'PUBLIC_AREA_INVALID' }),
  );
});

function withPointOf(area: Uint8Array, source: Uint8Array): Uint8Array {
  const point = source.slice(source.length - 68);
  return Uint8Array.of(...area.slice(0, area.length - 68), ...point);
}
