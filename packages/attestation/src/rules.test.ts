import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AttestationError } from './errors.ts';
import { compileRule, evaluateRule, type Facts } from './rules.ts';

const facts: Facts = {
  level: 3n,
  clock: { resetCount: 5n, safe: true },
  pcrs: { 'sha256:0': '00', 'sha256:7': 'ab' },
  boot: { measured: true, secureBoot: true, loaders: [{ path: 'shimx64.efi' }, { path: 'grubx64.efi' }] },
  ima: { entries: 1200n, violations: 0n },
  releases: ['aa'],
  images: [],
};

test('a rule reads the facts and nothing else', () => {
  const rows: readonly (readonly [string, boolean])[] = [
    ['level >= 2 && clock.safe', true],
    ['pcrs["sha256:7"] in ["ab", "cd"]', true],
    ['boot.loaders.all(l, l.path.endsWith(".efi"))', true],
    ['boot.loaders.exists(l, l.path.contains("systemd"))', false],
    ['size(boot.loaders) == 2', true],
    ['has(ima.entries) && ima.violations == 0', true],
    ['releases.exists_one(r, r == "aa")', true],
    ['images.size() > 0', false],
    ['boot.secureBoot', true],
  ];
  for (const [expression, want] of rows) expect(evaluateRule(expression, facts), expression).toBe(want);
});

test('a rule about a fact that is not there has no answer', () => {
  for (const expression of [
    'boot.commandLine == ""',
    'clock.constructor == 1',
    'boot.__proto__ == 1',
    'ima.entries',
  ])
    expect(evaluateRule(expression, facts), expression).toHaveProperty('failed');
});

describe('a rule is refused when the policy is read', () => {
  const rows = [
    ['that does not parse', 'level >='],
    ['of an unknown variable', 'process.exit(1)'],
    ['of another type than bool', 'level + 1'],
    ['that compares what cannot be compared', 'level == "3"'],
    ['with a regular expression', '"aaaa".matches("(a+)+$")'],
    ['that binds text to double it', 'cel.bind(a, "x", a == a)'],
    ['with a loop in a loop', 'releases.all(r, images.all(i, i == r))'],
    [
      'with a loop over a loop in a loop',
      'releases.all(r, images.filter(i, releases.exists(x, x == i)).size() > 0)',
    ],
    ['with a function of time', 'timestamp("2026-01-01T00:00:00Z") == timestamp("2026-01-01T00:00:00Z")'],
    ['that is too deep', `${'('.repeat(100)}true${')'.repeat(100)}`],
    ['that is too long', `level == 1 ${'|| level == 1'.repeat(100)}`],
  ] as const;
  test.each(rows)('%s', (_, expression) => {
    expect(() => compileRule(expression)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
  });
});

test('any text is refused or gives an answer, and nothing else happens', () => {
  const piece = fc.constantFrom(
    ...[
      'level',
      'boot',
      'pcrs',
      'releases',
      '.',
      '(',
      ')',
      '[',
      ']',
      '"a"',
      '1',
      '==',
      '&&',
      '||',
      '!',
      'x',
      ',',
    ],
    ...[
      '.all(x, ',
      '.exists(x, ',
      '.map(x, ',
      'size(',
      'in',
      '?',
      ':',
      '{',
      '}',
      '+',
      '-',
      '/',
      '%',
      'null',
      '0',
    ],
  );
  const text = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.array(piece, { maxLength: 14 }).map((it) => it.join(' ')),
  );
  fc.assert(
    fc.property(text, (expression) => {
      try {
        const answer = evaluateRule(expression, facts);
        expect(typeof answer === 'boolean' || typeof answer.failed === 'string').toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(AttestationError);
      }
    }),
    { numRuns: 2000 },
  );
});
