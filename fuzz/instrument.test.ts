import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Feedback } from './feedback.ts';
import { instrument } from './instrument.ts';

/** Runs `body` as a function of `a` and `b`, plain and instrumented, with the probe that it expects. */
function both(
  body: string,
  feedback = new Feedback(),
): [(a: unknown, b: unknown) => unknown, typeof feedback] {
  const source = instrument(`function f(a, b) {${body}}`, feedback.registry);
  const make = new Function('globalThis', `${source}; return f;`) as (scope: object) => never;
  return [make({ __fuzzProbe: feedback.probe }), feedback];
}

const BODIES = [
  'if (a === b) return 1; else if ((a) !== /* !== */ (b)) return 2; return 3',
  'let n = 0; for (let i = 0; i < 3; i++) if (a > i) if (b > i) n++; else n += 2; return n',
  'switch (a) { case 1: case 2: return "low"; case b: return "b"; default: return "other" }',
  'return a < b ? { x: a } : a <= b || (() => ({ y: a >= b }))()',
  'try { if (a > 1) throw b; return a ?? b } catch (e) { return [e, a == b, typeof a === "number"] }',
  'do a--; while (a > 0 && b-- > 0); return [a, b, [1, 2].map((x) => x === a)]',
];

describe.each(BODIES)('instrumented code does what it did: %s', (body) => {
  test('for any numbers, strings and big integers', () => {
    const plain = new Function('a', 'b', body) as (a: unknown, b: unknown) => unknown;
    const [probed] = both(body);
    const value = fc.oneof(
      fc.integer({ min: -2, max: 4 }),
      fc.constantFrom(1n, 2n, '1', 'x', null, undefined),
    );
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(outcome(probed, a, b)).toEqual(outcome(plain, a, b));
      }),
    );
  });
});

function outcome(run: (a: unknown, b: unknown) => unknown, a: unknown, b: unknown): unknown {
  try {
    return run(a, b);
  } catch (error) {
    return error instanceof Error ? error.name : error; // mixing big integers and numbers
  }
}

test('a new block and a closer comparison are news, the same again is not', () => {
  const [run, feedback] = both('if (a === 0x1234) return 1; return 0');
  const isNews = (a: number): boolean => {
    feedback.begin();
    run(a, 0);
    return feedback.end();
  };
  expect(isNews(0xffff)).toBe(true);
  expect(isNews(0xffff)).toBe(false);
  expect(isNews(0x12ff)).toBe(true);
  expect(isNews(0x1234)).toBe(true);
  expect(isNews(0x1234)).toBe(false);
});

test('every line keeps its number', () => {
  const [run] = both('\n\nthrow new Error("here")');
  expect(() => run(1, 1)).toThrow('here');
  const source = 'const a = 1;\nif (a) {\n  a;\n}\n';
  expect(instrument(source, new Feedback().registry).split('\n')).toHaveLength(source.split('\n').length);
});
