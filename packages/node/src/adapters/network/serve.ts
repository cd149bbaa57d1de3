import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, Stream } from '@libp2p/interface';
import { errorCode } from '@nemea/core';
import type { Libp2p } from 'libp2p';
import { Rate } from '../../peers/rate.ts';
import { type Protocol, TransportError } from '../../ports/transport.ts';
import type { Frame } from './frame.ts';
import { FramedStream } from './framed-stream.ts';
import type { Slots } from './slots.ts';

export interface ServeOptions {
  readonly protocols: Readonly<Record<string, Protocol>>;
  readonly writeTimeoutMs: number;
  /** Absent: no bound on the rate. */
  readonly requestsPerSecondMax?: number;
  /** The slots that a request of this peer has to hold while its handler runs. */
  slotsFor(peer: string, protocol: string): readonly Slots[];
  onActivity?(connection: Connection, change: 'begin' | 'end'): void;
  onAborted?(peer: string, code: string): void;
}

/** Registers every protocol on the host; each peer gets one stream for each, the newest. */
export async function serveProtocols(host: Libp2p, options: ServeOptions): Promise<void> {
  const newest = new Map<string, FramedStream>();
  for (const [name, protocol] of Object.entries(options.protocols)) {
    const handler = (raw: Stream, connection: Connection): void => {
      const peer = connection.remotePeer.toString();
      const key = `${peer} ${name}`;
      const stream = new FramedStream(raw, { ...protocol, writeTimeoutMs: options.writeTimeoutMs });
      newest.get(key)?.abort(new TransportError('STREAM_CLOSED', 'peer opened a newer stream'));
      newest.set(key, stream);
      stream.onClose(() => {
        if (newest.get(key) === stream) newest.delete(key);
      });
      const server = new StreamServer({ stream, connection, peer, name, protocol, options });
      server.run().catch((error: unknown) => {
        const reason = error instanceof Error ? error : new Error('stream failed');
        // An ended stream is how a peer says goodbye; a broken one is reset and counted.
        if (stream.open) options.onAborted?.(peer, errorCode(error));
        stream.abort(reason);
      });
    };
    // Two, so that a new stream can replace one that the peer no longer uses.
    await host.handle(name, handler, { maxInboundStreams: 2, maxOutboundStreams: 2 });
  }
}

class StreamServer {
  readonly #stream: FramedStream;
  readonly #connection: Connection;
  readonly #peer: string;
  readonly #protocol: Protocol;
  readonly #options: ServeOptions;
  readonly #slots: readonly Slots[];
  readonly #rate: Rate | undefined;

  constructor(init: {
    stream: FramedStream;
    connection: Connection;
    peer: string;
    name: string;
    protocol: Protocol;
    options: ServeOptions;
  }) {
    this.#stream = init.stream;
    this.#connection = init.connection;
    this.#peer = init.peer;
    this.#protocol = init.protocol;
    this.#options = init.options;
    this.#slots = init.options.slotsFor(init.peer, init.name);
    const perSecondMax = init.options.requestsPerSecondMax;
    this.#rate = perSecondMax === undefined ? undefined : new Rate(perSecondMax, performance.now());
  }

  async run(): Promise<never> {
    for (;;) {
      const frame = await this.#stream.read();
      if (frame.kind === 'response' || frame.kind === 'error') {
        throw new TransportError('FRAME_INVALID', `an asking peer sent a ${frame.kind} frame`);
      }
      await this.#throttle();
      this.#options.onActivity?.(this.#connection, 'begin');
      this.#perform(frame)
        .catch((error: unknown) => {
          this.#stream.abort(error instanceof Error ? error : new Error('answer could not be written'));
        })
        .finally(() => {
          for (const slots of this.#slots) slots.give();
          this.#options.onActivity?.(this.#connection, 'end');
        });
    }
  }

  /**
   * Waits for the rate and for free slots; meanwhile the peer's send window stays closed. Whoever has gone waits for no answer:
   * what it left behind is dropped, or who comes again and again could pile it up.
   */
  async #throttle(): Promise<void> {
    const waitMs = this.#rate?.take(performance.now()) ?? 0;
    const wait = waitMs > 0 || this.#slots.some((slots) => slots.full);
    if (wait) this.#stream.pause();
    if (waitMs > 0) await this.#wait(waitMs);
    await this.#takeSlots();
    if (wait) this.#stream.resume();
  }

  async #wait(waitMs: number): Promise<void> {
    const { end } = this.#stream;
    // Its own error says only that it was aborted, and not why.
    await sleep(waitMs, undefined, { ref: false, signal: end }).catch(() => end.throwIfAborted());
  }

  async #takeSlots(): Promise<void> {
    const taken: Slots[] = [];
    try {
      for (const slots of this.#slots) {
        await slots.take(this.#stream.end);
        taken.push(slots);
      }
    } catch (error) {
      for (const slots of taken) slots.give();
      throw error;
    }
  }

  async #perform(frame: Extract<Frame, { kind: 'send' | 'request' }>): Promise<void> {
    const outcome = await this.#call(frame.body);
    if (frame.kind === 'send') return;
    const { id } = frame;
    if (!this.#stream.open) return;
    if (outcome.code !== undefined) return this.#stream.write({ kind: 'error', id, code: outcome.code });
    await this.#stream.write({ kind: 'response', id, body: outcome.body });
  }

  async #call(
    message: Uint8Array,
  ): Promise<{ code: string; body?: never } | { code?: never; body: Uint8Array }> {
    try {
      const body = (await this.#protocol.handle(this.#peer, message)) ?? new Uint8Array();
      if (body.length > this.#protocol.maxMessageBytes) return { code: 'MESSAGE_TOO_LARGE' };
      return { body };
    } catch (error) {
      return { code: errorCode(error) };
    }
  }
}
