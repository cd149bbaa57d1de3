import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { countOf, FULL, reportJuries } from './report.ts';
import {
  epochsUntilEvicted,
  epochsUntilSuspended,
  HABITS,
  type Habit,
  habitOf,
  slander,
} from './scenarios.ts';

// A small network under the same attacks as the tables of docs/juries.md, and the bounds that they claim.
const MEMBERS = 40;
const attack = { members: MEMBERS, colluders: countOf(MEMBERS, 33), expected: 3, epochsMax: 400 };
const SEEDS = ['one', 'two', 'three', 'four'];
const EPOCHS_BOUND = 64;

describe('colluders below a third of the weight', () => {
  test('are fewer than a third', () => {
    for (const members of [4, 30, 31, 32, 120]) expect(countOf(members, 33) * 3).toBeLessThan(members);
  });

  test('cannot keep a tampered machine that answers: the first honest attestor catches it [MEMB-22]', () => {
    for (const seed of SEEDS) {
      for (const epochs of epochsUntilEvicted({ ...attack, seed })) expect(epochs).toBeLessThanOrEqual(8);
    }
  });

  test('cannot keep one that hides in service beyond the stated number of epochs [MEMB-38]', () => {
    for (const seed of SEEDS) {
      for (const epochs of epochsUntilSuspended({ ...attack, seed }))
        expect(epochs).toBeLessThanOrEqual(EPOCHS_BOUND);
    }
  });

  test('lose weight by slander, and take nobody honest out of service for more than a moment [MEMB-41]', () => {
    const { suspendedPerMille, creditVictim, creditColluder, weightMost, weightAfter, weightBefore } =
      slander({ ...attack, seed: 'slander', epochsMax: 300 }, 'all');
    expect(suspendedPerMille).toBeLessThan(10);
    expect(creditVictim).toBeGreaterThan(creditColluder);
    expect(weightMost * 3).toBeLessThan(100);
    expect(weightAfter).toBeLessThan(weightBefore);
  });
});

describe('a member that began with all credit there is', () => {
  const outcomeOf = (habit: Habit) =>
    habitOf(habit, { seed: 'habit', members: MEMBERS, expected: 3 }, [150])[0];

  test('keeps it when it does what it should', () => {
    expect(outcomeOf('honest')).toEqual({ credit: 10_000, serves: true });
  });

  test.each(['skips one', 'skips half', 'skips all', 'slanders one', 'refuses half', 'refuses all'] as const)(
    'loses by it when it %s [MEMB-41]',
    (habit) => {
      expect(outcomeOf(habit)?.credit).toBeLessThan(9_000);
    },
  );

  test.each(['refuses half', 'refuses all'] as const)(
    'is suspended when it %s of its juries [MEMB-38]',
    (habit) => {
      expect(outcomeOf(habit)?.serves).toBe(false);
    },
  );
});

test('the same seeds give the same tables, and the document holds tables of the same form', () => {
  const small = { members: 20, juries: [3], percents: [0, 33], seeds: 2, epochs: 20 };
  const tables = reportJuries(small);
  expect(reportJuries(small)).toBe(tables);
  const document = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'juries.md'), 'utf8');
  const heads = tables.split('\n').filter((line) => line.startsWith('#') || line.startsWith('| expected'));
  for (const head of heads) expect(document).toContain(head);
  for (const habit of Object.values(HABITS)) expect(document).toContain(habit);
  expect(FULL.juries).toContain(3);
});
