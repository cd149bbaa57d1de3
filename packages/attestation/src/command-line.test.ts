import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commandLineWords, findCommandLineFault } from './command-line.ts';

const lineOf = (text: string) => ({ event: 1, pcr: 8, text });

function fault(text: string, demand: { required?: string[]; allowed?: string[]; forbidden?: string[] }) {
  const line = lineOf(text);
  const found = findCommandLineFault([line], [line], {
    required: [],
    forbidden: [],
    ...demand,
    allowed: demand.allowed ?? null,
  });
  return found === null ? null : `${found.reason} ${found.word}`;
}

describe('a forbidden word is found [ATT-26]', () => {
  test.each([
    ['as it is', 'ro init=/bin/sh'],
    ['in quotes, which the kernel takes off', 'ro "init=/bin/sh"'],
    ['with its value in quotes', 'ro init="/bin/sh -c x"'],
    ['in the quotes that init programs take off', "ro 'init=/bin/sh'"],
    ['with quotes and backslashes inside', 'ro in"i"t=/bin\\/sh'],
    ['behind a byte that the kernel takes for a blank', 'ro x\u00e0init=/bin/sh'],
    ['behind a tab', 'ro\tinit=/bin/sh'],
    ['inside of a quoted word', 'ro "x init=/bin/sh"'],
    ['behind the end of the kernel’s own words', 'ro -- init=/bin/sh'],
  ])('%s', (_, text) => {
    expect(fault(text, { forbidden: ['init=*'] })).toMatch(/^COMMAND_LINE_FORBIDDEN init=/);
  });

  test('also where hyphen and underscore stand for one another, but not in values', () => {
    expect(fault('ima-appraise=off', { forbidden: ['ima_appraise=off'] })).not.toBeNull();
    expect(fault('root=a-b', { forbidden: ['root=a_b'] })).toBeNull();
  });
});

describe('a demanded word is missing', () => {
  const demand = { required: ['lockdown=integrity'] };

  test.each([
    ['where it is nowhere', 'ro', 'lockdown=integrity'],
    ['where it only stands inside of another one', 'ro "x lockdown=integrity y"', 'lockdown=integrity'],
    ['where it is for init', 'ro -- lockdown=integrity', 'lockdown=integrity'],
    ['where a later word says otherwise', 'lockdown=integrity lockdown=none', 'lockdown=none'],
  ])('%s', (_, text, word) => {
    expect(fault(text, demand)).toBe(`COMMAND_LINE_UNKNOWN ${word}`);
  });

  test('and it is there in quotes, or with another value that the policy names too', () => {
    expect(fault('"lockdown=integrity"', demand)).toBeNull();
    const consoles = { required: ['console=tty0', 'console=ttyS0'] };
    expect(fault('console=tty0 console=ttyS0', consoles)).toBeNull();
  });
});

test('a word that is not among the allowed ones is unknown, however it is written', () => {
  const allowed = ['ro', 'root=*'];
  expect(fault('ro root=/dev/sda1', { allowed })).toBeNull();
  for (const text of ['ro quiet', 'ro "quiet"', 'ro root=/dev/sda1\u00a0quiet', 'ro\vquiet']) {
    expect(fault(text, { allowed }), text).toMatch(/^COMMAND_LINE_UNKNOWN/);
  }
  expect(fault('ro', { allowed: [] })).toBe('COMMAND_LINE_UNKNOWN ro');
});

test('any line meets the policy that allows its own words', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      expect(fault(text, { allowed: commandLineWords(text) })).toBeNull();
    }),
  );
});
