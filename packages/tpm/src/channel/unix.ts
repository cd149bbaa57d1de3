import { TpmError } from '../errors.ts';
import { type ChannelOptions, serialChannel, type TpmChannel } from './channel.ts';
import { connectSocket } from './socket.ts';

// sockaddr_un.sun_path holds 108 bytes with the final zero.
const PATH_BYTES_MAX = 107;

/**
 * Opens the data socket of a software TPM. A software TPM serves one client at a time and leaves a second one waiting
 * in silence, so give the first command a short `timeoutMs`.
 */
export async function openUnixChannel(path: string, options: ChannelOptions = {}): Promise<TpmChannel> {
  assertSocketPath(path);
  return serialChannel(await connectSocket({ path }, path), options);
}

/** Refuses a path the kernel would refuse or cut. Throws `TPM_CHANNEL_PATH_TOO_LONG`. */
export function assertSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > PATH_BYTES_MAX) {
    throw new TpmError(
      'TPM_CHANNEL_PATH_TOO_LONG',
      `socket path: got ${bytes} bytes, want at most ${PATH_BYTES_MAX}`,
      { data: { path } },
    );
  }
}
