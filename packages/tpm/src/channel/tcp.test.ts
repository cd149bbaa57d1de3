import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endProcess, startSwtpm } from '../testing.ts';
import { channelCompliance } from './compliance.ts';
import { openTcpChannel } from './tcp.ts';

let dir = '';
let port = 0;
let swtpm: ChildProcess;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tcp-'));
  port = await freePort();
  swtpm = await startSwtpm(['--tpmstate', `dir=${dir}`, '--server', `type=tcp,port=${port}`], { port });
});
afterAll(async () => {
  await endProcess(swtpm, 'SIGTERM');
  await rm(dir, { recursive: true });
});

describe('a channel over TCP', () => {
  for (const rule of channelCompliance(() => openTcpChannel({ port }))) it(rule.title, rule.run);

  it('says which port nobody serves', async () => {
    const closed = await freePort();
    await expect(openTcpChannel({ port: closed })).rejects.toMatchObject({
      code: 'TPM_CHANNEL_FAILED',
      message: `cannot connect to the tpm socket 127.0.0.1:${closed}: ECONNREFUSED`,
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
