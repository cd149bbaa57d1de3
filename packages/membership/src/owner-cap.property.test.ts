import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capByOwner, OWNER_SHARES, ownerCap } from './owner-cap.ts';

const member = fc.record({ owner: fc.nat(15).map(String), weight: fc.integer({ min: 1, max: 100 }) });
const members = fc.array(member, { minLength: 1, maxLength: 60 });

function totals(of: readonly { owner: string }[], weights: readonly number[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [i, { owner }] of of.entries()) sums.set(owner, (sums.get(owner) ?? 0) + (weights[i] as number));
  return sums;
}
/** The weight of an owner's heaviest member. */
const heaviest = (of: readonly { owner: string; weight: number }[], owner: string) =>
  Math.max(...of.filter((it) => it.owner === owner).map(({ weight }) => weight));
const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

describe('the cap on owners [MEMB-39]', () => {
  test('leaves no owner more than a tenth, once there are ten, unless one member alone weighs more', () => {
    fc.assert(
      fc.property(members, (given) => {
        const capped = totals(given, capByOwner(given));
        fc.pre(capped.size >= OWNER_SHARES);
        const total = sum(capped.values());
        for (const [owner, weight] of capped) {
          const tenth = Math.floor(total / OWNER_SHARES);
          expect(weight).toBeLessThanOrEqual(Math.max(tenth, heaviest(given, owner)));
        }
      }),
      { numRuns: 500 },
    );
  });

  test('cuts no more than it must: one more for each capped owner would be too much', () => {
    fc.assert(
      fc.property(members, (given) => {
        const before = [
          ...totals(
            given,
            given.map(({ weight }) => weight),
          ).values(),
        ];
        const cap = ownerCap(before);
        fc.pre(before.some((weight) => weight > cap));
        const under = (limit: number) => sum(before.map((weight) => Math.min(weight, limit)));
        expect(cap * OWNER_SHARES).toBeLessThanOrEqual(under(cap));
        expect((cap + 1) * OWNER_SHARES).toBeGreaterThan(under(cap + 1));
      }),
      { numRuns: 500 },
    );
  });

  test('cuts each owner to exactly the cap, or to its heaviest member, and raises nobody', () => {
    fc.assert(
      fc.property(members, (given) => {
        const weights = given.map(({ weight }) => weight);
        const before = totals(given, weights);
        const cap = ownerCap([...before.values()]);
        const capped = capByOwner(given);
        const after = totals(given, capped);
        for (const [owner, weight] of before)
          expect(after.get(owner)).toBe(Math.min(weight, Math.max(cap, heaviest(given, owner))));
        for (const [i, weight] of weights.entries()) expect(capped[i]).toBeLessThanOrEqual(weight);
      }),
      { numRuns: 500 },
    );
  });

  test('takes nothing from an owner of one member, whoever joins', () => {
    fc.assert(
      fc.property(members, fc.integer({ min: 1, max: 100 }), (given, weight) => {
        expect(capByOwner([...given, { owner: 'alone', weight }]).at(-1)).toBe(weight);
      }),
    );
  });

  test('takes nothing from any owner when one more joins, once there are ten', () => {
    fc.assert(
      fc.property(members, fc.integer({ min: 1, max: 100 }), (given, weight) => {
        const before = totals(given, capByOwner(given));
        fc.pre(before.size >= OWNER_SHARES);
        const more = [...given, { owner: 'more', weight }];
        const after = totals(more, capByOwner(more));
        for (const [owner, had] of before) expect(after.get(owner)).toBeGreaterThanOrEqual(had);
      }),
      { numRuns: 500 },
    );
  });

  test('does nothing while owners are fewer than ten', () => {
    fc.assert(
      fc.property(fc.array(member.map((it) => ({ ...it, owner: String(Number(it.owner) % 9) }))), (given) => {
        expect(capByOwner(given)).toEqual(given.map(({ weight }) => weight));
      }),
    );
  });

  test('gives an owner nothing for splitting itself into more members', () => {
    fc.assert(
      fc.property(members, fc.integer({ min: 1, max: 50 }), (given, more) => {
        const of = (it: readonly { owner: string; weight: number }[]) =>
          totals(it, capByOwner(it)).get('0') ?? 0;
        const whole = [...given, { owner: '0', weight: 2 * more }];
        const split = [...given, { owner: '0', weight: more }, { owner: '0', weight: more }];
        expect(of(split)).toBeLessThanOrEqual(of(whole));
      }),
    );
  });
});
