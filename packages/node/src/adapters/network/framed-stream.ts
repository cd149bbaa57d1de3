import type { Stream, StreamCloseEvent } from '@libp2p/interface';
import { TransportError } from '../../ports/transport.ts';
import { FRAME_OVERHEAD_BYTES, type Frame, FrameCutter, joinFrames, parseFrame } from './frame.ts';

const READ_BUFFER_BYTES = 4 * 1024 * 1024;

/** A protocol stream cut into frames, with a bound on their size and on the time a write may stand still. */
export class FramedStream {
  readonly #stream: Stream;
  readonly #cutter: FrameCutter;
  readonly #writeTimeoutMs: number;
  readonly #unreadBytesMax: number;
  readonly #end = new AbortController();
  #wake: (() => void) | undefined;

  constructor(stream: Stream, options: { maxMessageBytes: number; writeTimeoutMs: number }) {
    const frameBytesMax = options.maxMessageBytes + FRAME_OVERHEAD_BYTES;
    this.#stream = stream;
    this.#cutter = new FrameCutter(frameBytesMax);
    this.#unreadBytesMax = frameBytesMax + READ_BUFFER_BYTES;
    this.#writeTimeoutMs = options.writeTimeoutMs;
    stream.addEventListener('message', ({ data }) => this.#receive(data.subarray()));
    stream.addEventListener('remoteCloseWrite', () => this.#finish(ended('peer said goodbye')));
    stream.addEventListener('close', ({ error }) => this.#finish(error ?? ended('stream closed')));
  }

  /** Aborted once nothing more will come; its reason says why. */
  get end(): AbortSignal {
    return this.#end.signal;
  }

  get open(): boolean {
    return this.#stream.status === 'open' && this.#stream.remoteWriteStatus === 'writable';
  }

  /** The next frame; throws when the stream ends, breaks the framing or exceeds the size limit. One reader at a time. */
  async read(): Promise<Frame> {
    for (;;) {
      const bytes = this.#cutter.next();
      if (bytes !== undefined) return parseFrame(bytes);
      this.end.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Resolves when the frames, which travel together, left for the peer. A peer that stops reading loses the stream. */
  async write(...frames: readonly Frame[]): Promise<void> {
    if (this.#stream.send(joinFrames(frames))) return;
    const timer = setTimeout(() => {
      this.abort(new TransportError('PEER_SILENT', `peer read nothing for ${this.#writeTimeoutMs} ms`));
    }, this.#writeTimeoutMs);
    try {
      await this.#drained();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Stops reading, so that the peer's send window closes; what is under way stays bounded by that window. */
  pause(): void {
    if (this.open) this.#stream.pause();
  }

  resume(): void {
    if (this.open) this.#stream.resume();
  }

  onClose(listener: () => void): void {
    this.#stream.addEventListener('close', listener);
  }

  abort(error: Error): void {
    this.#stream.abort(error);
  }

  /** `onDrain` of libp2p 3.3 resolves at once from the second time on. */
  #drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      const onDrain = (): void => {
        this.#stream.removeEventListener('close', onClose);
        resolve();
      };
      const onClose = ({ error }: StreamCloseEvent): void => {
        this.#stream.removeEventListener('drain', onDrain);
        reject(error ?? ended('stream closed while writing'));
      };
      this.#stream.addEventListener('drain', onDrain, { once: true });
      this.#stream.addEventListener('close', onClose, { once: true });
    });
  }

  /** Whoever sends more than may wait loses the stream, and what waits. */
  #receive(piece: Uint8Array): void {
    if (this.end.aborted) return;
    this.#cutter.push(piece);
    if (this.#cutter.bytes > this.#unreadBytesMax) {
      this.#finish(new TransportError('QUEUE_FULL', `${this.#cutter.bytes} bytes wait to be read`));
      this.#cutter.clear();
    }
    this.#wake?.();
  }

  #finish(reason: Error): void {
    this.#end.abort(reason);
    this.#wake?.();
  }
}

function ended(detail: string): TransportError {
  return new TransportError('STREAM_CLOSED', detail);
}
