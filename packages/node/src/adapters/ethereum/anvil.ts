import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { CodedError } from '@nemea/core';

/** The devnet's layer 1: one anvil child process, bound to the loopback interface. Not for production. */
export interface AnvilOptions {
  /** 0, the default, lets the system pick a free port. */
  readonly port?: number;
  /** Loaded at start if it exists, written at stop. */
  readonly stateFile?: string;
  /** Seconds between blocks; 0 mines a block for each transaction. */
  readonly blockTimeS: number;
}

export interface Anvil {
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly pid: number;
  /** Ends the process and waits until its state is written. Safe to call twice. */
  stop(): Promise<void>;
}

export const ANVIL_CHAIN_ID = 31_337;

/** The development accounts that anvil funds at genesis; public knowledge, worthless anywhere else. */
export const ANVIL_MNEMONIC = 'test test test test test test test test test test test junk';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const STDERR_CHARS_MAX = 4_096;
const LISTENING = /Listening on 127\.0\.0\.1:(\d+)/;

/** Resolves once the RPC listens. Throws `ANVIL_MISSING` or `ANVIL_START_FAILED`. */
export async function startAnvil(options: AnvilOptions): Promise<Anvil> {
  const child = spawn(anvilPath(), anvilArguments(options), { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // A parent that ends without stop() must not leave a chain behind.
  const endWithParent = () => child.kill('SIGTERM');
  process.once('exit', endWithParent);
  child.once('close', () => process.off('exit', endWithParent));
  const port = await listeningPort(child);
  return {
    rpcUrl: `http://127.0.0.1:${port}`,
    chainId: ANVIL_CHAIN_ID,
    pid: child.pid ?? 0,
    stop: () => stopChild(child, exited),
  };
}

function anvilArguments(options: AnvilOptions): string[] {
  // The hardfork is always explicit: anvil's default moves with its release.
  const args = ['--host', '127.0.0.1', '--port', String(options.port ?? 0)];
  args.push('--chain-id', String(ANVIL_CHAIN_ID), '--hardfork', 'osaka', '--mnemonic', ANVIL_MNEMONIC);
  if (options.blockTimeS > 0) args.push('--block-time', String(options.blockTimeS));
  if (options.stateFile !== undefined) args.push('--state', options.stateFile);
  return args;
}

/** The binary lies in the platform package; the wrapper's own lookup needs a postinstall step that may be off. */
function anvilPath(): string {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const require = createRequire(import.meta.url);
  try {
    return join(dirname(require.resolve(`@foundry-rs/anvil-${platform}/package.json`)), 'bin', 'anvil');
  } catch (cause) {
    throw new AnvilError('ANVIL_MISSING', `no anvil for ${platform}: run npm install`, {
      cause,
      data: { platform },
    });
  }
}

function listeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`does not listen after ${START_TIMEOUT_MS} ms`);
    }, START_TIMEOUT_MS);
    const fail = (reason: string, cause?: unknown) => {
      clearTimeout(timer);
      const message = `anvil ${reason}${stderr === '' ? '' : `: ${stderr.trim()}`}`;
      reject(new AnvilError('ANVIL_START_FAILED', message, { cause }));
    };
    const onStdout = (chunk: Buffer) => {
      stdout += chunk.toString('utf8');
      const port = LISTENING.exec(stdout)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      child.stdout?.off('data', onStdout);
      // A full pipe would stop the chain: keep draining its request log.
      child.stdout?.resume();
      resolve(Number(port));
    };
    child.stdout?.on('data', onStdout);
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_CHARS_MAX);
    });
    child.once('error', (error) => fail('does not start', error));
    child.once('close', (code) => fail(`ended with exit code ${code}`));
  });
}

async function stopChild(child: ChildProcess, exited: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

export type AnvilErrorCode = 'ANVIL_MISSING' | 'ANVIL_START_FAILED';

export class AnvilError extends CodedError<AnvilErrorCode> {}
