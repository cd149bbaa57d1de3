import { ByteReader } from '@nemea/core';
import { TpmError } from '../errors.ts';

/** The one seam to a TPM: command bytes in, response bytes out, strictly one after the other. */
export interface TpmChannel {
  /** Throws `TPM_CHANNEL_*`. After `TIMEOUT`, `DESYNC` or `FAILED` the channel is dead for good. */
  transmit(command: Uint8Array, options?: TransmitOptions): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface TransmitOptions {
  /** Limit from the moment the command is sent until its response is complete. */
  readonly timeoutMs?: number;
}

/** A transport that carries one command at a time; `serialChannel` makes a `TpmChannel` of it. */
export interface BytePipe {
  /** One response to one command. The caller never overlaps two. */
  exchange(command: Uint8Array): Promise<Uint8Array>;
  /** Releases the transport at once, even under a pending exchange. */
  close(): Promise<void>;
}

export const HEADER_BYTES = 10;
export const RESPONSE_BYTES_MAX = 4096;
const COMMAND_BYTES_MAX = 4096;
const QUEUE_MAX = 64;
// Key generation on slow hardware is the longest command.
const TIMEOUT_MS = 120_000;
const TAG_NO_SESSIONS = 0x8001;
const TAG_SESSIONS = 0x8002;

/**
 * Serialises commands over a pipe. A response that is late or malformed leaves unknown bytes on the way, and the next
 * command would read them as its own answer: so the first such fault kills the channel.
 */
export function serialChannel(pipe: BytePipe): TpmChannel {
  let tail: Promise<unknown> = Promise.resolve();
  let queued = 0;
  let dead: TpmError | undefined;

  async function kill(error: TpmError): Promise<never> {
    dead = error;
    await pipe.close();
    throw error;
  }

  async function exchange(command: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    if (dead !== undefined) throw closed(dead);
    try {
      const response = await withDeadline(pipe.exchange(command), timeoutMs);
      checkHeader(response);
      return response;
    } catch (cause) {
      // Closed by its owner meanwhile: that is why the exchange failed.
      if (dead !== undefined) throw closed(dead);
      if (cause instanceof TpmError) return await kill(cause);
      return await kill(new TpmError('TPM_CHANNEL_FAILED', 'tpm transport failed', { cause }));
    }
  }

  return {
    async transmit(command, options = {}) {
      assertCommand(command);
      if (dead !== undefined) throw closed(dead);
      if (queued >= QUEUE_MAX) {
        throw new TpmError(
          'TPM_CHANNEL_BUSY',
          `command queue: got ${queued} waiting, want fewer than ${QUEUE_MAX}`,
        );
      }
      queued++;
      const turn = tail.then(() => exchange(command, options.timeoutMs ?? TIMEOUT_MS));
      tail = turn.then(
        () => queued--,
        () => queued--,
      );
      return await turn;
    },
    async close() {
      dead ??= new TpmError('TPM_CHANNEL_CLOSED', 'channel was closed by its owner');
      await pipe.close();
    },
  };
}

function closed(cause: TpmError): TpmError {
  return new TpmError('TPM_CHANNEL_CLOSED', `channel is dead: ${cause.message}`, { cause });
}

async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const deadline = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    deadline.reject(new TpmError('TPM_CHANNEL_TIMEOUT', `no tpm response within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    return await Promise.race([work, deadline.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function assertCommand(command: Uint8Array): void {
  if (command.length < HEADER_BYTES || command.length > COMMAND_BYTES_MAX) {
    throw new TpmError(
      'TPM_ARGUMENT_INVALID',
      `command: got ${command.length} bytes, want ${HEADER_BYTES} to ${COMMAND_BYTES_MAX}`,
    );
  }
  const reader = new ByteReader(command);
  reader.u16();
  const size = reader.u32();
  // A wrong size would make the TPM wait for bytes that never come, or answer twice.
  if (size !== command.length) {
    throw new TpmError('TPM_ARGUMENT_INVALID', `command size field: got ${size}, want ${command.length}`);
  }
}

function checkHeader(response: Uint8Array): void {
  if (response.length < HEADER_BYTES || response.length > RESPONSE_BYTES_MAX) {
    throw desync(`response: got ${response.length} bytes, want ${HEADER_BYTES} to ${RESPONSE_BYTES_MAX}`);
  }
  const reader = new ByteReader(response);
  const tag = reader.u16();
  if (tag !== TAG_NO_SESSIONS && tag !== TAG_SESSIONS)
    throw desync(`response tag: got 0x${tag.toString(16)}`);
  const size = reader.u32();
  if (size !== response.length) throw desync(`response size field: got ${size}, want ${response.length}`);
}

export function desync(message: string): TpmError {
  return new TpmError('TPM_CHANNEL_DESYNC', message);
}
