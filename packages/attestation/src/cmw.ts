/**
 * RATS Conceptual Message Wrapper (draft-ietf-rats-msg-wrap, sections 3.1 and 3.2): JSON record, CBOR record, and the CBOR
 * tag that RFC 9277 derives from a CoAP Content-Format. Collections and tunnels are refused. [ATT-20]
 */
import { type ByteReader, ByteWriter, bytesEqual, fromUtf8, readWhole, toUtf8 } from '@nemea/core';
import { cacheKey } from './bounded-cache.ts';
import { AttestationError } from './errors.ts';

/** Names what a wrapped message is: a media type, or a CoAP Content-Format (CBOR only). */
export type CmwType = string | number;

/** A message and what it is. */
export interface Cmw {
  readonly type: CmwType;
  readonly value: Uint8Array;
  /** Bit map of the kinds of message inside: see `CMW_KIND`. */
  readonly indicator?: number;
}

/** Bits of a wrapper's indicator. */
export const CMW_KIND = { referenceValues: 1, endorsements: 2, evidence: 4, attestationResults: 8 } as const;

/** A wrapper's form: JSON record, CBOR record, or CBOR tag. */
export type CmwForm = 'json' | 'cbor' | 'tag';

/** This project's own documents. */
export const EVIDENCE_MEDIA_TYPE = 'application/vnd.nemea.evidence+cbor';
/** An Attestation Result as `encodeResult` writes it. */
export const RESULT_MEDIA_TYPE = 'application/vnd.nemea.attestation-result+cbor';

