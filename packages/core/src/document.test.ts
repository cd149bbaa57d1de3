import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { fromHex } from './bytes.ts';
import { encodeCbor } from './cbor.ts';
import {
  boundedInteger,
  boundedList,
  boundedText,
  byteString,
  defineDocument,
  unsigned64,
} from './document.ts';
import { CodedError } from './errors.ts';

class NoteError extends CodedError<'NOTE_INVALID'> {}

const note = defineDocument({
  name: 'note',
  bytesMax: 200,
  schema: z.strictObject({
    id: byteString(2),
    text: boundedText(8),
    count: boundedInteger(10),
    big: unsigned64(),
    tags: boundedList(boundedText(4), 2, 1),
  }),
  invalid: (message, cause) => new NoteError('NOTE_INVALID', message, { cause }),
});

const good = { id: Uint8Array.of(1, 2), text: 'hello', count: 3, big: 5n, tags: ['a'] };
const encodeRaw = (change: object) => encodeCbor({ ...good, big: 5, ...change });

test('a document survives its encoding', () => {
  expect(note.parse(note.encode(good))).toEqual(good);
  expect(note.parse(note.encode({ ...good, big: 2n ** 64n - 1n })).big).toBe(2n ** 64n - 1n);
});

describe('a document is refused with its own error, which names the field,', () => {
  test.each([
    ['id: want 2 bytes', { id: Uint8Array.of(1) }],
    ['id: want 2 bytes', { id: 'ab' }],
    ['text: want at most 8 bytes of text', { text: 'nine byte' }],
    ['text: want at most 8 bytes of text', { text: 'äöüßé' }],
    ['text: want at most 8 bytes of text', { text: 'a\nb' }],
    ['count: want an integer from 0 to 10', { count: 11 }],
    ['count: want an integer from 0 to 10', { count: -1 }],
    ['big: want an unsigned 64-bit integer', { big: -1 }],
    ['tags: Too small', { tags: [] }],
    ['tags: Too big', { tags: ['a', 'b', 'c'] }],
    ['tags.0: want at most 4 bytes', { tags: ['abcde'] }],
    ['document: Unrecognized key', { more: 1 }],
  ])('%s', (message, change) => {
    expect(() => note.parse(encodeRaw(change))).toThrow(NoteError);
    expect(() => note.parse(encodeRaw(change))).toThrow(`note: ${message}`);
  });

  test('when it is no map, not dag-cbor, or too large', () => {
    expect(() => note.parse(encodeCbor([1]))).toThrow('note: document');
    expect(() => note.parse(Uint8Array.of(0xff))).toThrow('note: CBOR_INVALID');
    expect(() => note.parse(fromHex('a2616201616101'))).toThrow('note: CBOR_NOT_CANONICAL');
    expect(() => note.parse(new Uint8Array(201))).toThrow('note: got 201 bytes, want at most 200');
  });

  test('when it is to be encoded, too', () => {
    expect(() => note.encode({ ...good, text: 'far too long' })).toThrow(NoteError);
  });
});

test('any bytes at all give a document or its own error', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) => {
      const bytes = note.encode(good).slice();
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
  );
  fc.assert(
    fc.property(anything, (bytes) => {
      try {
        note.parse(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(NoteError);
      }
    }),
    { numRuns: 1_000 },
  );
});
