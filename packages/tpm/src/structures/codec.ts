import { type ByteReader, ByteWriter, errorCode, isBytes } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { ALG, hex16 } from './algorithms.ts';
import { invalid, parseWhole } from './buffer.ts';

/**
 * Reads and writes one TPM type (TPM 2.0 Part 2), big-endian. `read` throws `TpmError`, or `CoreError` at the end of the
 * buffer, which `decode` turns into `TPM_STRUCTURE_INVALID`; `write` throws `TPM_ARGUMENT_INVALID`.
 */
export interface Codec<T> {
  read(reader: ByteReader): T;
  write(writer: ByteWriter, value: T): void;
}

/** A codec with a value for callers who say nothing: an empty buffer, TPM_ALG_NULL. */
export interface OptionalCodec<T> extends Codec<T> {
  readonly absent: T;
}

/** What a codec reads and writes. */
export type ValueOf<C> = C extends Codec<infer T> ? T : never;
export type Fields = Readonly<Record<string, Codec<unknown>>>;
export type StructOf<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };

/** The value of all of `bytes`. Throws nothing but `TpmError`. */
export function decode<T>(name: string, codec: Codec<T>, bytes: Uint8Array): T {
  return parseWhole(name, bytes, (reader) => codec.read(reader));
}

/** The bytes of a value. Throws what the codec throws for one that the structure cannot hold. */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new ByteWriter();
  codec.write(writer, value);
  return writer.toBytes();
}

export const u8: Codec<number> = {
  read: (reader) => reader.u8(),
  write: (writer, value) => void writer.u8(unsigned(value, 0xff)),
};

export const u16: Codec<number> = {
  read: (reader) => reader.u16(),
  write: (writer, value) => void writer.u16(unsigned(value, 0xffff)),
};

export const u32: Codec<number> = {
  read: (reader) => reader.u32(),
  write: (writer, value) => void writer.u32(unsigned(value, 0xffffffff)),
};

export const u64: Codec<bigint> = {
  read: (reader) => reader.u64(),
  write(writer, value) {
    if (typeof value !== 'bigint' || value !== BigInt.asUintN(64, value))
      throw refuse(`u64: got ${typeof value} ${value}`);
    writer.u64(value);
  },
};

export const i8: Codec<number> = {
  read: (reader) => (reader.u8() << 24) >> 24,
  write: (writer, value) => void writer.u8(unsigned(value + 0x80, 0xff) ^ 0x80),
};

export const i32: Codec<number> = {
  read: (reader) => reader.u32() | 0,
  write: (writer, value) => void writer.u32((unsigned(value + 0x80000000, 0xffffffff) ^ 0x80000000) >>> 0),
};

/** TPMI_YES_NO: any byte but 0 and 1 is no encoding of a boolean. */
export function yesNo(name: string): Codec<boolean> {
  return {
    read(reader) {
      const byte = reader.u8();
      if (byte > 1) throw invalid(`${name}: got ${byte}, want 0 or 1`);
      return byte === 1;
    },
    write: (writer, value) => void writer.u8(value ? 1 : 0),
  };
}

/** A TPM2B: u16 length, then at most `bytesMax` bytes. */
export function bytes(name: string, bytesMax: number, bytesMin = 0): Codec<Uint8Array> {
  const check = (length: number, error: (message: string) => TpmError) => {
    if (length > bytesMax) throw error(`${name}: got ${length} bytes, want at most ${bytesMax}`);
    if (length < bytesMin) throw error(`${name}: got ${length} bytes, want at least ${bytesMin}`);
  };
  return {
    read(reader) {
      const length = reader.u16();
      check(length, invalid);
      return reader.bytes(length);
    },
    write(writer, value) {
      if (!isBytes(value)) throw refuse(`${name}: got ${typeof value}, want Uint8Array`);
      check(value.length, refuse);
      writer.u16(value.length).bytes(value);
    },
  };
}

/** A TPM2B that holds a structure: the length must be exactly that of the structure. */
export function sized<T>(name: string, codec: Codec<T>): Codec<T> {
  return {
    read: (reader) => decode(name, codec, reader.bytes(reader.u16())),
    write(writer, value) {
      const inner = encode(codec, value);
      writer.u16(unsigned(inner.length, 0xffff)).bytes(inner);
    },
  };
}

/** A TPM2B that holds a structure or nothing. */
export function sizedOrEmpty<T>(name: string, codec: Codec<T>): OptionalCodec<T | undefined> {
  return {
    absent: undefined,
    read(reader) {
      const inner = reader.bytes(reader.u16());
      return inner.length === 0 ? undefined : decode(name, codec, inner);
    },
    write(writer, value) {
      const inner = value === undefined ? new Uint8Array(0) : encode(codec, value);
      writer.u16(unsigned(inner.length, 0xffff)).bytes(inner);
    },
  };
}

export function struct<F extends Fields>(fields: F): Codec<StructOf<F>> {
  const entries = Object.entries(fields);
  return {
    read(reader) {
      const value: Record<string, unknown> = {};
      for (const [key, codec] of entries) value[key] = codec.read(reader);
      return value as StructOf<F>;
    },
    write(writer, value) {
      for (const [key, codec] of entries) codec.write(writer, value[key]);
    },
  };
}

/** A TPML: u32 count, then that many items. */
export function list<T>(name: string, codec: Codec<T>, itemsMax: number): Codec<readonly T[]> {
  return {
    read(reader) {
      const count = reader.u32();
      if (count > itemsMax) throw invalid(`${name}: got ${count} items, want at most ${itemsMax}`);
      const items: T[] = [];
      for (let i = 0; i < count; i++) items.push(codec.read(reader));
      return items;
    },
    write(writer, items) {
      if (items.length > itemsMax)
        throw refuse(`${name}: got ${items.length} items, want at most ${itemsMax}`);
      writer.u32(items.length);
      for (const item of items) codec.write(writer, item);
    },
  };
}

