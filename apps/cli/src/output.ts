import { CodedError } from '@nemea/core';
import pino, { type Logger } from 'pino';

/** Results go to stdout: one JSON line with `--json`, readable text without. Everything else goes to stderr. */
export function print(options: { json?: boolean }, value: unknown, text: string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(value)}\n` : `${text}\n`);
}

const SIGPIPE_EXIT = 141;

/** `| head` leaves before the end. The exit code stays the command's answer, or is that of SIGPIPE when there is none. */
export function endQuietlyOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(process.exitCode ?? SIGPIPE_EXIT);
    });
  }
}

export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Tells one step with its duration. */
export async function tell<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  process.stderr.write(`  ${what} ...`);
  try {
    const value = await work();
    process.stderr.write(` ${seconds(performance.now() - startMs)}\n`);
    return value;
  } catch (error) {
    process.stderr.write(` FAILED after ${seconds(performance.now() - startMs)}\n`);
    throw error;
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

/** Ends the command with the error's code and message, and exit code 1. */
export function fail(error: unknown): never {
  if (error instanceof CodedError) {
    process.stderr.write(`nemea: ${error.code}: ${error.message}\n`);
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
      process.stderr.write(`  because: ${cause.message}\n`);
    }
  } else {
    process.stderr.write(
      `nemea: unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
  }
  process.exit(1);
}

/** The log of a long-running process: JSON lines on stderr, which its starter puts into a file. */
export function openLogger(name: string, level: string): Logger {
  return pino({ name, level, base: { name } }, pino.destination({ dest: 2, sync: true }));
}

/** Runs until SIGTERM, SIGINT or a loss that makes going on senseless, then closes in order. */
export async function untilStopped(close: () => Promise<void>, lost?: Promise<CodedError>): Promise<never> {
  const stopped = new Promise<undefined>((resolve) => {
    process.once('SIGTERM', () => resolve(undefined));
    process.once('SIGINT', () => resolve(undefined));
  });
  const loss = await Promise.race(lost === undefined ? [stopped] : [stopped, lost]);
  await close();
  if (loss !== undefined) fail(loss);
  process.exit(0);
}
