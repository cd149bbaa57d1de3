import { u16At, u32At } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { TurnQueue, type TurnTerms } from '../queue.ts';

/** The one seam to a TPM: command bytes in, response bytes out, strictly one after the other. */
export interface TpmChannel {
  /** False once a fault or its owner has closed it. It stays closed: open another one. */
  readonly isOpen: boolean;
  /** A resource manager on the other side lets other programs use the TPM too: what is in it is theirs. */
  readonly isManaged?: boolean;
  /**
   * Throws `TPM_CHANNEL_*` and `TPM_CANCELLED`. A caller that gives up (`timeoutMs`, `signal`) is let go at once; a
   * command that was sent is not taken back, and its response is read before the next command goes out.
   */
  transmit(command: Uint8Array, options?: TransmitOptions): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** How long a command may wait for its turn, and what cancels it. */
export type TransmitOptions = TurnTerms;

/** A transport that carries one command at a time; `serialChannel` makes a `TpmChannel` of it. */
export interface BytePipe {
  /** False when the other side is known to be gone. */
  readonly isOpen: boolean;
  /** As `TpmChannel.isManaged`. */
  readonly isManaged?: boolean;
  /** One response to one command. The caller never overlaps two. */
  exchange(command: Uint8Array): Promise<Uint8Array>;
  /** Releases the transport at once, even under a pending exchange. */
  close(): Promise<void>;
}

/** How long a channel waits for a TPM. */
export interface ChannelOptions {
  /** A TPM that is silent for so long after a command is given up, and the channel with it. */
  readonly responseMs?: number;
}

export const HEADER_BYTES = 10;
export const RESPONSE_BYTES_MAX = 4096;
const COMMAND_BYTES_MAX = 4096;
const WAITING_MAX = 64;
// Key generation on slow hardware is the longest command.
const RESPONSE_MS = 120_000;
const TAG_NO_SESSIONS = 0x8001;
const TAG_SESSIONS = 0x8002;

/**
 * Serialises commands over a pipe. A response that is malformed or never comes leaves unknown bytes on the way, and the
 * next command would read them as its own answer: so the first such fault kills the channel.
 */
export function serialChannel(pipe: BytePipe, options: ChannelOptions = {}): TpmChannel {
  const responseMs = options.responseMs ?? RESPONSE_MS;
  const queue = new TurnQueue(WAITING_MAX);
  let dead: TpmError | undefined;

  async function kill(error: TpmError): Promise<never> {
    dead = error;
    await pipe.close();
    throw error;
  }

  async function exchange(command: Uint8Array): Promise<Uint8Array> {
    if (dead !== undefined) throw closed(dead);
    try {
      const response = await withLimit(pipe.exchange(command), responseMs);
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
    get isOpen() {
      return dead === undefined && pipe.isOpen;
    },
    isManaged: pipe.isManaged ?? false,
    async transmit(command, terms) {
      assertCommand(command);
      if (dead !== undefined) throw closed(dead);
      return await queue.run(() => exchange(command), terms);
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

function withLimit(work: Promise<Uint8Array>, limitMs: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const timer = setTimeout(() => {
    reject(new TpmError('TPM_CHANNEL_TIMEOUT', `no tpm response within ${limitMs} ms`));
  }, limitMs);
  work.then(resolve, reject).finally(() => clearTimeout(timer));
  return promise;
}

function assertCommand(command: Uint8Array): void {
  if (command.length < HEADER_BYTES || command.length > COMMAND_BYTES_MAX) {
    throw new TpmError(
      'TPM_ARGUMENT_INVALID',
      `command: got ${command.length} bytes, want ${HEADER_BYTES} to ${COMMAND_BYTES_MAX}`,
    );
  }
  const size = u32At(command, 2);
  // A wrong size would make the TPM wait for bytes that never come, or answer twice.
  if (size !== command.length) {
    throw new TpmError('TPM_ARGUMENT_INVALID', `command size field: got ${size}, want ${command.length}`);
  }
}

function checkHeader(response: Uint8Array): void {
  if (response.length < HEADER_BYTES || response.length > RESPONSE_BYTES_MAX) {
    throw desync(`response: got ${response.length} bytes, want ${HEADER_BYTES} to ${RESPONSE_BYTES_MAX}`);
  }
  const tag = u16At(response, 0);
  if (tag !== TAG_NO_SESSIONS && tag !== TAG_SESSIONS)
    throw desync(`response tag: got 0x${tag.toString(16)}`);
  const size = u32At(response, 2);
  if (size !== response.length) throw desync(`response size field: got ${size}, want ${response.length}`);
}

/** Why the system refused, for a message: `: EACCES`. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? `: ${String(cause.code)}` : '';
}

export function desync(message: string): TpmError {
  return new TpmError('TPM_CHANNEL_DESYNC', message);
}
