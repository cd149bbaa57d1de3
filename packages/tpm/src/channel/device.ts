import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { TpmError } from '../errors.ts';
import {
  type BytePipe,
  type ChannelOptions,
  desync,
  RESPONSE_BYTES_MAX,
  reasonOf,
  serialChannel,
  type TpmChannel,
} from './channel.ts';

const MANAGED = /\/tpmrm\d+$/;

type FileHandle = Awaited<ReturnType<typeof open>>;

/**
 * Opens a kernel TPM device: one write per command, one read per response. /dev/tpmrm0 is the kernel's resource manager
 * and has many clients, so that a `Tpm` leaves alone what it finds there; /dev/tpm0 is the bare TPM and has one. Tested on a pseudo-terminal with a software TPM behind
 * it; no hardware TPM has been tried.
 */
export async function openDeviceChannel(
  path = '/dev/tpmrm0',
  options: ChannelOptions = {},
): Promise<TpmChannel> {
  let file: FileHandle;
  try {
    // A device that is a terminal must not become this process's own.
    file = await open(path, constants.O_RDWR | constants.O_NOCTTY);
  } catch (cause) {
    const message = `cannot open the tpm device ${path}${reasonOf(cause)}`;
    throw new TpmError('TPM_CHANNEL_FAILED', message, { data: { path }, cause });
  }
  return serialChannel(devicePipe(file, MANAGED.test(path)), options);
}

function devicePipe(file: FileHandle, isManaged: boolean): BytePipe {
  const buffer = new Uint8Array(RESPONSE_BYTES_MAX);
  let pending = false;
  let closed = false;

  return {
    get isOpen() {
      return !closed;
    },
    isManaged,
    async exchange(command) {
      pending = true;
      try {
        // A null position: a character device has none.
        const { bytesWritten } = await file.write(command, 0, command.length, null);
        if (bytesWritten !== command.length) {
          throw desync(`device write: got ${bytesWritten} bytes taken, want ${command.length}`);
        }
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
        return buffer.slice(0, bytesRead);
      } finally {
        pending = false;
        if (closed) await file.close();
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      // A read the driver never answers cannot be cancelled: the exchange closes the file when it returns.
      if (!pending) await file.close();
    },
  };
}
