import { fromHex, toHex } from '@nemea/core';
import { ALG, parseSignature } from '@nemea/tpm/structures';
import { p256 } from '@noble/curves/nist.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkAkPublic } from './key-profile.ts';
import { verifyPortable } from './portable-signature.ts';
import { type SigningHash, signingHash } from './quote/hash.ts';
import { signingKeyOf } from './quote/signing-key.ts';
import { type CheckedSignature, isChecked, verifyTpmSignature } from './signature.ts';
import { encodeSignature, softwareAk } from './testing.ts';

const ak = softwareAk('ak');
const area = checkAkPublic(ak.akPublic);
const key = signingKeyOf(area);
const SHA256 = signingHash(ALG.sha256) as SigningHash;
const ORDER = p256.Point.Fn.ORDER;

function readChecked(bytes: Uint8Array): CheckedSignature {
  const signature = parseSignature(bytes);
  if (!isChecked(signature)) throw new Error(`got ${signature.scheme}`);
  return signature;
}

function bytesOf(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0'));
}

function verifyBoth(r: bigint, s: bigint, message: Uint8Array): boolean {
  const signature = readChecked(encodeSignature(bytesOf(r), bytesOf(s)));
  const native = verifyTpmSignature(area, signature, message);
  expect(verifyPortable(key, signature, SHA256, message)).toBe(native);
  return native;
}

test('both implementations accept a signature with low and with high s', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (message) => {
      const signature = ak.sign(message);
      const r = BigInt(`0x${Buffer.from(signature.slice(6, 38)).toString('hex')}`);
      const s = BigInt(`0x${Buffer.from(signature.slice(40)).toString('hex')}`);
      expect(verifyBoth(r, s, message)).toBe(true);
      expect(verifyBoth(r, ORDER - s, message)).toBe(true);
      expect(verifyBoth(r, s, Uint8Array.of(...message, 0))).toBe(false);
    }),
    { numRuns: 30 },
  );
});

test('both accept r and s that begin with zeros', () => {
  const seen = { r: 0, s: 0 };
  for (let i = 0; i < 4096 && (seen.r === 0 || seen.s === 0); i++) {
    const message = Uint8Array.of(i >> 8, i & 0xff);
    const signature = ak.sign(message);
    const [r, s] = [signature.slice(6, 38), signature.slice(40)];
    if (r[0] !== 0 && s[0] !== 0) continue;
    seen.r += r[0] === 0 ? 1 : 0;
    seen.s += s[0] === 0 ? 1 : 0;
    expect(verifyBoth(BigInt(`0x${toHex(r)}`), BigInt(`0x${toHex(s)}`), message)).toBe(true);
  }
  expect(Math.min(seen.r, seen.s)).toBeGreaterThan(0);
});

test('both refuse r and s outside 1 to n-1', () => {
  for (const bad of [0n, ORDER, 2n ** 256n - 1n]) {
    expect(verifyBoth(bad, 1n, new Uint8Array(1))).toBe(false);
    expect(verifyBoth(1n, bad, new Uint8Array(1))).toBe(false);
  }
});

test('both refuse a key off the curve', () => {
  const off = { ...area, y: area.x };
  const message = new Uint8Array(1);
  const signature = readChecked(ak.sign(message));
  expect(verifyTpmSignature(off, signature, message)).toBe(false);
  expect(verifyPortable(signingKeyOf(off), signature, SHA256, message)).toBe(false);
});
