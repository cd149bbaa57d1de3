import { readFileSync } from 'node:fs';
import { concatBytes, fromHex, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { hashToCurveTai, proveVrf, verifyVrf, vrfPublicKey } from './index.ts';
import { proveLikeTpm } from './testing.ts';

type Vector = {
  name: string;
  secret: string;
  publicKey: string;
  alpha: string;
  h: string;
  pi: string;
  beta: string;
};
const vectors: Vector[] = JSON.parse(
  readFileSync(new URL('../../../vectors/vrf/rfc9381-p256-tai.json', import.meta.url), 'utf8'),
);

describe.each(vectors)('RFC 9381 appendix B.1, $name', (vector) => {
  const secret = fromHex(vector.secret);
  const publicKey = fromHex(vector.publicKey);
  const alpha = fromHex(vector.alpha);

  test('the public key follows from the secret', () => {
    expect(toHex(vrfPublicKey(secret))).toBe(vector.publicKey);
  });

  test('alpha hashes to the published point', () => {
    expect(toHex(hashToCurveTai(publicKey, alpha))).toBe(vector.h);
  });

  test('proving gives the published proof and output', () => {
    const { beta, proof } = proveVrf(secret, alpha);
    expect(toHex(proof)).toBe(`01${vector.pi}`);
    expect(toHex(beta)).toBe(vector.beta);
  });

  test('verifying the published proof gives the published output', () => {
    const proof = concatBytes(Uint8Array.of(1), fromHex(vector.pi));
    expect(toHex(verifyVrf(publicKey, alpha, proof))).toBe(vector.beta);
  });

  test('a proof in the TPM encoding gives the same output', () => {
    const proof = proveLikeTpm({ secret, alpha, nonce: 0x1234567n, k: new Uint8Array(32).fill(7) });
    expect(proof.length).toBe(164);
    expect(toHex(verifyVrf(publicKey, alpha, proof))).toBe(vector.beta);
  });
});
