import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from './bytes.ts';
import { type CborValue, decodeCbor, encodeCbor } from './cbor.ts';
import { CoreError } from './errors.ts';

const { value } = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 32 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CoreError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

test('any value survives its encoding, byte for byte', () => {
  fc.assert(
    fc.property(value, (given) => {
      const bytes = encodeCbor(given);
      expect(toHex(encodeCbor(decodeCbor(bytes)))).toBe(toHex(bytes));
    }),
  );
});

test('the order in which a map was built does not show', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { maxLength: 6 }), (keys) => {
      const built = (order: readonly string[]) => Object.fromEntries(order.map((key) => [key, key.length]));
      expect(toHex(encodeCbor(built(keys)))).toBe(toHex(encodeCbor(built(keys.toReversed()))));
    }),
  );
});

test('there is one encoding of each value: bytes that decode are the ones that encode', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(value, fc.nat(), fc.nat(255)).map(([given, at, byte]) => {
      const bytes = encodeCbor(given).slice();
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
  );
  fc.assert(
    fc.property(anything, (bytes) => {
      try {
        expect(toHex(encodeCbor(decodeCbor(bytes)))).toBe(toHex(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(CoreError);
      }
    }),
    { numRuns: 2_000 },
  );
});

describe('bytes that are refused', () => {
  test.each([
    ['nothing at all', ''],
    ['a truncated value', '19ff'],
    ['two values', '0101'],
    ['a break without a beginning', 'ff'],
    ['an integer in more bytes than it needs', '1801'],
    ['a length in more bytes than it needs', '590001ff'],
    ['an indefinite list', '9f01ff'],
    ['an indefinite string', '7f6161ff'],
    ['a key twice', 'a2616101616102'],
    ['keys out of order', 'a2616201616101'],
    ['a longer key first', 'a2626161016162 02'.replace(' ', '')],
    ['a key that is no text', 'a10101'],
    ['a half float', 'f93c00'],
    ['not a number', 'fb7ff8000000000000'],
    ['undefined', 'f7'],
    ['a tag', 'c001'],
    ['text that is no UTF-8', '6180'],
  ])('%s', (_what, hex) => {
    expect(['CBOR_INVALID', 'CBOR_NOT_CANONICAL']).toContain(codeOf(() => decodeCbor(fromHex(hex))));
  });
});

test.each([
  ['undefined', undefined],
  ['not a number', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['a function', () => 1],
  ['an integer of more than 64 bits', 2n ** 64n],
])('%s has no encoding', (_what, given) => {
  expect(codeOf(() => encodeCbor(given as CborValue))).toBe('CBOR_INVALID');
});

test('an encoding is a plain array whose slices are copies', () => {
  const bytes = encodeCbor({ a: new Uint8Array(4) });
  expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
  const slice = bytes.slice(0, 1);
  slice[0] = 0;
  expect(bytes[0]).not.toBe(0);
});
