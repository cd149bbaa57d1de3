import { describe, expect, test } from 'vitest';
import { manufacturerLevel } from './endorsement/makers.ts';
import { LEVEL, levelName, toAssuranceLevel } from './level.ts';
import { parsePolicy } from './policy.ts';
import { countReferences, findReferences, parseReferenceValues } from './reference-values.ts';

const digest = 'ab'.repeat(32);

describe('a policy [ATT-22]', () => {
  test('demands everything that it does not mention', () => {
    expect(parsePolicy({ version: 1, levelMin: 2 })).toEqual({
      version: 1,
      levelMin: LEVEL.vouched,
      attestationKeys: ['ecdsa-p256'],
      freshness: { accept: ['challenge'], epochsMax: 2 },
      clock: { unsafe: 'refuse', recordRequired: false },
      pcrs: { sha256: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14], sha384: [], others: 'refuse', exact: [] },
      firmware: {
        unmeasured: 'refuse',
        secureBoot: 'required',
        keys: 'reference',
        authorities: 'reference',
        loaders: 'reference',
        commandLine: null,
        forbiddenEvents: [],
        errorSeparators: 'refuse',
        findings: [],
      },
      ima: {
        list: 'required',
        files: 'reference',
        excluded: [],
        requireSignature: false,
        violations: 'refuse',
      },
      measuredLog: 'required',
      rules: [],
    });
  });

  const base = { version: 1, levelMin: 1 };
  const rule = { id: 'level', expression: 'level > 1', why: 'the level' };
  const wrong: readonly (readonly [string, unknown])[] = [
    ['that is nothing', null],
    ['without a version', { levelMin: 1 }],
    ['of another version', { ...base, version: 2 }],
    ['without a level', { version: 1 }],
    ['with an unknown level', { ...base, levelMin: 0 }],
    ['with a level that is text', { ...base, levelMin: '1' }],
    ['with an unknown field', { ...base, extra: 1 }],
    ['with an unknown field inside', { ...base, firmware: { secureboot: 'any' } }],
    ['with an unknown word', { ...base, firmware: { secureBoot: 'off' } }],
    ['with no key profile', { ...base, attestationKeys: [] }],
    ['with PCR 16, which can be reset', { ...base, pcrs: { sha256: [0, 10, 14, 16] } }],
    ['with PCR 23, which can be reset', { ...base, pcrs: { sha256: [0, 10, 14, 23] } }],
    ['with registers out of order', { ...base, pcrs: { sha256: [10, 0, 14] } }],
    ['with a register twice', { ...base, pcrs: { sha256: [10, 10, 14] } }],
    ['that compares a register which is not quoted', { ...base, pcrs: { sha256: [10, 14], exact: [7] } }],
    ['that wants Secure Boot and no PCR 7', { ...base, pcrs: { sha256: [0, 2, 4, 10, 14] } }],
    [
      'that wants known keys and no PCR 7',
      { ...base, pcrs: { sha256: [0, 2, 4, 10, 14] }, firmware: { secureBoot: 'any', authorities: 'any' } },
    ],
    ['that wants known loaders and no PCR 4', { ...base, pcrs: { sha256: [0, 2, 7, 10, 14] } }],
    [
      'that judges command lines and no register that has them',
      { ...base, pcrs: { sha256: [0, 2, 4, 7, 10, 14] }, firmware: { commandLine: {} } },
    ],
    ['that wants an IMA list and no PCR 10', { ...base, pcrs: { sha256: [0, 14] } }],
    ['with a rule that does not compile', { ...base, rules: [{ ...rule, expression: 'level >' }] }],
    ['with a rule twice', { ...base, rules: [rule, rule] }],
    ['with a rule without a reason', { ...base, rules: [{ ...rule, why: '' }] }],
  ];
  test.each(wrong)('is refused %s', (_, value) => {
    expect(() => parsePolicy(value)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
  });
});

test('reference values are sets of lower-case digests', () => {
  const values = parseReferenceValues({ releases: [digest], images: [] });
  expect(values.releases.has(digest)).toBe(true);
  const wrong = [
    { releases: [digest] },
    { releases: [`0x${digest}`], images: [] },
    { releases: [digest.toUpperCase()], images: [] },
    { releases: [digest.slice(2)], images: [] },
    { releases: [], images: [], components: [{ kind: 'pcr', name: 'sha256:7', digests: [] }] },
    { releases: [], images: [], components: [{ kind: 'pcr', name: 'sha256:7', digests: [digest] }] },
    { releases: [], images: [], components: [{ kind: 'bios', name: 'a', digests: [`sha256:${digest}`] }] },
  ];
  for (const value of wrong) {
    expect(() => parseReferenceValues(value)).toThrow(
      expect.objectContaining({ code: 'REFERENCE_VALUES_INVALID' }),
    );
  }
});

test('a component is found by its kind and by any of its digests', () => {
  const digests = [`sha256:${digest}`, `sha384:${'cd'.repeat(48)}`];
  const shim = { kind: 'boot-loader', name: 'shimx64.efi', digests };
  const values = parseReferenceValues({ releases: [], images: [], components: [shim] });
  for (const it of digests) expect(findReferences(values, 'boot-loader', it)).toEqual([shim]);
  expect(findReferences(values, 'file', digests[0] ?? '')).toEqual([]);
  expect(countReferences(values, 'boot-loader')).toBe(2);
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
