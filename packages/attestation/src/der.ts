import { CodedError, concatBytes } from '@nemea/core';

/** Keys, certificates and appended signatures are a few kB: what is larger is asked for by name. */
export const DER_BYTES_MAX = 64 * 1024;
const CHILDREN_MAX = 1024;
const OID_BYTES_MAX = 64;

/** Never leaves the package: whoever reads DER translates it. */
export class DerError extends CodedError<'DER_INVALID'> {}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
  context0: 0xa0,
  context1: 0xa1,
  context3: 0xa3,
  contextPrimitive0: 0x80,
} as const;

/** One value of DER (X.690): tags of one byte, definite lengths. */
export interface Der {
  readonly tag: number;
  readonly content: Uint8Array;
  /** With its header. */
  readonly whole: Uint8Array;
}

/** Reads one value that fills `bytes`. Throws `DerError`, as everything here. */
export function parseDer(bytes: Uint8Array, bytesMax = DER_BYTES_MAX): Der {
  if (bytes.length > bytesMax) throw derError(`got ${bytes.length} bytes, want at most ${bytesMax}`);
  const value = readValue(bytes, 0);
  if (value.whole.length !== bytes.length) throw derError('bytes after the end');
  return value;
}

/** The values inside a constructed one. */
export function childrenOf(parent: Der, childrenMax = CHILDREN_MAX): readonly Der[] {
  const children: Der[] = [];
  for (let offset = 0; offset < parent.content.length; ) {
    if (children.length === childrenMax) throw derError(`more than ${childrenMax} values in one`);
    const child = readValue(parent.content, offset);
    children.push(child);
    offset += child.whole.length;
  }
  return children;
}

/** The value's content, when it has the tag. */
export function expectTag(value: Der | undefined, tag: number): Der {
  if (value?.tag !== tag)
    throw derError(`got tag ${value?.tag.toString(16) ?? 'nothing'}, want ${tag.toString(16)}`);
  return value;
}

/** Dotted form of an object identifier of small arcs, which is all that keys and signatures use. */
export function oidOf(value: Der | undefined): string {
  const { content } = expectTag(value, TAG.oid);
  if (content.length === 0 || content.length > OID_BYTES_MAX || (content.at(-1) as number) >= 0x80)
    throw derError('not an object identifier');
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of content) {
    if (arc > 2 ** 24) throw derError('an object identifier with a large arc');
    arc = arc * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const first = arcs[0] ?? 0;
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - 40 * root, ...arcs.slice(1)].join('.');
}

/** A BIT STRING of whole bytes. */
export function bitsOf(value: Der | undefined): Uint8Array {
  const { content } = expectTag(value, TAG.bitString);
  if (content[0] !== 0) throw derError('a bit string that is not of whole bytes');
  return content.subarray(1);
}

/** A positive INTEGER in its shortest form. */
export function positiveOf(value: Der | undefined): bigint {
  const { content } = expectTag(value, TAG.integer);
  const [first = 0x80, second = 0x80] = content;
  if (first >= 0x80 || (first === 0 && content.length > 1 && second < 0x80))
    throw derError('not a positive integer');
  return toBigInt(content);
}

export function toBigInt(bytes: Uint8Array): bigint {
  let hex = '0x0';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return BigInt(hex);
}

function readValue(bytes: Uint8Array, start: number): Der {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined) throw derError('ends inside a header');
  if ((tag & 0x1f) === 0x1f) throw derError('a tag of several bytes');
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || lengthBytes > 3) throw derError('a length that is indefinite or too long');
  let length = first < 0x80 ? first : 0;
  for (let i = 0; i < lengthBytes; i++) length = length * 256 + (bytes[start + 2 + i] ?? 0);
  const contentAt = start + 2 + lengthBytes;
  if (length > bytes.length - contentAt) throw derError('ends inside a value');
  if (lengthBytes > 0 && length < (lengthBytes === 1 ? 0x80 : 2 ** (8 * (lengthBytes - 1)))) {
    throw derError('a length that is not in its shortest form');
  }
  const end = contentAt + length;
  return { tag, content: bytes.subarray(contentAt, end), whole: bytes.subarray(start, end) };
}

export function derError(message: string): DerError {
  return new DerError('DER_INVALID', `DER: ${message}`);
}

/** The inverse of `parseDer`, for what is built anew. */
export function encodeDer(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...contents);
  const size = content.length;
  if (size >= 0x10000) throw derError(`got ${size} bytes, want fewer than 65536`);
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return concatBytes(Uint8Array.of(tag, ...length), content);
}
