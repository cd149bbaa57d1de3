import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromUtf8 } from './bytes.ts';
import { printable } from './printable.ts';

test('what moves the cursor, hides, turns or breaks a line is spelt out, and nothing else is touched', () => {
  expect(printable('a\u001b[2J\u202e\u2028\n\u00ad\ud800z')).toBe(
    'a\\u{1b}[2J\\u{202e}\\u{2028}\\u{a}\\u{ad}\\u{d800}z',
  );
  expect(printable('/usr/bin/gr\u00fc\u00dfe \u4f60\u597d \ud83d\ude00')).toBe(
    '/usr/bin/gr\u00fc\u00dfe \u4f60\u597d \ud83d\ude00',
  );
});

test('a text that is too long ends in an ellipsis, never in half a character or half an escape', () => {
  expect(printable('abcdef', 6)).toBe('abcdef');
  expect(printable('abcdefg', 6)).toBe('abc…');
  expect(printable('a\u001b', 6)).toBe('a…');
  expect(printable('aü\u4f60', 5)).toBe('a…');
});

test('any text comes out printable and no longer than was asked for', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.integer({ min: 3, max: 60 }),
      (text, bytesMax) => {
        const shown = printable(text, bytesMax);
        expect(shown).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        expect(fromUtf8(shown).length).toBeLessThanOrEqual(bytesMax);
      },
    ),
  );
});
