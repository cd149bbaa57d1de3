import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatBytes, fromHex } from '@nemea/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ResourceManager } from '../resources/resource-manager.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import { type BytePipe, type ChannelOptions, serialChannel, type TpmChannel } from './channel.ts';
import { channelCompliance } from './compliance.ts';
import { openUnixChannel } from './unix.ts';

const COMMAND = fromHex('80010000000a00000181');
const OK = fromHex('80010000000a00000000');

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'channel-'));
});
afterAll(() => rm(dir, { recursive: true }));

/** A unix server with its own idea of a TPM. */
async function serve(
  onData: (socket: Socket, data: Buffer) => void,
): Promise<{ path: string; server: Server }> {
  const path = join(dir, `${crypto.randomUUID()}.sock`);
  const server = createServer((socket) => {
    socket.on('data', (data) => onData(socket, data));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, server };
}

describe('a channel to a software TPM', () => {
  let software: TestTpm;
  beforeAll(async () => {
    software = await startTestTpm();
    // A software TPM serves one client at a time.
    await software.tpm.close();
  });
  afterAll(() => software.stop());

  describe('on its socket', () => {
    for (const rule of channelCompliance(() => openUnixChannel(software.socketPath)))
      it(rule.title, rule.run);
  });

  describe('through the resource manager', () => {
    const open = async () => ResourceManager.open(await openUnixChannel(software.socketPath));
    for (const rule of channelCompliance(open)) it(rule.title, rule.run);
  });
});

describe('a unix channel', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
    server = undefined;
  });

  async function channelTo(
    onData: (socket: Socket, data: Buffer) => void,
    options: ChannelOptions = {},
  ): Promise<TpmChannel> {
    const served = await serve(onData);
    server = served.server;
    return await openUnixChannel(served.path, options);
  }

  it('joins a response that comes in pieces', async () => {
    const channel = await channelTo((socket) => {
      socket.write(OK.subarray(0, 3));
      setTimeout(() => socket.write(OK.subarray(3)), 20);
    });
    expect([...(await channel.transmit(COMMAND))]).toEqual([...OK]);
    await channel.close();
  });

  it('is dead after a response that never came, so that a late one is nobody else’s answer', async () => {
    const channel = await channelTo(() => undefined, { responseMs: 30 });
    await expect(channel.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_CHANNEL_TIMEOUT' });
    expect(channel.isOpen).toBe(false);
    await expect(channel.transmit(COMMAND)).rejects.toMatchObject({
      code: 'TPM_CHANNEL_CLOSED',
      message: 'channel is dead: no tpm response within 30 ms',
    });
  });

  it('fails the commands that wait behind the one that killed it', async () => {
    const channel = await channelTo(() => undefined, { responseMs: 30 });
    const results = await Promise.allSettled([
      channel.transmit(COMMAND),
      channel.transmit(COMMAND),
      channel.transmit(COMMAND),
    ]);
    const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'fulfilled'));
    expect(codes).toEqual(['TPM_CHANNEL_TIMEOUT', 'TPM_CHANNEL_CLOSED', 'TPM_CHANNEL_CLOSED']);
  });

  it.each([
    ['bytes beyond the response', concatBytes(OK, Uint8Array.of(0))],
    ['two responses to one command', concatBytes(OK, OK)],
    ['a size beyond the largest response', fromHex('80010000200000000000')],
    ['a size below the header', fromHex('80010000000900000000')],
    ['an unknown tag', fromHex('12340000000a00000000')],
  ])('is dead after %s', async (_fault, response) => {
    const channel = await channelTo((socket) => socket.write(response));
    await expect(channel.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_CHANNEL_DESYNC' });
    await expect(channel.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_CHANNEL_CLOSED' });
  });

  it('is dead after bytes that no command asked for', async () => {
    const channel = await channelTo((socket) => {
      socket.write(OK);
      setTimeout(() => socket.write(OK), 20);
    });
    await channel.transmit(COMMAND);
    await new Promise((resolve) => setTimeout(resolve, 60));
    await expect(channel.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_CHANNEL_DESYNC' });
  });

  it('fails a pending command when its owner closes it', async () => {
    const channel = await channelTo(() => undefined);
    const pending = expect(channel.transmit(COMMAND)).rejects.toMatchObject({
      code: 'TPM_CHANNEL_CLOSED',
      message: 'channel is dead: channel was closed by its owner',
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await channel.close();
    await pending;
  });

  it('says so when the other side goes away', async () => {
    const channel = await channelTo((socket) => socket.destroy());
    await expect(channel.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_CHANNEL_FAILED' });
  });

  it('refuses a path the kernel would cut', async () => {
    await expect(openUnixChannel(`/tmp/${'a'.repeat(103)}`)).rejects.toMatchObject({
      code: 'TPM_CHANNEL_PATH_TOO_LONG',
    });
  });

  it('says which socket nobody serves', async () => {
    await expect(openUnixChannel(join(dir, 'nobody.sock'))).rejects.toThrow(/nobody\.sock/);
  });
});

describe('a serial channel', () => {
  it('never overlaps two exchanges, and passes responses in the order of the commands', async () => {
    let active = 0;
    const seen: number[] = [];
    const pipe: BytePipe = {
      isOpen: true,
      async exchange(command) {
        expect(++active).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        active--;
        seen.push(command.at(-1) as number);
        return OK;
      },
      close: () => Promise.resolve(),
    };
    const channel = serialChannel(pipe);
    await Promise.all([1, 2, 3, 4].map((n) => channel.transmit(COMMAND.with(9, n))));
    expect(seen).toEqual([1, 2, 3, 4]);
  });
});
