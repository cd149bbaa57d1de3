import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '@nemea/core';
import { assertSocketPath, openUnixChannel, Tpm, type TpmChannel } from '@nemea/tpm';
import { caPaths } from './certificate-authority.ts';
import { type ProcessExit, type RunningProcess, spawnTied } from './child-process.ts';
import { SoftwareTpmError } from './errors.ts';

export interface ProvisionOptions {
  /** New or empty. One folder is one TPM: a copy would be the same identity twice. */
  readonly stateDir: string;
  /** Made by `createDevnetCa`. */
  readonly caDir: string;
}

export interface StartOptions {
  readonly stateDir: string;
  /** At most 107 bytes. Its folder is made, and should be, for its owner alone. */
  readonly socketPath: string;
  readonly timeoutMs?: number;
}

export interface SoftwareTpm {
  readonly socketPath: string;
  readonly pid: number;
  /** Resolves when the process has ended, by `stop` or by itself. */
  readonly exited: Promise<ProcessExit>;
  /** Close every client first: TPM2_Shutdown needs the one connection the TPM serves. */
  stop(): Promise<void>;
}

// What swtpm keeps in its folder.
const STATE_FILE = 'tpm2-00.permall';
const START_MS = 10_000;
const POLL_MS = 5;
const SHUTDOWN_MS = 1_000;
const TERMINATE_MS = 5_000;

/**
 * Makes a TPM with an endorsement key and its certificate from the devnet's CA; a folder that holds a TPM keeps it. Any
 * number may run at once: the first one makes the CA's keys, alone, and the others wait. Throws
 * `SWTPM_PROVISIONING_FAILED`.
 */
export async function provisionSoftwareTpm(options: ProvisionOptions): Promise<void> {
  const stateDir = resolve(options.stateDir);
  if (await exists(join(stateDir, STATE_FILE))) return;
  await mkdir(dirname(stateDir), { recursive: true, mode: 0o700 });
  // Renamed into place when complete: an interrupted provisioning never looks like a TPM.
  const draftDir = await mkdtemp(`${stateDir}.draft-`);
  try {
    await setUp(draftDir, options.caDir);
    await rename(draftDir, stateDir);
  } catch (error) {
    await rm(draftDir, { recursive: true, force: true });
    throw error;
  }
}

async function setUp(stateDir: string, caDir: string): Promise<void> {
  const ca = caPaths(caDir);
  const lock = (await exists(ca.issuer)) ? '--shared' : '--exclusive';
  const running = spawnTied('flock', [
    ...[lock, ca.lock, 'swtpm_setup', '--tpm2', '--tpm-state', stateDir],
    ...['--create-ek-cert', '--create-platform-cert', '--lock-nvram', '--pcr-banks', 'sha256'],
    ...['--config', ca.setupConfig],
  ]);
  const exit = await running.exited;
  if (exit.code === 0) return;
  throw new SoftwareTpmError('SWTPM_PROVISIONING_FAILED', `swtpm_setup failed: ${describe(exit)}`, {
    data: { caDir },
  });
}

/**
 * Starts a provisioned TPM and waits until it answers. It ends with this process, whatever ends this process. Throws
 * `TPM_CHANNEL_PATH_TOO_LONG` or `SWTPM_START_FAILED`.
 */
export async function startSoftwareTpm(options: StartOptions): Promise<SoftwareTpm> {
  const socketPath = resolve(options.socketPath);
  assertSocketPath(socketPath);
  await mkdir(dirname(socketPath), { recursive: true, mode: 0o700 });
  await rm(socketPath, { force: true });
  // No control socket: who holds it can reset the TPM or carry off its state. An absolute state path: swtpm answers
  // every command with a failure when it cannot find its state.
  const running = spawnTied('swtpm', [
    'socket',
    '--tpm2',
    ...['--tpmstate', `dir=${resolve(options.stateDir)},mode=0600`],
    ...['--server', `type=unixio,path=${socketPath},mode=0600`],
    ...['--flags', 'not-need-init,startup-clear'],
  ]);
  await untilAnswering(running, socketPath, options.timeoutMs ?? START_MS);
  return {
    socketPath,
    pid: running.child.pid as number,
    exited: running.exited,
    stop: () => stop(running, socketPath),
  };
}

async function untilAnswering(running: RunningProcess, socketPath: string, timeoutMs: number): Promise<void> {
  try {
    await untilBound(running, socketPath, timeoutMs);
    const tpm = await Tpm.open(await untilListening(running, socketPath, timeoutMs), { timeoutMs });
    await tpm.close();
  } catch (cause) {
    const exit = await terminate(running);
    throw new SoftwareTpmError(
      'SWTPM_START_FAILED',
      `swtpm does not answer at ${socketPath}: ${describe(exit)}`,
      {
        data: { socketPath },
        cause,
      },
    );
  }
}

/** swtpm binds its socket a few ms after it starts, and tells nobody. */
async function untilBound(running: RunningProcess, socketPath: string, timeoutMs: number): Promise<void> {
  const deadline = AbortSignal.timeout(timeoutMs);
  while (running.ended() === undefined && !(await exists(socketPath))) {
    await sleep(POLL_MS, undefined, { signal: deadline });
  }
}

/** Between bind and listen a connection is refused; a moment later it is not. */
async function untilListening(
  running: RunningProcess,
  socketPath: string,
  timeoutMs: number,
): Promise<TpmChannel> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await openUnixChannel(socketPath);
    } catch (error) {
      if (running.ended() !== undefined || performance.now() > deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

async function stop(running: RunningProcess, socketPath: string): Promise<void> {
  if (running.ended() === undefined) await shutdownOrderly(socketPath);
  await terminate(running);
  await rm(socketPath, { force: true });
}

/**
 * TPM2_Shutdown, so that the TPM's clock stays `safe`. While a client still holds the one connection the TPM answers
 * nobody else: that client may have shut it down itself, and if not, the next start shows `safe` false, which is true.
 */
async function shutdownOrderly(socketPath: string): Promise<void> {
  try {
    const tpm = await Tpm.open(await openUnixChannel(socketPath), { timeoutMs: SHUTDOWN_MS });
    await tpm.shutdown();
    await tpm.close();
  } catch (error) {
    if (!errorCode(error).startsWith('TPM_CHANNEL_')) throw error;
  }
}

async function terminate(running: RunningProcess): Promise<ProcessExit> {
  const { child, exited } = running;
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), TERMINATE_MS);
  const exit = await exited;
  clearTimeout(killer);
  return exit;
}

function describe(exit: ProcessExit): string {
  return `code ${exit.code ?? 'none'}, signal ${exit.signal ?? 'none'}: ${exit.output}`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
