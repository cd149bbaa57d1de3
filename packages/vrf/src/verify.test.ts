import { concatBytes, errorCode, fromUtf8, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { commitments, portableCommitments } from './commitments.ts';
import { BASE, type CurvePoint, fromScalar, ORDER } from './curve.ts';
import { proveVrf, VrfError, verifyVrf, vrfPublicKey } from './index.ts';
import { decompress } from './point.ts';
import { proveLikeTpm } from './testing.ts';

const secret = new Uint8Array(32).fill(0x42);
const publicKey = vrfPublicKey(secret);
const alpha = fromUtf8('draw');
const { beta, proof: rfcProof } = proveVrf(secret, alpha);
const k = new Uint8Array(32).fill(9);
const tpmProof = proveLikeTpm({ secret, alpha, nonce: 99n, k });

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(VrfError);
    return errorCode(error);
  }
  return 'ACCEPTED';
}

function withByte(bytes: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = change(copy[at] as number) & 0xff;
  return copy;
}

describe.each([
  { name: 'RFC 9381', proof: rfcProof },
  { name: 'TPM', proof: tpmProof },
])('a proof in the $name encoding', ({ proof }) => {
  test('is accepted and gives beta', () => {
    expect(toHex(verifyVrf(publicKey, alpha, proof))).toBe(toHex(beta));
  });

  test('is refused when any byte is changed', () => {
    for (let at = 0; at < proof.length; at++) {
      const code = codeOf(() =>
        verifyVrf(
          publicKey,
          alpha,
          withByte(proof, at, (byte) => byte ^ 1),
        ),
      );
      expect(code, `byte ${at}`).not.toBe('ACCEPTED');
    }
  });

  test('is refused for another alpha or another key', () => {
    expect(codeOf(() => verifyVrf(publicKey, fromUtf8('other'), proof))).toBe('VRF_PROOF_INVALID');
    const other = vrfPublicKey(new Uint8Array(32).fill(0x43));
    expect(codeOf(() => verifyVrf(other, alpha, proof))).toBe('VRF_PROOF_INVALID');
  });

  test('is refused when it is shorter or longer', () => {
    expect(codeOf(() => verifyVrf(publicKey, alpha, proof.slice(0, -1)))).toBe('VRF_PROOF_LENGTH');
    expect(codeOf(() => verifyVrf(publicKey, alpha, concatBytes(proof, Uint8Array.of(0))))).toBe(
      'VRF_PROOF_LENGTH',
    );
  });

  test('is refused with s out of range, though it is the same number modulo n', () => {
    const head = proof.slice(0, -32);
    for (const s of [0n, ORDER, ORDER + 1n]) {
      const forged = concatBytes(head, fromScalar(s, 32));
      expect(codeOf(() => verifyVrf(publicKey, alpha, forged))).toBe('VRF_SCALAR_OUT_OF_RANGE');
    }
  });

  test('is refused with an uncompressed or missing public key', () => {
    expect(codeOf(() => verifyVrf(new Uint8Array(65).fill(4), alpha, proof))).toBe('VRF_PUBLIC_KEY_INVALID');
    expect(codeOf(() => verifyVrf(new Uint8Array(0), alpha, proof))).toBe('VRF_PUBLIC_KEY_INVALID');
    expect(codeOf(() => verifyVrf(new Uint8Array(33), alpha, proof))).toBe('VRF_PUBLIC_KEY_INVALID');
  });

  test('is refused with the sign of gamma flipped, so that one alpha has one output', () => {
    const forged = withByte(proof, 1, (byte) => byte ^ 1);
    expect(codeOf(() => verifyVrf(publicKey, alpha, forged))).toBe('VRF_PROOF_INVALID');
  });
});

describe('verifyVrf', () => {
  test('refuses a transcript that the owner built around minus gamma', () => {
    const forged = proveLikeTpm({ secret, alpha, nonce: 99n, k, gamma: (point) => point.negate() });
    expect(codeOf(() => verifyVrf(publicKey, alpha, forged))).toBe('VRF_PROOF_INVALID');
  });

  test('refuses k with a leading zero byte, which has no canonical length', () => {
    const proof = proveLikeTpm({ secret, alpha, nonce: 99n, k: withByte(k, 0, () => 0) });
    expect(codeOf(() => verifyVrf(publicKey, alpha, proof))).toBe('VRF_SCALAR_OUT_OF_RANGE');
  });

  test('refuses an unknown suite and an empty proof', () => {
    expect(
      codeOf(() =>
        verifyVrf(
          publicKey,
          alpha,
          withByte(rfcProof, 0, () => 3),
        ),
      ),
    ).toBe('VRF_SUITE_UNKNOWN');
    expect(codeOf(() => verifyVrf(publicKey, alpha, new Uint8Array(0)))).toBe('VRF_SUITE_UNKNOWN');
  });

  test('never reads one encoding as the other', () => {
    expect(
      codeOf(() =>
        verifyVrf(
          publicKey,
          alpha,
          withByte(rfcProof, 0, () => 2),
        ),
      ),
    ).toBe('VRF_PROOF_LENGTH');
    expect(
      codeOf(() =>
        verifyVrf(
          publicKey,
          alpha,
          withByte(tpmProof, 0, () => 1),
        ),
      ),
    ).toBe('VRF_PROOF_LENGTH');
  });
});

describe('proveVrf', () => {
  test('refuses a secret that is no scalar', () => {
    const secrets = [
      new Uint8Array(31),
      new Uint8Array(32),
      fromScalar(ORDER, 32),
      new Uint8Array(32).fill(255),
    ];
    for (const bad of secrets) expect(codeOf(() => proveVrf(bad, alpha))).toBe('VRF_SECRET_INVALID');
  });
});

describe('commitments', () => {
  const [y, h] = [BASE.multiply(5n), BASE.multiply(7n)].map(
    (it) => decompress(it.toBytes(true)) as CurvePoint,
  ) as [CurvePoint, CurvePoint];

  test('that are the identity are none', () => {
    // s = 5c gives U = 0; gamma = 5H gives V = 0 as well.
    const gamma = decompress(h.multiply(5n).toBytes(true)) as CurvePoint;
    expect(commitments({ y, h, gamma, s: 15n, c: 3n })).toBeNull();
    expect(commitments({ y, h, gamma: y, s: 15n, c: 3n })).toBeNull();
  });

  test('are found for the scalars that OpenSSL does not take', () => {
    for (const [s, c] of [
      [ORDER - 1n, 3n],
      [3n, ORDER - 1n],
      [3n, 0n],
    ] as const) {
      const points = portableCommitments({ y, h, gamma: y, s, c });
      const want = points.map((point) => toHex(point.toBytes(true)));
      const got = commitments({ y, h, gamma: y, s, c });
      expect(got === null ? null : [toHex(got.u), toHex(got.v)]).toEqual(want);
    }
  });
});

test('a point that is not on the curve is refused by its name', () => {
  const off = withByte(publicKey, 1, () => 0xff);
  for (let x = 0; x < 8; x++) {
    const key = withByte(off, 32, () => x);
    if (decompress(key) !== null) continue;
    expect(codeOf(() => verifyVrf(key, alpha, rfcProof))).toBe('VRF_PUBLIC_KEY_INVALID');
    const forged = rfcProof.slice();
    forged.set(key, 1);
    expect(codeOf(() => verifyVrf(publicKey, alpha, forged))).toBe('VRF_POINT_INVALID');
    return;
  }
  throw new Error('every abscissa was on the curve');
});
