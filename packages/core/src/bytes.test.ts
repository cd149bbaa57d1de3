import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ByteReader,
  ByteWriter,
  bytesEqual,
  compareBytes,
  concatBytes,
  fromHex,
  fromUtf8,
  isBytes,
  readWhole,
  toHex,
  toUtf8,
} from './bytes.ts';
import { CoreError } from './errors.ts';
import { hashDomain, sha256 } from './hash.ts';

const anyBytes = fc.uint8Array({ maxLength: 64 });

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CoreError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

test('what a reader returns is a copy, also of a Buffer, whose slice is a view', () => {
  const source = Buffer.from([1, 2, 3]);
  const read = new ByteReader(source).bytes(2);
  source.fill(9);
  expect([...read]).toEqual([1, 2]);
});

test.each(['"00ff"', '[0, 255]', '{"0": 1, "length": 1}', 'null', '7'])(
  'bytes are not %s, and are not taken for zeros',
  (json) => {
    const value = JSON.parse(json);
    for (const use of [
      () => concatBytes(value),
      () => bytesEqual(value, new Uint8Array(4)),
      () => bytesEqual(new Uint8Array(4), value),
      () => new ByteReader(value),
      () => new ByteWriter().bytes(value),
      () => sha256(value),
      () => sha256(new Uint8Array(1), value),
      () => hashDomain('domain', value),
    ])
      expect(codeOf(use)).toBe('BYTES_TYPE_INVALID');
  },
);

test('an ArrayBuffer is none either, a Buffer is', () => {
  const { buffer } = new Uint8Array(4);
  const untyped: unknown[] = [buffer, new DataView(buffer), new Uint16Array(buffer), new Blob()];
  expect(untyped.map(isBytes)).toEqual([false, false, false, false]);
  expect([Buffer.alloc(1), new Uint8Array(0), new Uint8Array(buffer, 1, 2)].map(isBytes)).toEqual([
    true,
    true,
    true,
  ]);
});

describe('hex', () => {
  test('survives a round trip, with and without a prefix, in either case', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const hex = toHex(bytes);
        for (const text of [hex, `0x${hex}`, hex.toUpperCase()]) expect(fromHex(text)).toEqual(bytes);
      }),
    );
  });

  test('is of the view, not of the memory behind it, for short and long ones', () => {
    const memory = Uint8Array.from({ length: 64 }, (_, i) => i);
    for (const length of [1, 8, 9, 32]) {
      const view = memory.subarray(5, 5 + length);
      expect(toHex(view)).toBe([...view].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
    }
  });

  test.each(['0', 'abc', 'zz', '0x0', '0xg0', ' 00', '00 ', '0X00', '00\n', '０0'])(
    '%j is refused: not whole bytes of hex',
    (text) => {
      expect(codeOf(() => fromHex(text))).toBe('BYTES_HEX_INVALID');
    },
  );
});

describe('UTF-8', () => {
  test('survives a round trip, byte order marks included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(toUtf8(fromUtf8(text))).toBe(text);
        expect(toUtf8(fromUtf8(`\ufeff${text}`))).toBe(`\ufeff${text}`);
      }),
    );
  });

  test.each([
    ['a lone continuation byte', [0x80]],
    ['a truncated character', [0xe2, 0x82]],
    ['an overlong encoding', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a value beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
  ])('%s is refused', (_what, bytes) => {
    expect(codeOf(() => toUtf8(Uint8Array.from(bytes)))).toBe('BYTES_UTF8_INVALID');
  });
});

describe('order and equality', () => {
  test('agree with each other and with the order of hex', () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        expect(bytesEqual(a, b)).toBe(compareBytes(a, b) === 0);
        const [left, right] = [toHex(a), toHex(b)];
        expect(Math.sign(compareBytes(a, b))).toBe(left === right ? 0 : left < right ? -1 : 1);
        expect(Math.sign(compareBytes(b, a))).toBe(0 - Math.sign(compareBytes(a, b)));
      }),
    );
  });

  test('see every flipped bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(), (bytes, at) => {
        const flipped = bytes.slice();
        const index = at % bytes.length;
        flipped[index] = (flipped[index] as number) ^ (1 << (at % 8));
        expect(bytesEqual(bytes, flipped)).toBe(false);
      }),
    );
  });

  test('joining keeps every byte', () => {
    fc.assert(
      fc.property(fc.array(anyBytes, { maxLength: 5 }), (parts) => {
        expect(toHex(concatBytes(...parts))).toBe(parts.map(toHex).join(''));
      }),
    );
  });
});

