import { open } from 'node:fs/promises';
import { TpmError } from '../errors.ts';
import { type BytePipe, desync, RESPONSE_BYTES_MAX, serialChannel, type TpmChannel } from './channel.ts';

type FileHandle = Awaited<ReturnType<typeof open>>;

/** Opens a kernel TPM device, normally /dev/tpmrm0: one write per command, one read per response. */
export async function openDeviceChannel(path = '/dev/tpmrm0'): Promise<TpmChannel> {
  let file: FileHandle;
  try {
    file = await open(path, 'r+');
  } catch (cause) {
    throw new TpmError('TPM_CHANNEL_FAILED', `cannot open the tpm device ${path}`, { data: { path }, cause });
  }
  return serialChannel(devicePipe(file));
}

function devicePipe(file: FileHandle): BytePipe {
  const buffer = new Uint8Array(RESPONSE_BYTES_MAX);
  let pending = false;
  let closed = false;

  return {
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
