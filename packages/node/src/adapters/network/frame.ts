import { ByteWriter, concatBytes, fromUtf8, toUtf8, u32At } from '@nemea/core';
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
  const kind = KINDS[bytes[0] as number];
  const id = u32At(bytes, 1);
  const body = keep(bytes.subarray(FRAME_OVERHEAD_BYTES));
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

/** Pieces smaller than this grow together: each takes more memory than the bytes that it carries. */
const PIECE_BYTES_MIN = 4_096;

/** A small part is copied, so that whoever keeps it does not keep the packet it came in; a large one is most of that. */
function keep({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  // Whatever class the packet is of: a part of a Buffer would share its memory with its own slices.
  const part = new Uint8Array(buffer, byteOffset, length);
  return 2 * length >= buffer.byteLength ? part : part.slice();
}

/** Cuts what arrives, in pieces of any size, into the bytes of frames, one at a time: what waits takes no more than it is. */
export class FrameCutter {
  readonly #frameBytesMax: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** What waits to be cut. */
  get bytes(): number {
    return this.#bytes;
  }

  push(piece: Uint8Array): void {
    this.#bytes += piece.length;
    let last = keep(piece);
    for (
      let before = this.#pieces.at(-1);
      before !== undefined && before.length <= last.length && last.length < PIECE_BYTES_MIN;
      before = this.#pieces.at(-1)
    ) {
      this.#pieces.pop();
      last = concatBytes(before, last);
    }
    this.#pieces.push(last);
  }

  /** The next frame; undefined until it is whole. Throws `FRAME_INVALID` for one that is larger than allowed. */
  next(): Uint8Array | undefined {
    const head = this.#join(LENGTH_BYTES);
    if (head === undefined) return undefined;
    const length = u32At(head, 0);
    if (length > this.#frameBytesMax)
      throw invalid(`got ${length} bytes, want at most ${this.#frameBytesMax}`);
    const size = LENGTH_BYTES + length;
    const bytes = this.#join(size);
    if (bytes === undefined) return undefined;
    if (bytes.length === size) this.#pieces.shift();
    else this.#pieces[0] = bytes.subarray(size);
    this.#bytes -= size;
    return bytes.subarray(LENGTH_BYTES, size);
  }

  clear(): void {
    this.#pieces = [];
    this.#bytes = 0;
  }

  /** The first piece, joined with as many others as it takes to hold so many bytes. */
  #join(bytesMin: number): Uint8Array | undefined {
    if (this.#bytes < bytesMin) return undefined;
    let [count, bytes] = [0, 0];
    while (bytes < bytesMin) bytes += (this.#pieces[count++] as Uint8Array).length;
    if (count > 1) this.#pieces.unshift(concatBytes(...this.#pieces.splice(0, count)));
    return this.#pieces[0];
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
