import { type CborValue, decodeCbor, encodeCbor, fromUtf8, toUtf8 } from '@nemea/core';
import { TransportError } from '../../ports/transport.ts';

/** One message on a protocol stream. Requests and their answers share an id chosen by the asker. */
export type Frame =
  | { readonly kind: 'send'; readonly body: Uint8Array }
  | { readonly kind: 'request'; readonly id: number; readonly body: Uint8Array }
  | { readonly kind: 'response'; readonly id: number; readonly body: Uint8Array }
  | { readonly kind: 'error'; readonly id: number; readonly code: string };

/** More than the largest frame adds to its body. */
export const FRAME_OVERHEAD_BYTES = 96;
export const REQUEST_ID_MAX = 0xffff_ffff;
const CODE = /^[A-Z0-9_]{1,64}$/;

export function encodeFrame(frame: Frame): Uint8Array {
  const id = frame.kind === 'send' ? 0 : frame.id;
  const body = frame.kind === 'error' ? fromUtf8(toCode(frame.code)) : frame.body;
  return encodeCbor({ body, id, kind: frame.kind });
}

/** Throws `FRAME_INVALID` for anything that is not exactly one frame. */
export function parseFrame(bytes: Uint8Array): Frame {
  const { body, id, kind } = parseFields(bytes);
  switch (kind) {
    case 'send':
      if (id !== 0) throw invalid('a plain message carries no id');
      return { kind, body };
    case 'request':
    case 'response':
      return { kind, id: requestId(id), body };
    case 'error': {
      const code = parseCode(body);
      return { kind, id: requestId(id), code };
    }
    default:
      throw invalid('unknown kind');
  }
}

/** Only a plain upper-case code crosses the wire, so that no stack trace, path or secret can. */
export function toCode(code: string): string {
  return CODE.test(code) ? code : 'UNEXPECTED';
}

function parseFields(bytes: Uint8Array): { body: Uint8Array; id: number; kind: string } {
  const value = decode(bytes);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array || Array.isArray(value)) {
    throw invalid('not a map');
  }
  const fields = value as { readonly [key: string]: CborValue };
  const { body, id, kind } = fields;
  if (Object.keys(fields).length !== 3) throw invalid('want exactly body, id and kind');
  if (!(body instanceof Uint8Array)) throw invalid('body is not bytes');
  if (typeof id !== 'number' || !Number.isInteger(id)) throw invalid('id is not an integer');
  if (typeof kind !== 'string') throw invalid('kind is not text');
  return { body, id, kind };
}

function decode(bytes: Uint8Array): CborValue {
  try {
    return decodeCbor(bytes);
  } catch (cause) {
    throw new TransportError('FRAME_INVALID', 'frame is not canonical dag-cbor', { cause });
  }
}

function requestId(id: number): number {
  if (id < 1 || id > REQUEST_ID_MAX) throw invalid(`id out of range: got ${id}`);
  return id;
}

function parseCode(body: Uint8Array): string {
  if (body.length > 64) throw invalid('error code too long');
  let code: string;
  try {
    code = toUtf8(body);
  } catch (cause) {
    throw new TransportError('FRAME_INVALID', 'error code is not text', { cause });
  }
  if (!CODE.test(code)) throw invalid('error code has other characters than A-Z, 0-9 and _');
  return code;
}

function invalid(detail: string): TransportError {
  return new TransportError('FRAME_INVALID', `frame refused: ${detail}`);
}
