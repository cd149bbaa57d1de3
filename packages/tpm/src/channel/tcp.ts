import { type ChannelOptions, serialChannel, type TpmChannel } from './channel.ts';
import { connectSocket } from './socket.ts';

/** Where a TPM listens on TCP. Whoever can connect there can use it. */
export interface TcpAddress {
  readonly port: number;
  /** The loopback address, unless said otherwise. */
  readonly host?: string;
}

/**
 * Opens the TCP data port of a software TPM, which speaks as on its unix socket. A port has no owner: where another
 * process took it first, this client talks to that one's TPM and nothing tells. So prefer a unix socket in a private
 * folder, or check that the process you started is alive and that the endorsement key is the expected one.
 */
export async function openTcpChannel(address: TcpAddress, options: ChannelOptions = {}): Promise<TpmChannel> {
  const { host = '127.0.0.1', port } = address;
  return serialChannel(await connectSocket({ host, port }, `${host}:${port}`), options);
}
