import { connect, type NetConnectOpts } from 'node:net';
import { concatBytes, u32At } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { type BytePipe, desync, HEADER_BYTES, RESPONSE_BYTES_MAX, reasonOf } from './channel.ts';

const NOTHING = new Uint8Array(0);

/**
 * Connects to the data socket of a software TPM: bare commands and responses, no framing. `name` is the socket's in
 * error messages. Throws `TPM_CHANNEL_FAILED`.
 */
export function connectSocket(address: NetConnectOpts, name: string): Promise<BytePipe> {
  let received: Uint8Array = NOTHING;
  let pending: PromiseWithResolvers<Uint8Array> | undefined;
  let fault: TpmError | undefined;

  function fail(error: TpmError): void {
    fault ??= error;
    pending?.reject(error);
    pending = undefined;
  }

  function receive(chunk: Uint8Array): void {
    if (pending === undefined) {
      fail(desync(`got ${chunk.length} bytes from the tpm without a command`));
      return;
    }
    received = concatBytes(received, chunk);
    if (received.length < HEADER_BYTES) return;
    const size = u32At(received, 2);
    if (size < HEADER_BYTES || size > RESPONSE_BYTES_MAX || received.length > size) {
      fail(desync(`response size field: got ${size}, with ${received.length} bytes received`));
    } else if (received.length === size) {
      pending.resolve(received);
      pending = undefined;
    }
  }

  const socket = connect({
    ...address,
    noDelay: true,
    // One buffer for all reads: by default each read would allocate 64 KiB.
    onread: {
      buffer: new Uint8Array(RESPONSE_BYTES_MAX),
      callback(length, buffer) {
        receive(buffer.subarray(0, length));
        return true;
      },
    },
  });
  const pipe: BytePipe = {
    get isOpen() {
      return fault === undefined;
    },
    exchange(command) {
      if (fault !== undefined) return Promise.reject(fault);
      received = NOTHING;
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

  const { promise, resolve, reject } = Promise.withResolvers<BytePipe>();
  const refused = (cause: Error): void => {
    reject(
      new TpmError('TPM_CHANNEL_FAILED', `cannot connect to the tpm socket ${name}${reasonOf(cause)}`, {
        data: { socket: name },
        cause,
      }),
    );
  };
  socket.once('error', refused);
  socket.once('connect', () => {
    socket.off('error', refused);
    resolve(pipe);
  });
  socket.on('error', (cause) => fail(new TpmError('TPM_CHANNEL_FAILED', 'tpm socket failed', { cause })));
  socket.on('end', () => fail(new TpmError('TPM_CHANNEL_FAILED', 'tpm socket closed by the other side')));
  socket.on('close', () => fail(new TpmError('TPM_CHANNEL_FAILED', 'tpm socket closed by the other side')));
  return promise;
}
