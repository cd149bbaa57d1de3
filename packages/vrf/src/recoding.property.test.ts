import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ORDER } from './curve.ts';
import { signedDigits } from './recoding.ts';

const scalar = fc.oneof(
  fc.constantFrom(0n, 1n, ORDER - 1n, 2n ** 128n - 1n, 2n ** 256n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
);

test('digits add up to the scalar, are odd and small, and stand apart', () => {
  fc.assert(
    fc.property(scalar, fc.integer({ min: 2, max: 7 }), (value, width) => {
      const digits = [...signedDigits(value, width)];
      expect(digits.reduce((sum, digit, i) => sum + BigInt(digit) * 2n ** BigInt(i), 0n)).toBe(value);
      for (const [i, digit] of digits.entries()) {
        if (digit === 0) continue;
        expect(Math.abs(digit) % 2).toBe(1);
        expect(Math.abs(digit)).toBeLessThan(2 ** (width - 1));
        expect(digits.slice(i + 1, i + width).every((it) => it === 0)).toBe(true);
      }
    }),
  );
});
