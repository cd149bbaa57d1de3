import { fromHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { checkInput } from './check.ts';
import { finds, loadTarget, loadTargets } from './targets/index.ts';

const targets = await loadTargets();

test.each(finds())('what was found once stays fixed: $target, $found', async ({ target, input }) => {
  expect(checkInput(await loadTarget(target), fromHex(input))).toBeTypeOf('string');
});

describe.each(targets)('the target $name', (target) => {
  test('starts from inputs, accepts one, and fails at none', () => {
    const outcomes = target.seeds.map((seed) => checkInput(target, seed));
    expect(outcomes).toContain('accepted');
    expect(outcomes.filter((outcome) => typeof outcome !== 'string')).toEqual([]);
  });
});
