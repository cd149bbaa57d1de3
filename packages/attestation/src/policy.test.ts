import { expect, test } from 'vitest';
import { LEVEL, levelName, toAssuranceLevel } from './level.ts';
import { manufacturerLevel } from './manufacturers.ts';
import { parsePolicy } from './policy.ts';
import { parseReferenceValues } from './reference-values.ts';

const digest = 'ab'.repeat(32);

test('a policy is plain data with a known level', () => {
  expect(parsePolicy({ levelMin: 2 })).toEqual({ levelMin: LEVEL.vouched });
  for (const wrong of [{}, { levelMin: 0 }, { levelMin: '1' }, { levelMin: 1, extra: 1 }, null]) {
    expect(() => parsePolicy(wrong)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
  }
});

test('reference values are sets of lower-case digests', () => {
  const values = parseReferenceValues({ releases: [digest], images: [] });
  expect(values.releases.has(digest)).toBe(true);
  const wrong = [
    { releases: [digest] },
    { releases: [`0x${digest}`], images: [] },
    { releases: [digest.toUpperCase()], images: [] },
    { releases: [digest.slice(2)], images: [] },
  ];
  for (const value of wrong) {
    expect(() => parseReferenceValues(value)).toThrow(
      expect.objectContaining({ code: 'REFERENCE_VALUES_INVALID' }),
    );
  }
});

test('levels are those of layer 1', () => {
  expect([1, 2, 3].map((value) => levelName(toAssuranceLevel(value)))).toEqual([
    'development',
    'vouched',
    'hardware',
  ]);
  expect(() => toAssuranceLevel(0)).toThrow(expect.objectContaining({ code: 'LEVEL_UNKNOWN' }));
});

test('a maker that is not known for hardware ranks as development', () => {
  expect(manufacturerLevel('id:49465800')).toBe(LEVEL.hardware);
  for (const id of ['id:00001014', 'id:49424D00', 'IFX', '', 'id:ifx']) {
    expect(manufacturerLevel(id)).toBe(LEVEL.development);
  }
});
