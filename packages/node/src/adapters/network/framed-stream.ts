import type { Stream } from '@libp2p/interface';
import { type LengthPrefixedStream, lpStream } from '@libp2p/utils';
import { TransportError } from '../../ports/transport.ts';
import { encodeFrame, FRAME_OVERHEAD_BYTES, type Frame, parseFrame } from './frame.ts';

const READ_BUFFER_BYTES = 4 * 1024 * 1024;

/** A protocol stream cut into frames, with a bound on their size and on the time a write may stand still. */
export class FramedStream {
  readonly #stream: Stream;
  readonly #frames: LengthPrefixedStream;
  readonly #writeTimeoutMs: number;

  constructor(stream: Stream, options: { maxMessageBytes: number; writeTimeoutMs: number }) {
    const maxDataLength = options.maxMessageBytes + FRAME_OVERHEAD_BYTES;
    this.#stream = stream;
    this.#frames = lpStream(stream, { maxDataLength, maxBufferSize: maxDataLength + READ_BUFFER_BYTES });
    this.#writeTimeoutMs = options.writeTimeoutMs;
  }

  get open(): boolean {
    return this.#stream.status === 'open' && this.#stream.remoteWriteStatus === 'writable';
  }

  /** The next frame; throws when the stream ends, breaks the framing or exceeds the size limit. */
  async read(): Promise<Frame> {
    const bytes = await this.#frames.read();
    return parseFrame(bytes.subarray());
  }

  /** Resolves when the frame left for the peer. A peer that stops reading loses the stream. */
  async write(frame: Frame): Promise<void> {
    const timer = setTimeout(() => {
      this.abort(new TransportError('PEER_SILENT', `peer read nothing for ${this.#writeTimeoutMs} ms`));
    }, this.#writeTimeoutMs);
    try {
      await this.#frames.write(encodeFrame(frame));
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
}
