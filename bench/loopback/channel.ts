import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { openOverlay } from '@nemea/node/overlay';
import type { Work } from '../measure.ts';

const MESSAGE_BYTES = 256;
const PROTOCOL = '/nemea/bench-channel/1';

/** Messages from one end to the other within this process, one after the other or many at once. */
export interface Link {
  readonly single: Work;
  readonly burst: Work;
  close(): Promise<void>;
}

const BURST = 64;

/** Over the channel that members speak through: noise, yamux and frames. */
export async function openChannelLink(): Promise<Link> {
  let onMessage = (): void => {};
  const networkId = new Uint8Array(32);
  const open = () =>
    openOverlay({
      privateKey: new Uint8Array(randomBytes(32)),
      listen: '/ip4/127.0.0.1/tcp/0',
      networkId,
      protocols: {
        [PROTOCOL]: {
          maxMessageBytes: MESSAGE_BYTES,
          maxInFlight: 256,
          handle: async () => {
            onMessage();
            return undefined;
          },
        },
      },
      collectEvidence: async ({ challenge }) => challenge,
      verifyEvidence: async () => ({ ok: true }),
      isMember: () => true,
    });
  const [near, far] = await Promise.all([open(), open()]);
  await near.connect(far.addresses[0] as string);
  const message = new Uint8Array(MESSAGE_BYTES);
  const deliver = (count: number): Promise<number> =>
    new Promise((resolve) => {
      let left = count;
      onMessage = () => {
        if (--left === 0) resolve(count);
      };
      for (let i = 0; i < count; i++) near.send(far.peerId, PROTOCOL, message);
    });
  return {
    single: () => deliver(1),
    burst: () => deliver(BURST),
    async close() {
      await Promise.all([near.close(), far.close()]);
    },
  };
}

/** Over a bare TCP connection, where a message is so many bytes. */
export async function openBareLink(): Promise<Link> {
  let onBytes = (_count: number): void => {};
  const server = createServer((socket) => socket.on('data', (bytes) => onBytes(bytes.length)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').setNoDelay(true);
  await once(socket, 'connect');
  const message = new Uint8Array(MESSAGE_BYTES);
  const deliver = (count: number): Promise<number> =>
    new Promise((resolve) => {
      let left = count * MESSAGE_BYTES;
      onBytes = (received) => {
        left -= received;
        if (left === 0) resolve(count);
      };
      for (let i = 0; i < count; i++) socket.write(message);
    });
  return {
    single: () => deliver(1),
    burst: () => deliver(BURST),
    async close() {
      socket.destroy();
      server.close();
    },
  };
}
