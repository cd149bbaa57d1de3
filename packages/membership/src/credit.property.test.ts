import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CREDIT_DRAW_MIN,
  CREDIT_MAX,
  creditAfter,
  creditAfterAbsence,
  creditAfterAttesting,
  creditAfterFault,
  creditAfterMissedUpdate,
  creditAfterNeglect,
  creditAfterPass,
  integerSquareRoot,
  weightOf,
} from './credit.ts';
import { creditAfterEpoch, standingOf } from './standing.ts';

const credit = fc.integer({ min: 0, max: CREDIT_MAX });
const epochRule = fc
  .record({
    affirming: fc.nat(50),
    seated: fc.nat(50),
    isSilent: fc.boolean(),
    agreed: fc.nat(9),
    neglected: fc.nat(9),
  })
  .map((epoch) => (value: number) => creditAfterEpoch(value, standingOf(epoch), epoch));
const rules: [string, fc.Arbitrary<(value: number) => number>][] = [
  ['a pass', fc.constant(creditAfterPass)],
  ['an absence', fc.constant(creditAfterAbsence)],
  ['attesting', fc.nat(20).map((served) => (value: number) => creditAfterAttesting(value, served))],
  ['neglect', fc.nat(20).map((neglected) => (value: number) => creditAfterNeglect(value, neglected))],
  ['a fault', fc.constant(creditAfterFault)],
  ['a missed update', fc.constant(creditAfterMissedUpdate)],
  ['an epoch', epochRule],
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

test('rewards commute: in whatever order tasks are settled, the credit is the same', () => {
  fc.assert(
    fc.property(credit, fc.array(fc.nat(20)), fc.array(fc.nat(20)), (before, some, others) => {
      const earn = (rewards: readonly number[]) => rewards.reduce(creditAfter, before);
      expect(earn([...some, ...others])).toBe(earn([...others, ...some]));
      expect(earn(some.toReversed())).toBe(earn(some));
    }),
  );
});

test('a fault is not undone by what comes before it, and takes the right to draw like a missed update [MEMB-37]', () => {
  fc.assert(
    fc.property(credit, (before) => {
      expect(creditAfterFault(creditAfterPass(before))).toBe(0);
      expect(creditAfterFault(before)).toBeLessThan(CREDIT_DRAW_MIN);
      expect(creditAfterMissedUpdate(before)).toBeLessThan(CREDIT_DRAW_MIN);
    }),
  );
});

test('neglect of one target costs more than a twin that neglects none ever loses, at every credit [MEMB-41]', () => {
  const duty = { isSilent: false, agreed: 2 };
  fc.assert(
    fc.property(fc.integer({ min: 2, max: CREDIT_MAX }), (before) => {
      const skipping = creditAfterEpoch(before, 'passed', { ...duty, neglected: 1 });
      expect(skipping).toBeLessThan(before);
      expect(skipping).toBeLessThan(creditAfterEpoch(before, 'passed', { ...duty, neglected: 0 }));
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
