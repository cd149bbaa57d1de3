import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openUnixChannel, Tpm } from '@nemea/tpm';

const SOCKET_POLLS_MAX = 2000;
const SOCKET_POLL_MS = 5;

/** For tests: a blank software TPM and a client of it. */
export async function startTestTpm(): Promise<{ readonly tpm: Tpm; stop(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'attester-'));
  const socketPath = join(dir, 'sock');
  const child = spawn(
    'swtpm',
    [
      ...['socket', '--tpm2', '--tpmstate', `dir=${dir}`],
      ...['--server', `type=unixio,path=${socketPath}`, '--flags', 'not-need-init,startup-clear'],
    ],
    { stdio: 'ignore' },
  );
  const exited = once(child, 'exit');
  for (let poll = 0; poll < SOCKET_POLLS_MAX && !existsSync(socketPath); poll++) await sleep(SOCKET_POLL_MS);
  const tpm = await Tpm.open(await openUnixChannel(socketPath));
  return {
    tpm,
    async stop() {
      await tpm.close();
      child.kill();
      await exited;
      await rm(dir, { recursive: true });
    },
  };
}
