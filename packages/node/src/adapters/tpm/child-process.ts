import { type ChildProcess, spawn } from 'node:child_process';

/** How a process ended, with the end of what it said. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

export interface RunningProcess {
  readonly child: ChildProcess;
  /** Never rejects: a program that could not be started has code null and the reason as its output. */
  readonly exited: Promise<ProcessExit>;
  /** The same without waiting: `undefined` while it runs. */
  ended(): ProcessExit | undefined;
}

const OUTPUT_CHARS_MAX = 4096;

/** Starts a program that the kernel ends together with this thread, however this process dies. */
export function spawnTied(program: string, args: readonly string[]): RunningProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let exit: ProcessExit | undefined;
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  const { promise: exited, resolve } = Promise.withResolvers<ProcessExit>();
  const end = (ended: ProcessExit): void => {
    exit ??= ended;
    resolve(exit);
  };
  child.on('error', (error) => end({ code: null, signal: null, output: error.message }));
  child.on('close', (code, signal) => end({ code, signal, output: output.trim() }));
  return { child, exited, ended: () => exit };
}