/** The name that stands for each variant, with its selector on the wire and its fields. */
type Variants = Readonly<Record<string, readonly [selector: number, fields: Fields]>>;
type UnionOf<K extends string, V extends Variants> = {
  [N in keyof V & string]: Flat<{ readonly [P in K]: N } & StructOf<V[N][1]>>;
}[keyof V & string];
type Flat<T> = { readonly [K in keyof T]: T[K] };

/** A TPMT or TPMU: a selector, then the fields it chooses. The property `key` of the value names the variant. */
export function union<const K extends string, const V extends Variants>(
  name: string,
  key: K,
  variants: V,
  selector: Codec<number> = u16,
): Codec<UnionOf<K, V>> {
  const body = variantsOf(name, key, variants);
  return {
    read: (reader) => body.read(reader, selector.read(reader)) as UnionOf<K, V>,
    write: (writer, value) => body.write(writer, selector, value as Record<string, unknown>),
  };
}

/** As `union`, where the selector may be TPM_ALG_NULL: `undefined`. */
export function unionOrNull<const K extends string, const V extends Variants>(
  name: string,
  key: K,
  variants: V,
): OptionalCodec<UnionOf<K, V> | undefined> {
  const body = variantsOf(name, key, variants);
  return {
    absent: undefined,
    read(reader) {
      const selected = reader.u16();
      return selected === ALG.null ? undefined : (body.read(reader, selected) as UnionOf<K, V>);
    },
    write(writer, value) {
      if (value === undefined) writer.u16(ALG.null);
      else body.write(writer, u16, value as Record<string, unknown>);
    },
  };
}

function variantsOf(name: string, key: string, variants: Variants) {
  const codecs = Object.entries(variants).map(([variant, [selector, fields]]) => {
    return { variant, selector, codec: struct({ [key]: literal(variant), ...fields }) };
  });
  const bySelector = new Map(codecs.map((entry) => [entry.selector, entry.codec]));
  const byName = new Map(codecs.map((entry) => [entry.variant, entry]));
  return {
    read(reader: ByteReader, selector: number): unknown {
      const codec = bySelector.get(selector);
      if (codec === undefined) throw unsupported(name, selector);
      return codec.read(reader);
    },
    write(writer: ByteWriter, selector: Codec<number>, value: Record<string, unknown>): void {
      const entry = byName.get(String(value[key]));
      if (entry === undefined) throw refuse(`${name}: got ${key} ${String(value[key])}`);
      selector.write(writer, entry.selector);
      entry.codec.write(writer, value);
    },
  };
}

/** A field of the value that has no bytes on the wire. */
function literal(value: string): Codec<unknown> {
  return { read: () => value, write: () => undefined };
}

/** All that is left of the buffer. */
export const rest: Codec<Uint8Array> = {
  read: (reader) => reader.bytes(reader.remaining),
  write: (writer, value) => void writer.bytes(value),
};

/** What names a type or an algorithm that this package does not know: its `fields`, which end in raw bytes. */
export type Unknown<K extends string, F extends Fields> = Flat<
  { readonly [P in K]: 'unknown' } & StructOf<F>
>;

/**
 * `known` or, where `known` throws `TPM_STRUCTURE_UNSUPPORTED`, the variant `unknown`: what a newer TPM says is not lost.
 * Nobody knows where the unknown ends, so it must be the last of its buffer.
 */
export function orUnknown<const K extends string, T extends { readonly [P in K]: string }, F extends Fields>(
  name: string,
  key: K,
  known: Codec<T>,
  fields: F,
): Codec<T | Unknown<K, F>> {
  const unknown: Codec<unknown> = struct({ [key]: literal('unknown'), ...fields });
  return {
    read(reader) {
      const all = reader.bytes(reader.remaining);
      try {
        return decode(name, known, all);
      } catch (error) {
        if (errorCode(error) !== 'TPM_STRUCTURE_UNSUPPORTED') throw error;
        return decode(name, unknown, all) as Unknown<K, F>;
      }
    },
    write(writer, value) {
      if (value[key] === 'unknown') unknown.write(writer, value);
      else known.write(writer, value as T);
    },
  };
}

/** `codec`, with `absent` for callers who say nothing. */
export function optional<T>(codec: Codec<T>, absent: T): OptionalCodec<T> {
  return { ...codec, absent };
}

/** A TPM2B that callers may leave empty. */
export function optionalBytes(name: string, bytesMax: number): OptionalCodec<Uint8Array> {
  return optional(bytes(name, bytesMax), new Uint8Array(0));
}

/** `codec`, where `check` throws for values that the type allows and the specification does not. */
export function checked<T>(codec: Codec<T>, check: (value: T) => void): Codec<T> {
  return {
    read(reader) {
      const value = codec.read(reader);
      check(value);
      return value;
    },
    write: (writer, value) => codec.write(writer, value),
  };
}

export function unsupported(field: string, value: number): TpmError {
  return new TpmError('TPM_STRUCTURE_UNSUPPORTED', `${field}: got ${hex16(value)}`, {
    data: { field, value },
  });
}

function unsigned(value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max)
    throw refuse(`integer: got ${value}, want 0 to ${max}`);
  return value;
}

function refuse(message: string): TpmError {
  return new TpmError('TPM_ARGUMENT_INVALID', message);
}
