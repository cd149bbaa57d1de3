import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HANDLE } from '../command.ts';
import { SESSION, StartAuthSession } from '../commands/index.ts';
import { ALG } from '../structures/algorithms.ts';
import { endProcess, startTestTpm, type TestTpm } from '../testing.ts';
import { Tpm } from '../tpm.ts';
import { channelCompliance } from './compliance.ts';
import { openDeviceChannel } from './device.ts';

const COMMAND = fromHex('80010000000a00000181');
const SESSION_PARAMETERS = {
  nonceCaller: new Uint8Array(16),
  sessionType: SESSION.hmac,
  symmetric: undefined,
  authHash: ALG.sha256,
};

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'device-'));
});
afterAll(() => rm(dir, { recursive: true }));

describe('a channel to a device that echoes', () => {
  // A FIFO opened for both directions hands back what was written: an echo with one write and one read.
  const fifo = (): string => {
    const path = join(dir, `${crypto.randomUUID()}.fifo`);
    execFileSync('mkfifo', [path]);
    return path;
  };
  for (const rule of channelCompliance(() => openDeviceChannel(fifo()))) it(rule.title, rule.run);

  it('says which device it cannot open', async () => {
    const missing = join(dir, 'tpmrm9');
    await expect(openDeviceChannel(missing)).rejects.toMatchObject({
      code: 'TPM_CHANNEL_FAILED',
      message: `cannot open the tpm device ${missing}: ENOENT`,
    });
  });

  it('dies on an empty read', async () => {
    const channel = await openDeviceChannel('/dev/null');
    await expect(channel.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_CHANNEL_DESYNC' });
    await expect(channel.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_CHANNEL_CLOSED' });
  });

  it('dies when the device refuses the write', async () => {
    const channel = await openDeviceChannel('/dev/full');
    await expect(channel.transmit(COMMAND)).rejects.toMatchObject({ code: 'TPM_CHANNEL_FAILED' });
  });
});

/** A character device with a software TPM behind it: a raw pseudo-terminal whose other end is the TPM's socket. */
describe('a channel to a character device', () => {
  let software: TestTpm;
  let terminal: ChildProcess;
  let socket: Socket;
  let device = '';
  beforeAll(async () => {
    software = await startTestTpm();
    await software.tpm.close();
    socket = connect(software.socketPath);
    ({ terminal, device } = await openTerminal());
    terminal.stdout?.on('data', (bytes: Buffer) => socket.write(bytes));
    socket.on('data', (bytes: Buffer) => terminal.stdin?.write(bytes));
  });
  afterAll(async () => {
    socket.destroy();
    await endProcess(terminal, 'SIGKILL');
    await software.stop();
  });

  for (const rule of channelCompliance(() => openDeviceChannel(device))) it(rule.title, rule.run);

  it('leaves alone what it finds behind the kernel’s resource manager, and frees a bare TPM', async () => {
    const session = { handles: { tpmKey: HANDLE.null, bind: HANDLE.null }, parameters: SESSION_PARAMETERS };
    for (const [name, left] of [
      ['tpmrm0', 1],
      ['tpm0', 0],
    ] as const) {
      const path = join(dir, name);
      await symlink(device, path);
      const before = await Tpm.open(() => openDeviceChannel(path));
      await before.run(StartAuthSession, session);
      await before.close();
      const tpm = await Tpm.open(() => openDeviceChannel(path));
      expect(await tpm.listHandles('loadedSession'), name).toHaveLength(left);
      await tpm.close();
    }
  });

  it('carries a whole client: keys, quotes, sealing', async () => {
    const tpm = await Tpm.open(() => openDeviceChannel(device));
    const secret = Uint8Array.from([1, 2, 3]);
    expect(await tpm.unseal(await tpm.seal(secret, { pcrs: [7] }))).toEqual(secret);
    await tpm.close();
  });
});

/** `script` makes a pseudo-terminal, joins one end to its standard streams, and the command it runs tells the other. */
async function openTerminal(): Promise<{ terminal: ChildProcess; device: string }> {
  const terminal = spawn('script', ['-qfec', 'stty raw -echo; tty; exec sleep infinity', '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const device = await new Promise<string>((resolve) => {
    terminal.stdout.once('data', (line: Buffer) => resolve(line.toString().trim()));
  });
  return { terminal, device };
}
