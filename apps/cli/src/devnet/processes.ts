import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CodedError } from '@nemea/core';
import type { DevnetPaths } from './paths.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const STOP_TIMEOUT_MS = 15_000;
/**
 * Keeps a process below 160 MB, at a price of a quarter more processor time, 3 % of one core: without
 * `--optimize-for-size` garbage waits for a full collection that comes only after half of the largest heap.
 */
const NODE_FLAGS = [
  '--optimize-for-size',
  '--max-old-space-size=192',
  '--v8-pool-size=1',
  // One function at a time and by one compiler less: what many hold together is the peak of a start.
  '--no-concurrent-recompilation',
  '--no-maglev',
  '--disable-warning=ExperimentalWarning',
];
/** Compiled code is kept between starts, so that a start needs neither the type stripper nor its memory. */
const COMPILE_CACHE = fileURLToPath(new URL('../../../../.nemea/compile-cache', import.meta.url));
const COMPILED_BY = ['devnet', 'compile'];

export class ProcessError extends CodedError<'PROCESS_DIED' | 'PROCESS_TIMED_OUT'> {}

/** A process of the devnet: ours while this command runs, found again by its record afterwards. */
export interface DevnetProcess {
  readonly name: string;
  readonly pid: number;
  readonly log: string;
}

/** The processes of a devnet, in the order in which they were started; recorded so that `devnet down` finds them. */
export class Processes {
  readonly #paths: DevnetPaths;
  readonly #children = new Map<string, ChildProcess>();
  #records: DevnetProcess[];

  constructor(paths: DevnetPaths) {
    this.#paths = paths;
    this.#records = existsSync(paths.processes)
      ? (JSON.parse(readFileSync(paths.processes, 'utf8')) as DevnetProcess[])
      : [];
  }

  get all(): readonly DevnetProcess[] {
    return this.#records;
  }

  /** Starts `nemea ARGS` detached, with its output in a log file beside its data. */
  start(name: string, args: readonly string[], log: string): DevnetProcess {
    mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
    const output = openSync(log, 'a', 0o600);
    const child = spawn(process.execPath, [...NODE_FLAGS, MAIN, ...args], {
      detached: true,
      stdio: ['ignore', output, output],
      env: environment(),
    });
    closeSync(output);
    child.unref();
    const record = { name, pid: child.pid ?? 0, log };
    this.#children.set(name, child);
    this.#records = [...this.#records.filter((other) => other.name !== name), record];
    this.#save();
    return record;
  }

  /** Fills the cache of compiled code, so that no node of a fresh checkout starts with the memory of its compilers. */
  async compile(): Promise<void> {
    const child = spawn(process.execPath, [...NODE_FLAGS, MAIN, ...COMPILED_BY], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: environment(),
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new ProcessError('PROCESS_DIED', `compiling ended with ${code}`);
  }

  /** Waits for a sign of life from a process. Throws with the end of its log when it died or took too long. */
  async until<T>(name: string, sign: () => Promise<T | undefined>, timeoutMs: number): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const value = await sign();
      if (value !== undefined) return value;
      if (!this.isAlive(name)) throw new ProcessError('PROCESS_DIED', `${name} ended: ${this.#logEnd(name)}`);
      if (performance.now() > deadline) {
        throw new ProcessError(
          'PROCESS_TIMED_OUT',
          `${name} is not ready after ${timeoutMs} ms: ${this.#logEnd(name)}`,
        );
      }
      await delay(100);
    }
  }

  isAlive(name: string): boolean {
    const child = this.#children.get(name);
    if (child !== undefined) return child.exitCode === null && child.signalCode === null;
    const record = this.#records.find((candidate) => candidate.name === name);
    return record !== undefined && isRunning(record.pid);
  }

  pid(name: string): number | undefined {
    return this.#records.find((record) => record.name === name)?.pid;
  }

  kill(name: string, signal: NodeJS.Signals): void {
    const pid = this.pid(name);
    if (pid !== undefined && isRunning(pid)) process.kill(pid, signal);
  }

  async stop(name: string): Promise<void> {
    const pid = this.pid(name);
    if (pid === undefined) return;
    await stopPid(pid);
    this.#records = this.#records.filter((record) => record.name !== name);
    this.#save();
  }

  /** Ends everything, layer 1 last, so that nodes can still say good-bye. */
  async stopAll(): Promise<void> {
    const [last, ...others] = [...this.#records].sort((a) => (a.name === 'layer-1' ? -1 : 1));
    await Promise.all(others.map((record) => stopPid(record.pid)));
    if (last !== undefined) await stopPid(last.pid);
    this.#records = [];
    this.#save();
  }

  #save(): void {
    writeFileSync(this.#paths.processes, `${JSON.stringify(this.#records, null, 2)}\n`);
  }

  #logEnd(name: string): string {
    const record = this.#records.find((candidate) => candidate.name === name);
    if (record === undefined || !existsSync(record.log)) return 'no log';
    return readFileSync(record.log, 'utf8').trim().split('\n').slice(-3).join(' | ').slice(-800);
  }
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, MALLOC_ARENA_MAX: '1' };
}

async function stopPid(pid: number): Promise<void> {
  if (!isRunning(pid)) return;
  process.kill(pid, 'SIGTERM');
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (isRunning(pid)) {
    if (performance.now() > deadline) {
      process.kill(pid, 'SIGKILL');
      return;
    }
    await delay(50);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A child that ended and was not waited for still has a pid; its state tells.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false; // gone, or the number is another user's by now
  }
}