describe('reader and writer', () => {
  test('give back every field, and take nothing beyond the end', () => {
    const fields = fc.tuple(
      fc.nat(0xff),
      fc.nat(0xffff),
      fc.nat(0xffffffff),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      anyBytes,
    );
    fc.assert(
      fc.property(fields, ([a, b, c, d, rest]) => {
        const bytes = new ByteWriter().u8(a).u16(b).u32(c).u64(d).bytes(rest).toBytes();
        const reader = new ByteReader(bytes);
        expect([reader.u8(), reader.u16(), reader.u32(), reader.u64()]).toEqual([a, b, c, d]);
        expect(reader.offset).toBe(15);
        expect(reader.bytes(reader.remaining)).toEqual(rest);
        reader.end();
        expect(codeOf(() => reader.u8())).toBe('BYTES_OUT_OF_BOUNDS');
      }),
    );
  });

  test('reads from a view into a larger buffer as from a copy of it', () => {
    const view = Uint8Array.of(9, 9, 1, 2, 3, 9).subarray(2, 5);
    const reader = new ByteReader(view);
    expect([reader.u8(), reader.u16()]).toEqual([1, 0x0203]);
    reader.end();
  });

  test('hands out copies', () => {
    const bytes = Uint8Array.of(1, 2);
    const copy = new ByteReader(bytes).bytes(2);
    copy[0] = 7;
    expect(bytes[0]).toBe(1);
  });

  test('hands out a view only where it says so', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const reader = new ByteReader(bytes);
    const view = reader.view(2);
    bytes[0] = 7;
    expect([...view]).toEqual([7, 2]);
    expect(codeOf(() => reader.view(2))).toBe('BYTES_OUT_OF_BOUNDS');
  });

  test('what a writer gave away stays as it is, whatever is written later and whatever it expected', () => {
    for (const expected of [0, 1, 3, 4, 5, 64]) {
      const writer = new ByteWriter(expected).u32(0x01020304);
      const bytes = writer.toBytes();
      writer.u64(0xffff_ffff_ffff_ffffn).u8(9);
      expect([...bytes]).toEqual([1, 2, 3, 4]);
      expect([...writer.toBytes()]).toEqual([1, 2, 3, 4, ...new Array(8).fill(255), 9]);
    }
  });

  test('what is long comes out as it was written, keeps little memory besides, and stays as it is', () => {
    const parts = fc.array(fc.nat({ max: 20_000 }), { maxLength: 6 });
    fc.assert(
      fc.property(parts, (lengths) => {
        const writer = new ByteWriter();
        const want = lengths.map((length, index) => new Uint8Array(length).fill(index + 1));
        for (const part of want) writer.bytes(part);
        const bytes = writer.toBytes();
        writer.bytes(new Uint8Array(100).fill(255));
        expect(bytes).toEqual(concatBytes(...want));
        expect(bytes.buffer.byteLength).toBeLessThanOrEqual(Math.max(64, 1.25 * bytes.length));
      }),
    );
  });

  test.each([
    ['u8', (reader: ByteReader) => reader.u8()],
    ['u16', (reader: ByteReader) => reader.u16()],
    ['u32', (reader: ByteReader) => reader.u32()],
    ['u64', (reader: ByteReader) => reader.u64()],
    ['bytes', (reader: ByteReader) => reader.bytes(1)],
    ['a negative length', (reader: ByteReader) => reader.bytes(-1)],
  ])('%s beyond the end is refused', (_what, read) => {
    expect(codeOf(() => read(new ByteReader(new Uint8Array(0))))).toBe('BYTES_OUT_OF_BOUNDS');
  });

  test('what is left over is refused', () => {
    expect(codeOf(() => new ByteReader(Uint8Array.of(1)).end())).toBe('BYTES_TRAILING');
  });

  test('what does not fit to all of the bytes becomes the error of who reads, and any other error stays what it was', () => {
    const refused = new Error('refused');
    const read = (bytes: Uint8Array) =>
      readWhole(
        bytes,
        (reader) => toUtf8(reader.bytes(2)),
        () => refused,
      );
    expect(read(fromUtf8('ok'))).toBe('ok');
    for (const bad of [Uint8Array.of(1), Uint8Array.of(1, 2, 3), Uint8Array.of(0xff, 0xff)])
      expect(() => read(bad)).toThrow(refused);
    const other = new TypeError('a bug');
    const fail = (): never => {
      throw other;
    };
    expect(() => readWhole(new Uint8Array(0), fail, () => refused)).toThrow(other);
  });
});
