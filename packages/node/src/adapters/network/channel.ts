import type { Stream } from '@libp2p/interface';
import { RemoteError, TransportError } from '../../ports/transport.ts';
import { type Frame, REQUEST_ID_MAX } from './frame.ts';
import { FramedStream } from './framed-stream.ts';
import { SendQueue } from './send-queue.ts';

/** How long a channel that could not be opened answers at once instead of trying again. */
const REOPEN_DELAY_MS = 250;
/** What waits travels together up to this size, about what one packet of the encrypted channel holds. */
const WRITE_BYTES_MAX = 64 * 1024;

export interface ChannelOptions {
  readonly maxMessageBytes: number;
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
  readonly writeTimeoutMs: number;
  open(): Promise<Stream>;
  onDropped(count: number): void;
}

interface Waiting {
  readonly timer: NodeJS.Timeout;
  resolve(body: Uint8Array): void;
  reject(error: Error): void;
}

/**
 * The asking end of one protocol towards one peer: a single persistent stream, opened when first needed and again
 * after it broke. Answers find their request by id; what the stream cannot take yet waits in a bounded queue.
 */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #queue: SendQueue;
  readonly #waiting = new Map<number, Waiting>();
  #stream: FramedStream | undefined;
  #lastId = 0;
  #pumping = false;
  #closed = false;
  #reopenAt = 0;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#queue = new SendQueue({ messagesMax: options.queueMessagesMax, bytesMax: options.queueBytesMax });
  }

  get idle(): boolean {
    return this.#waiting.size === 0 && this.#queue.length === 0;
  }

  send(body: Uint8Array): void {
    this.#assertSize(body);
    if (this.#closed || this.#resting()) {
      this.#options.onDropped(1);
      return;
    }
    const { accepted, dropped } = this.#queue.push({ kind: 'send', body });
    if (dropped > 0 || !accepted) this.#options.onDropped(accepted ? dropped : dropped + 1);
    this.#pump();
  }

  async request(body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    if (this.#closed) throw new TransportError('STREAM_CLOSED', 'channel is closed');
    if (this.#resting()) throw new TransportError('STREAM_CLOSED', 'peer refused the stream a moment ago');
    this.#assertSize(body);
    if (this.#waiting.size >= this.#options.queueMessagesMax) {
      throw new TransportError('TOO_MANY_IN_FLIGHT', `${this.#waiting.size} requests wait for an answer`);
    }
    const id = this.#nextId();
    const { accepted, dropped } = this.#queue.push({ kind: 'request', id, body });
    if (dropped > 0) this.#options.onDropped(dropped);
    if (!accepted) throw new TransportError('QUEUE_FULL', 'send queue is full of requests');
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#expire(id, timeoutMs), timeoutMs);
      this.#waiting.set(id, { timer, resolve, reject });
      this.#pump();
    });
  }

  close(): void {
    this.#closed = true;
    this.#fail(new TransportError('STREAM_CLOSED', 'channel closed'));
  }

  #assertSize(body: Uint8Array): void {
    const max = this.#options.maxMessageBytes;
    if (body.length > max) {
      throw new TransportError(
        'MESSAGE_TOO_LARGE',
        `message too large: got ${body.length}, want at most ${max}`,
      );
    }
  }

  #resting(): boolean {
    return this.#stream === undefined && !this.#pumping && performance.now() < this.#reopenAt;
  }

  #nextId(): number {
    do {
      this.#lastId = this.#lastId >= REQUEST_ID_MAX ? 1 : this.#lastId + 1;
    } while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#drain().catch((cause: unknown) => {
      this.#fail(new TransportError('STREAM_CLOSED', 'stream could not be opened', { cause }));
    });
  }

  async #drain(): Promise<void> {
    try {
      // What else is said in this turn travels with it.
      await Promise.resolve();
      while (this.#queue.length > 0 && !this.#closed) {
        const stream = this.#stream?.open ? this.#stream : await this.#open();
        await this.#writeNext(stream);
      }
    } finally {
      this.#pumping = false;
    }
  }

  async #writeNext(stream: FramedStream): Promise<void> {
    const frames = this.#queue.take(WRITE_BYTES_MAX);
    try {
      await stream.write(...frames);
    } catch (cause) {
      // The reader may have noticed first; what was queued since then belongs to the next stream.
      if (this.#stream !== stream) return;
      this.#fail(new TransportError('STREAM_CLOSED', 'stream broke while writing', { cause }));
    }
  }

  async #open(): Promise<FramedStream> {
    let raw: Stream;
    try {
      raw = await this.#options.open();
    } catch (cause) {
      this.#reopenAt = performance.now() + REOPEN_DELAY_MS;
      throw cause;
    }
    const stream = new FramedStream(raw, this.#options);
    if (this.#closed) {
      const error = new TransportError('STREAM_CLOSED', 'channel closed while its stream opened');
      stream.abort(error);
      throw error;
    }
    this.#stream = stream;
    this.#readAnswers(stream);
    return stream;
  }

  #readAnswers(stream: FramedStream): void {
    const read = async (): Promise<never> => {
      for (;;) this.#answer(await stream.read());
    };
    read().catch((cause: unknown) => {
      const error = new TransportError('STREAM_CLOSED', 'stream ended before the answer', { cause });
      stream.abort(error);
      if (this.#stream === stream) this.#fail(error);
    });
  }

  #answer(frame: Frame): void {
    if (frame.kind === 'send' || frame.kind === 'request') {
      throw new TransportError('FRAME_INVALID', `an answering peer sent a ${frame.kind} frame`);
    }
    const waiting = this.#waiting.get(frame.id);
    // A late answer to a request that timed out is no fault of the peer.
    if (!waiting) return;
    this.#forget(frame.id, waiting);
    if (frame.kind === 'response') waiting.resolve(frame.body);
    else waiting.reject(new RemoteError(frame.code, `peer answered ${frame.code}`));
  }

  #expire(id: number, timeoutMs: number): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#forget(id, waiting);
    this.#queue.cancel(id);
    waiting.reject(new TransportError('REQUEST_TIMED_OUT', `no answer within ${timeoutMs} ms`));
  }

  #forget(id: number, waiting: Waiting): void {
    clearTimeout(waiting.timer);
    this.#waiting.delete(id);
  }

  #fail(error: TransportError): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.abort(error);
    const lost = this.#queue.clear();
    if (lost > 0) this.#options.onDropped(lost);
    for (const [id, waiting] of this.#waiting) {
      this.#forget(id, waiting);
      waiting.reject(error);
    }
  }
}
