import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CREDIT_MAX } from '@nemea/membership';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ASSUMED, breakEven, growth, lossOf } from './model.ts';
import { economicsPlot, economicsTable } from './report.ts';

const docs = join(import.meta.dirname, '..', '..', 'docs');

test('the committed plot and table are what the command writes', () => {
  expect(readFileSync(join(docs, 'economics.svg'), 'utf8')).toBe(economicsPlot());
  expect(readFileSync(join(docs, 'economics.md'), 'utf8')).toContain(economicsTable());
});

describe('being caught', () => {
  const credit = fc.integer({ min: 1, max: CREDIT_MAX });

  test('costs at least the deposit, and more the more credit is lost', () => {
    fc.assert(
      fc.property(credit, credit, (a, b) => {
        const [less, more] = [lossOf(Math.min(a, b), ASSUMED), lossOf(Math.max(a, b), ASSUMED)];
        expect(less.income).toBeGreaterThanOrEqual(0);
        expect(more.income).toBeGreaterThanOrEqual(less.income);
      }),
      { numRuns: 50 },
    );
  });

  test('always noticed, deters the theft of what a fee can be', () => {
    for (const it of [1, 5_000, CREDIT_MAX]) expect(breakEven(it, 1, ASSUMED)).toBeGreaterThan(1);
  });
});

test('the way to all credit takes more than a thousand epochs of honest service', () => {
  expect(growth(ASSUMED).at(-1)).toBe(CREDIT_MAX);
  expect(growth(ASSUMED).length).toBeGreaterThan(1_000);
});