const VALUE_BYTES_MAX = 64 << 20;
const TYPE_BYTES_MAX = 255;
const INDICATOR_MAX = 15;
// RFC 9277, appendix B: TN(ct) = 0x63740101 + (ct / 255) * 256 + ct % 255, for 0 <= ct < 65025.
const TAG_BASE = 0x63740101;
const CONTENT_FORMAT_MAX = 65_024;
const TAG_MAX = tagOf(CONTENT_FORMAT_MAX);
// RFC 6838, 4.2: restricted names; parameters as in RFC 9110, 5.6.6.
const MEDIA_TYPE =
  /^[a-z0-9][\w!#$&^.+-]{0,126}\/[a-z0-9][\w!#$&^.+-]{0,126}(?: ?; ?[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[ !#-[\]-~]*"))*$/i;
const BASE64URL = /^[\w-]*$/;

const MAJOR = { unsigned: 0, bytes: 2, text: 3, array: 4, tag: 6 } as const;

/** Throws `CMW_INVALID` for what has no wrapper of that form: a Content-Format in JSON, a media type in a tag. */
export function wrapCmw({ type, value, indicator }: Cmw, form: CmwForm): Uint8Array {
  checkType(type);
  if (value.length > VALUE_BYTES_MAX) throw invalid(`value: got ${value.length} bytes`);
  if (indicator !== undefined) checkIndicator(indicator);
  if (form === 'tag') {
    if (typeof type !== 'number')
      throw invalid('a tag is derived from a Content-Format, not from a media type');
    if (indicator !== undefined) throw invalid('a tag has no indicator');
    const head = writeHead(new ByteWriter(), MAJOR.tag, tagOf(type));
    return writeHead(head, MAJOR.bytes, value.length).bytes(value).toBytes();
  }
  if (form === 'json') {
    if (typeof type !== 'string') throw invalid('JSON names a media type, not a Content-Format');
    const items = indicator === undefined ? [] : [indicator];
    return fromUtf8(JSON.stringify([type, toBase64Url(value), ...items]));
  }
  const writer = writeHead(new ByteWriter(), MAJOR.array, indicator === undefined ? 2 : 3);
  if (typeof type === 'number') writeHead(writer, MAJOR.unsigned, type);
  else {
    const text = fromUtf8(type);
    writeHead(writer, MAJOR.text, text.length).bytes(text);
  }
  writeHead(writer, MAJOR.bytes, value.length).bytes(value);
  if (indicator !== undefined) writeHead(writer, MAJOR.unsigned, indicator);
  return writer.toBytes();
}

/** Whether the first byte is one that a wrapper may start with: the look-ahead of section 3.5, without collections. */
export function isCmw(bytes: Uint8Array): boolean {
  const first = bytes[0];
  return (
    first === 0x82 || first === 0x83 || first === 0x5b || (first !== undefined && first >> 5 === MAJOR.tag)
  );
}

/** Strict: shortest lengths, no blanks or padding, the exact end. Throws `CMW_INVALID`. */
export function unwrapCmw(bytes: Uint8Array): Cmw {
  if (bytes[0] === 0x5b) return unwrapJson(bytes);
  const read = (bytes[0] ?? 0) >> 5 === MAJOR.tag ? readTag : readRecord;
  return readWhole(bytes, read, (cause) => invalid(cause.message, cause));
}

function readTag(reader: ByteReader): Cmw {
  const tag = readHead(reader, MAJOR.tag);
  const type = contentFormatOf(tag);
  if (type === undefined) throw invalid(`tag: got ${tag}, want one that RFC 9277 derives`);
  return { type, value: readValue(reader) };
}

function readRecord(reader: ByteReader): Cmw {
  const length = readHead(reader, MAJOR.array);
  if (length !== 2 && length !== 3) throw invalid(`record: got ${length} items, want 2 or 3`);
  const type = readType(reader);
  const value = readValue(reader);
  if (length === 2) return { type, value };
  return { type, value, indicator: checkIndicator(readHead(reader, MAJOR.unsigned)) };
}

function readType(reader: ByteReader): CmwType {
  const { major, argument } = readAnyHead(reader);
  if (major === MAJOR.unsigned) return checkType(argument);
  if (major !== MAJOR.text || argument > TYPE_BYTES_MAX)
    throw invalid('type: want a media type or Content-Format');
  return checkType(toUtf8(reader.bytes(argument)));
}

function readValue(reader: ByteReader): Uint8Array {
  const length = readHead(reader, MAJOR.bytes);
  if (length > VALUE_BYTES_MAX) throw invalid(`value: got ${length} bytes, want at most ${VALUE_BYTES_MAX}`);
  return reader.bytes(length);
}

function readHead(reader: ByteReader, want: number): number {
  const { major, argument } = readAnyHead(reader);
  if (major !== want) throw invalid(`got CBOR major type ${major}, want ${want}`);
  return argument;
}

/** A CBOR head in its shortest form (RFC 8949, 4.2.1); lengths beyond 32 bits and indefinite ones are refused. */
function readAnyHead(reader: ByteReader): { readonly major: number; readonly argument: number } {
  const initial = reader.u8();
  const [major, info] = [initial >> 5, initial & 31];
  if (info < 24) return { major, argument: info };
  if (info > 26) throw invalid(`got CBOR head 0x${initial.toString(16)}`);
  const argument = info === 24 ? reader.u8() : info === 25 ? reader.u16() : reader.u32();
  const least = info === 24 ? 24 : info === 25 ? 0x100 : 0x10000;
  if (argument < least) throw invalid('a CBOR head is not in its shortest form');
  return { major, argument };
}

function writeHead(writer: ByteWriter, major: number, argument: number): ByteWriter {
  const initial = major << 5;
  if (argument < 24) return writer.u8(initial | argument);
  if (argument < 0x100) return writer.u8(initial | 24).u8(argument);
  if (argument < 0x10000) return writer.u8(initial | 25).u16(argument);
  return writer.u8(initial | 26).u32(argument);
}

function unwrapJson(bytes: Uint8Array): Cmw {
  if (bytes.length > 2 * VALUE_BYTES_MAX) throw invalid(`got ${bytes.length} bytes`);
  let items: unknown;
  try {
    items = JSON.parse(toUtf8(bytes));
  } catch (cause) {
    throw invalid('not JSON', cause);
  }
  if (!Array.isArray(items) || items.length < 2 || items.length > 3)
    throw invalid('want an array of 2 or 3 items');
  const [type, text, indicator]: unknown[] = items;
  if (typeof type !== 'string') throw invalid('type: want a media type');
  if (typeof text !== 'string') throw invalid('value: want text');
  if (items.length === 3 && typeof indicator !== 'number') throw invalid('indicator: want a number');
  const value = fromBase64Url(text);
  const cmw = typeof indicator === 'number' ? { type, value, indicator } : { type, value };
  // JSON spells one text in many ways: blanks and escapes would be a second form of the same message.
  if (!bytesEqual(wrapCmw(cmw, 'json'), bytes)) throw invalid('not the one JSON spelling of its content');
  return cmw;
}

function checkType(type: CmwType): CmwType {
  if (typeof type === 'number') {
    if (!Number.isInteger(type) || type < 0 || type > CONTENT_FORMAT_MAX) {
      throw invalid(`Content-Format: got ${type}, want 0 to ${CONTENT_FORMAT_MAX}`);
    }
  } else if (type.length > TYPE_BYTES_MAX || !MEDIA_TYPE.test(type)) {
    throw invalid('type: not a media type');
  }
  return type;
}

function checkIndicator(indicator: number): number {
  if (!Number.isInteger(indicator) || indicator < 1 || indicator > INDICATOR_MAX) {
    throw invalid(`indicator: got ${indicator}, want 1 to ${INDICATOR_MAX}`);
  }
  return indicator;
}

function tagOf(contentFormat: number): number {
  return TAG_BASE + Math.floor(contentFormat / 255) * 256 + (contentFormat % 255);
}

/** Undefined for a tag outside the range, and for the numbers within it that no Content-Format maps to. */
function contentFormatOf(tag: number): number | undefined {
  if (tag < TAG_BASE || tag > TAG_MAX) return undefined;
  const offset = tag - TAG_BASE;
  return offset % 256 === 255 ? undefined : Math.floor(offset / 256) * 255 + (offset % 256);
}

const CHUNK_BYTES = 0x6000;

function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    text += btoa(cacheKey(bytes.subarray(at, at + CHUNK_BYTES)));
  }
  return text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** RFC 4648, section 5, without padding; unused last bits must be zero. */
function fromBase64Url(text: string): Uint8Array {
  if (!BASE64URL.test(text) || text.length % 4 === 1) throw invalid('value: not base64url without padding');
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  const tail = text.slice(text.length - (text.length % 4));
  const lastBytes = bytes.subarray(bytes.length - (bytes.length % 3));
  if (tail !== '' && toBase64Url(lastBytes) !== tail)
    throw invalid('value: last base64url bits are not zero');
  return bytes;
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('CMW_INVALID', `cmw: ${message}`, { cause });
}
