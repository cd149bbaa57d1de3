import { fromHex, toHex } from '@nemea/core';
import { expect, test } from 'vitest';
import { createEd25519Signer, createEd25519Verifier } from './ed25519.ts';

// RFC 8032 section 7.1, test 2.
const seed = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
const message = fromHex('72');
const signature = fromHex(
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
);

test('signs and verifies as RFC 8032 says', () => {
  const { publicKey, sign } = createEd25519Signer(seed);
  expect(toHex(publicKey)).toBe('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
  expect(toHex(sign(message))).toBe(toHex(signature));
  expect(createEd25519Verifier()(publicKey, message, signature)).toBe(true);
});

test('refuses a changed message, a changed signature and keys that are none', () => {
  const verify = createEd25519Verifier();
  const { publicKey } = createEd25519Signer(seed);
  expect(verify(publicKey, fromHex('73'), signature)).toBe(false);
  expect(verify(publicKey, message, new Uint8Array(64))).toBe(false);
  expect(verify(publicKey, message, signature.slice(1))).toBe(false);
  expect(verify(new Uint8Array(31), message, signature)).toBe(false);
  expect(verify(new Uint8Array(32).fill(255), message, signature)).toBe(false);
});
