import { ByteReader, ByteWriter, concatBytes, fromUtf8, toUtf8, u32At } from '@nemea/core';
import { TransportError } from '../../ports/transport.ts';

/** One message on a protocol stream. Requests and their answers share an id chosen by the asker. */
export type Frame =
  | { readonly kind: 'send'; readonly body: Uint8Array }
  | { readonly kind: 'request'; readonly id: number; readonly body: Uint8Array }
  | { readonly kind: 'response'; readonly id: number; readonly body: Uint8Array }
  | { readonly kind: 'error'; readonly id: number; readonly code: string };

/** Kind and id before the body. */
export const FRAME_OVERHEAD_BYTES = 5;
export const REQUEST_ID_MAX = 0xffff_ffff;
const LENGTH_BYTES = 4;
const KINDS = ['send', 'request', 'response', 'error'] as const;
const CODE = /^[A-Z0-9_]{1,64}$/;
const CODE_BYTES_MAX = 64;

/** A byte for the kind, four for the id, and the body: one frame has one encoding. */
export function encodeFrame(frame: Frame): Uint8Array {
  return writeFrame(new ByteWriter(FRAME_OVERHEAD_BYTES + bodyOf(frame).length), frame).toBytes();
}

/** Frames as they travel: each after its length. */
export function joinFrames(frames: readonly Frame[]): Uint8Array {
  const size = (frame: Frame): number => FRAME_OVERHEAD_BYTES + bodyOf(frame).length;
  const writer = new ByteWriter(frames.reduce((sum, frame) => sum + LENGTH_BYTES + size(frame), 0));
  for (const frame of frames) writeFrame(writer.u32(size(frame)), frame);
  return writer.toBytes();
}

/** Throws `FRAME_INVALID` for anything that is not exactly one frame. */
export function parseFrame(bytes: Uint8Array): Frame {
  if (bytes.length < FRAME_OVERHEAD_BYTES) throw invalid(`got ${bytes.length} bytes`);
  const reader = new ByteReader(bytes);
  const kind = KINDS[reader.u8()];
  const id = reader.u32();
  const body = reader.bytes(reader.remaining);
  if ((kind === 'send') !== (id === 0)) throw invalid('a plain message carries no id, any other frame does');
  switch (kind) {
    case 'send':
      return { kind, body };
    case 'request':
    case 'response':
      return { kind, id, body };
    case 'error':
      return { kind, id, code: parseCode(body) };
    default:
      throw invalid('unknown kind');
  }
}

/** Cuts what arrives, in pieces of any size, into the bytes of frames. */
export class FrameCutter {
  readonly #frameBytesMax: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  /** Without so many bytes nothing more can be said. */
  #wanted = LENGTH_BYTES;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** The frames that are whole with this piece. Throws `FRAME_INVALID` for one that is larger than allowed. */
  take(piece: Uint8Array): Uint8Array[] {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes < this.#wanted) return [];
    const bytes = this.#pieces.length === 1 ? piece : concatBytes(...this.#pieces);
    const frames: Uint8Array[] = [];
    let at = 0;
    for (;;) {
      this.#wanted = LENGTH_BYTES;
      if (bytes.length - at < this.#wanted) break;
      const length = u32At(bytes, at);
      if (length > this.#frameBytesMax)
        throw invalid(`got ${length} bytes, want at most ${this.#frameBytesMax}`);
      this.#wanted += length;
      if (bytes.length - at < this.#wanted) break;
      frames.push(bytes.subarray(at + LENGTH_BYTES, at + this.#wanted));
      at += this.#wanted;
    }
    this.#pieces = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#bytes = bytes.length - at;
    return frames;
  }
}

/** Only a plain upper-case code crosses the wire, so that no stack trace, path or secret can. */
export function toCode(code: string): string {
  return CODE.test(code) ? code : 'UNEXPECTED';
}

function writeFrame(writer: ByteWriter, frame: Frame): ByteWriter {
  const id = frame.kind === 'send' ? 0 : frame.id;
  return writer.u8(KINDS.indexOf(frame.kind)).u32(id).bytes(bodyOf(frame));
}

function bodyOf(frame: Frame): Uint8Array {
  return frame.kind === 'error' ? fromUtf8(toCode(frame.code)) : frame.body;
}

function parseCode(body: Uint8Array): string {
  if (body.length > CODE_BYTES_MAX) throw invalid('error code too long');
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
