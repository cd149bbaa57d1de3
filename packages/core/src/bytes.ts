import { CoreError } from './errors.ts';

const HEX = /^(?:[0-9a-f]{2})*$/i;
const HEX_OF_BYTE = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Node's own, asked for at run time, so that this package still loads in a browser: it is twice as fast. */
const NodeBuffer = globalThis.process?.getBuiltinModule?.('node:buffer').Buffer;

/** Lower-case hex without a prefix. */
export function toHex(bytes: Uint8Array): string {
  if (NodeBuffer !== undefined && bytes.length > 8) {
    return NodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  }
  let hex = '';
  for (const byte of bytes) hex += HEX_OF_BYTE[byte];
  return hex;
}

/** Parses hex, with or without `0x`. Throws `BYTES_HEX_INVALID`. */
export function fromHex(hex: string): Uint8Array {
  const digits = hex.startsWith('0x') ? hex.slice(2) : hex;
  if (!HEX.test(digits)) throw new CoreError('BYTES_HEX_INVALID', 'not a hex string of whole bytes');
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

export function fromUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Strict UTF-8. Throws `BYTES_UTF8_INVALID`. */
export function toUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new CoreError('BYTES_UTF8_INVALID', 'not valid UTF-8', { cause });
  }
}

/** A Uint8Array, of whatever realm. */
export function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && 'BYTES_PER_ELEMENT' in value && value.BYTES_PER_ELEMENT === 1;
}

/**
 * For callers without types: the characters of a string would be taken for zeros, an ArrayBuffer for nothing. Throws
 * `BYTES_TYPE_INVALID`.
 */
export function assertBytes(value: Uint8Array): void {
  if (!isBytes(value)) throw new CoreError('BYTES_TYPE_INVALID', `got ${typeof value}, want Uint8Array`);
}

/** Throws `BYTES_TYPE_INVALID`, as do all that take bytes here. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) {
    assertBytes(part);
    length += part.length;
  }
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Equality without an early exit, so that comparing a MAC or a digest leaks no position. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  assertBytes(a);
  assertBytes(b);
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

/** Lexicographic order of unsigned bytes: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** The big-endian number at `offset`, which must be inside. */
export function u16At(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}

export function u32At(bytes: Uint8Array, offset: number): number {
  return u16At(bytes, offset) * 0x10000 + u16At(bytes, offset + 2);
}

// Numbers are put together by hand: a DataView costs an allocation that is dearer than all of a small structure.

/** Reads big-endian fields with a bounds check at each step. Throws `BYTES_OUT_OF_BOUNDS`. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    assertBytes(bytes);
    this.#bytes = bytes;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  #advance(length: number): number {
    if (length < 0 || length > this.remaining) {
      throw new CoreError(
        'BYTES_OUT_OF_BOUNDS',
        `wanted ${length} bytes at offset ${this.#offset}, got ${this.remaining}`,
      );
    }
    const at = this.#offset;
    this.#offset += length;
    return at;
  }

  u8(): number {
    return this.#bytes[this.#advance(1)] as number;
  }

  u16(): number {
    return u16At(this.#bytes, this.#advance(2));
  }

  u32(): number {
    return u32At(this.#bytes, this.#advance(4));
  }

  u64(): bigint {
    const at = this.#advance(8);
    return (BigInt(u32At(this.#bytes, at)) << 32n) | BigInt(u32At(this.#bytes, at + 4));
  }

  /** A copy of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    const at = this.#advance(length);
    return new Uint8Array(this.#bytes.subarray(at, at + length)); // slice() of a Node Buffer is a view
  }

  /** The next `length` bytes where they are: they change when the array that is read does. */
  view(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Refuses trailing bytes. Throws `BYTES_TRAILING`. */
  end(): void {
    if (this.remaining !== 0) {
      throw new CoreError(
        'BYTES_TRAILING',
        `${this.remaining} bytes after the end at offset ${this.#offset}`,
      );
    }
  }
}

/**
 * What `read` makes of all of the bytes. That they end early, go on or are no text is told by the error that `refuse` makes of it;
 * whatever else `read` throws passes.
 */
export function readWhole<T>(
  bytes: Uint8Array,
  read: (reader: ByteReader) => T,
  refuse: (cause: CoreError) => Error,
): T {
  try {
    const reader = new ByteReader(bytes);
    const value = read(reader);
    reader.end();
    return value;
  } catch (cause) {
    throw cause instanceof CoreError ? refuse(cause) : cause;
  }
}

// V8 keeps arrays up to this size in its own heap, where they cost next to nothing.
const WRITER_BYTES = 64;
const LONG_BYTES = 4_096;

/** Collects big-endian fields. One that is told how many bytes will come needs no other memory. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(bytesExpected = WRITER_BYTES) {
    this.#bytes = new Uint8Array(bytesExpected);
  }

  /** Makes room for `length` more bytes, and returns where they go. */
  #extend(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      // What is long seldom comes last: room for what follows it saves another copy.
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + (this.#length >>> 3)));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }

  u8(value: number): this {
    const at = this.#extend(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#extend(2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
    return this;
  }

  u32(value: number): this {
    this.u16(value >>> 16);
    return this.u16(value);
  }

  u64(value: bigint): this {
    this.u32(Number(BigInt.asUintN(32, value >> 32n)));
    return this.u32(Number(BigInt.asUintN(32, value)));
  }

  bytes(value: Uint8Array): this {
    assertBytes(value);
    const at = this.#extend(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  toBytes(): Uint8Array {
    const unused = this.#bytes.length - this.#length;
    // Full: whatever is written later goes to another array.
    if (unused === 0) return this.#bytes;
    // A copy of what is long costs more than the room behind it.
    const isLong = this.#length >= LONG_BYTES && unused <= this.#length / 4;
    return isLong ? this.#bytes.subarray(0, this.#length) : this.#bytes.slice(0, this.#length);
  }
}
