import { expect, test } from 'vitest';
import { assert, assertNever } from './assert.ts';
import { CodedError, CoreError, errorCode } from './errors.ts';

class LateError extends CodedError<'LATE'> {}

test('a coded error carries its name, code, data and cause', () => {
  const cause = new Error('below');
  const error = new LateError('LATE', 'too late by 3 s', { data: { lateS: 3 }, cause });
  expect(error).toMatchObject({ name: 'LateError', code: 'LATE', data: { lateS: 3 }, cause });
  expect(error).toBeInstanceOf(CodedError);
});

test('whatever is thrown has a code', () => {
  expect(errorCode(new CoreError('CBOR_INVALID', 'x'))).toBe('CBOR_INVALID');
  for (const thrown of [new Error('x'), 'x', undefined, { code: 'FAKE' }]) {
    expect(errorCode(thrown)).toBe('UNEXPECTED');
  }
});

test('an assertion stops on a bug and names it', () => {
  assert(true, 'never seen');
  expect(() => assert(false, 'one is two')).toThrow('assertion failed: one is two');
  expect(() => assertNever('other' as never)).toThrow('unexpected variant "other"');
});
