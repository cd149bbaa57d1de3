import { connect, type Socket } from 'node:net';
import { concatBytes } from '@nemea/core';
import { TpmError } from '../errors.ts';
import {
  type BytePipe,
  desync,
  HEADER_BYTES,
  RESPONSE_BYTES_MAX,
  serialChannel,
  type TpmChannel,
} from './channel.ts';

// sockaddr_un.sun_path holds 108 bytes with the final zero.
const PATH_BYTES_MAX = 107;

/**
 * Opens the data socket of a software TPM: bare commands and responses, no framing. A software TPM serves one client
 * at a time and leaves a second one waiting in silence, so give the first command a short `timeoutMs`.
 */
export async function openUnixChannel(path: string): Promise<TpmChannel> {
  assertSocketPath(path);
  const socket = connect({ path });
  await connected(socket, path);
  return serialChannel(socketPipe(socket));
}

/** Refuses a path the kernel would refuse or cut. Throws `TPM_CHANNEL_PATH_TOO_LONG`. */
export function assertSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > PATH_BYTES_MAX) {
    throw new TpmError(
      'TPM_CHANNEL_PATH_TOO_LONG',
      `socket path: got ${bytes} bytes, want at most ${PATH_BYTES_MAX}`,
      {
        data: { path },
      },
    );
  }
}

function connected(socket: Socket, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const failed = (cause: Error): void => {
    reject(
      new TpmError('TPM_CHANNEL_FAILED', `cannot connect to the tpm socket ${path}`, {
        data: { path },
        cause,
      }),
    );
  };
  socket.once('error', failed);
  socket.once('connect', () => {
    socket.off('error', failed);
    resolve();
  });
  return promise;
}

function socketPipe(socket: Socket): BytePipe {
  let received: Uint8Array = new Uint8Array(0);
  let pending: PromiseWithResolvers<Uint8Array> | undefined;
  let fault: TpmError | undefined;

  function fail(error: TpmError): void {
    fault ??= error;
    pending?.reject(error);
    pending = undefined;
  }

  socket.on('data', (chunk: Buffer) => {
    if (pending === undefined) {
      fail(desync(`got ${chunk.length} bytes from the tpm without a command`));
      return;
    }
    received = concatBytes(received, chunk);
    if (received.length < HEADER_BYTES) return;
    const size = new DataView(received.buffer).getUint32(2);
    if (size < HEADER_BYTES || size > RESPONSE_BYTES_MAX || received.length > size) {
      fail(desync(`response size field: got ${size}, with ${received.length} bytes received`));
    } else if (received.length === size) {
      pending.resolve(received);
      pending = undefined;
    }
  });
  socket.on('error', (cause) => fail(new TpmError('TPM_CHANNEL_FAILED', 'tpm socket failed', { cause })));
  socket.on('close', () => fail(new TpmError('TPM_CHANNEL_FAILED', 'tpm socket closed by the other side')));

  return {
    exchange(command) {
      if (fault !== undefined) return Promise.reject(fault);
      received = new Uint8Array(0);
      pending = Promise.withResolvers<Uint8Array>();
      socket.write(command);
      return pending.promise;
    },
    close() {
      if (socket.destroyed) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.once('close', () => resolve());
      socket.destroy();
      return promise;
    },
  };
}
