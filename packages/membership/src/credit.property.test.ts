import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CREDIT_DRAW_MIN,
  CREDIT_MAX,
  creditAfter,
  creditAfterAbsence,
  creditAfterAttesting,
  creditAfterPass,
  integerSquareRoot,
  weightOf,
} from './credit.ts';

const credit = fc.integer({ min: 0, max: CREDIT_MAX });
const rules: [string, fc.Arbitrary<(value: number) => number>][] = [
  ['a pass', fc.constant(creditAfterPass)],
  ['an absence', fc.constant(creditAfterAbsence)],
  ['attesting', fc.nat(20).map((served) => (value: number) => creditAfterAttesting(value, served))],
  ['earning', fc.integer({ min: -20, max: 20 }).map((delta) => (value: number) => creditAfter(value, delta))],
];

describe.each(rules)('%s', (_name, rule) => {
  test('leaves credit a whole number from none to the maximum [MEMB-7]', () => {
    fc.assert(
      fc.property(rule, credit, (apply, before) => {
        const after = apply(before);
        expect(Number.isInteger(after)).toBe(true);
        expect(after).toBeGreaterThanOrEqual(0);
        expect(after).toBeLessThanOrEqual(CREDIT_MAX);
      }),
    );
  });

  test('keeps the order of two members: more credit never becomes less than another’s', () => {
    fc.assert(
      fc.property(rule, credit, credit, (apply, a, b) => {
        expect(apply(Math.min(a, b))).toBeLessThanOrEqual(apply(Math.max(a, b)));
      }),
    );
  });
});

describe('growth', () => {
  test('never stops before the maximum, and never passes it', () => {
    fc.assert(
      fc.property(credit, (before) => {
        expect(creditAfterPass(before)).toBe(before === CREDIT_MAX ? CREDIT_MAX : creditAfterPass(before));
        if (before < CREDIT_MAX) expect(creditAfterPass(before)).toBeGreaterThan(before);
      }),
    );
  });

  test('saturates: the more there is, the less a pass adds', () => {
    fc.assert(
      fc.property(credit, credit, (a, b) => {
        const gain = (value: number) => creditAfterPass(value) - value;
        expect(gain(Math.max(a, b))).toBeLessThanOrEqual(gain(Math.min(a, b)));
      }),
    );
  });

  test('from a newcomer to the maximum takes thousands of epochs, not dozens', () => {
    let [value, epochs] = [1, 0];
    while (value < CREDIT_MAX) {
      value = creditAfterPass(value);
      epochs++;
    }
    expect(epochs).toBeGreaterThan(2_000);
  });
});

test('absence costs something beyond the least credit that draws, and one per cent at most', () => {
  fc.assert(
    fc.property(credit, (before) => {
      const loss = before - creditAfterAbsence(before);
      expect(loss).toBe(before <= CREDIT_DRAW_MIN ? 0 : Math.max(1, Math.floor(before / 100)));
    }),
  );
});

test('attesting earns one for each, five at most, whatever is claimed', () => {
  expect([-1, 0, 1, 5, 6, 1_000].map((served) => creditAfterAttesting(10, served))).toEqual([
    10, 10, 11, 15, 15, 15,
  ]);
});

test('the weight is the integer square root, and at least 1 [MEMB-8]', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 }), (value) => {
      const root = integerSquareRoot(value);
      expect(root * root).toBeLessThanOrEqual(value);
      expect((root + 1) * (root + 1)).toBeGreaterThan(value);
      expect(weightOf(value)).toBe(Math.max(1, root));
    }),
  );
});
