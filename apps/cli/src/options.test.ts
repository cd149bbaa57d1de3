import { InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import { port, positive, whole } from './options.ts';

test('a whole number is one of its range, and nothing that only begins like one', () => {
  const read = whole(4, 16);
  expect(['4', '16', '007'].map(read)).toEqual([4, 16, 7]);
  for (const text of ['3', '17', '-5', '4.5', '5 ', '5x', '0x5', '5e0', '', 'NaN', '9'.repeat(16)])
    expect(() => read(text), text).toThrow(InvalidArgumentError);
  expect(() => port('0')).toThrow(InvalidArgumentError);
});

test('a positive number may have a fraction', () => {
  const read = positive(24);
  expect(['0.5', '24', '1.25'].map(read)).toEqual([0.5, 24, 1.25]);
  for (const text of ['0', '0.0', '24.1', '-1', '.5', '1.', '1e1', 'Infinity', ''])
    expect(() => read(text), text).toThrow(InvalidArgumentError);
});
