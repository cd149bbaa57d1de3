import { bytesEqual } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ORDER, toScalar } from './curve.ts';
import { compareDraws, isDrawn, proveVrf, VrfError, verifyVrf, vrfPublicKey } from './index.ts';
import { proveLikeTpm } from './testing.ts';

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const secret = bytes32.filter((bytes) => toScalar(bytes) > 0n && toScalar(bytes) < ORDER);
const draw = fc.record({ beta: bytes32, weight: fc.integer({ min: 0, max: 1_000_000 }) });

test('both encodings of a proof verify and give one output', () => {
  const nonce = fc.bigInt({ min: 1n, max: ORDER - 1n });
  const k = bytes32.filter((bytes) => bytes[0] !== 0);
  fc.assert(
    fc.property(secret, fc.uint8Array({ maxLength: 64 }), nonce, k, (x, alpha, r, salt) => {
      const publicKey = vrfPublicKey(x);
      const { beta, proof } = proveVrf(x, alpha);
      const tpmProof = proveLikeTpm({ secret: x, alpha, nonce: r, k: salt });
      return (
        bytesEqual(verifyVrf(publicKey, alpha, proof), beta) &&
        bytesEqual(verifyVrf(publicKey, alpha, tpmProof), beta)
      );
    }),
    { numRuns: 20 },
  );
});

test('the verifier throws only its own error on arbitrary bytes', () => {
  const suiteAndBody = fc
    .tuple(fc.constantFrom(1, 2), fc.uint8Array({ minLength: 81, maxLength: 163 }))
    .map(([suite, body]) => Uint8Array.of(suite, ...body.slice(0, suite === 1 ? 81 : body.length)));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.oneof(fc.uint8Array(), suiteAndBody), (key, proof) => {
      expect(() => verifyVrf(key, new Uint8Array(1), proof)).toThrow(VrfError);
    }),
  );
});

test('draws are in a total order', () => {
  fc.assert(
    fc.property(draw, draw, draw, (a, b, c) => {
      expect(Math.sign(compareDraws(a, b))).toBe(-Math.sign(compareDraws(b, a)) + 0);
      if (compareDraws(a, b) <= 0 && compareDraws(b, c) <= 0)
        expect(compareDraws(a, c)).toBeLessThanOrEqual(0);
    }),
  );
});

test('more weight never un-draws and never worsens a draw', () => {
  fc.assert(
    fc.property(
      draw,
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 20 }),
      (a, more, expected) => {
        const heavier = { beta: a.beta, weight: a.weight + more };
        const weightTotal = 2_000_000;
        if (isDrawn({ ...a, weightTotal, expected })) {
          expect(isDrawn({ ...heavier, weightTotal, expected })).toBe(true);
        }
        expect(compareDraws(heavier, a)).toBeLessThanOrEqual(0);
      },
    ),
  );
});
