import { CodedError, errorCode, printable } from '@nemea/core';
import type { Command, CommanderError } from 'commander';
import pino, { type Logger } from 'pino';

/** What scripts may rely on, for the commands that judge: yes, no, and that nobody can tell. */
export const EXIT = { yes: 0, no: 1, notJudged: 2 } as const;

/** Of the commands that do something. */
const EXIT_FAILED = 1;

interface Printed {
  readonly json?: boolean;
}

/** Results go to stdout: one JSON line with `--json`, readable text without. Everything else goes to stderr. */
export function print(options: Printed, value: unknown, text: string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(value)}\n` : `${tame(text)}\n`);
}

/** Runs a command whose exit code is its answer. */
export async function judge(run: () => Promise<boolean>): Promise<void> {
  try {
    process.exitCode = (await run()) ? EXIT.yes : EXIT.no;
  } catch (error) {
    // Whatever it was, nothing was judged.
    fail(error, EXIT.notJudged);
  }
}

export class UsageError extends CodedError<'USAGE_INVALID'> {}

/** Makes wrong options and arguments end like every other failure: of this command, and of those that are added to it later. */
export function endOnUsage(command: Command, exitCode: number = EXIT_FAILED): Command {
  return command.exitOverride((error: CommanderError) => {
    if (error.exitCode === 0) process.exit(EXIT.yes);
    // A group without a command prints its help.
    if (error.code === 'commander.help') process.exit(exitCode);
    const what = error.message.replace(/^error: /, '').replace(/\s+/g, ' ');
    fail(new UsageError('USAGE_INVALID', `${what}; see ${namedBy(command)} --help`), exitCode);
  });
}

function namedBy(command: Command): string {
  let named = command;
  while (named.parent !== null) named = named.parent;
  const words = [named.name()];
  for (const word of process.argv.slice(2)) {
    const next = named.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) break;
    words.push(word);
    named = next;
  }
  return words.join(' ');
}

const SIGPIPE_EXIT = 141;

/**
 * `| head` leaves before the end. The exit code stays the command's answer, or is that of SIGPIPE when there is none. Where
 * a disk is full nobody has the answer.
 */
export function endQuietlyOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? SIGPIPE_EXIT);
      if (stream === process.stdout) process.stderr.write(`nemea: OUTPUT_LOST: ${error.message}\n`);
      process.exit(EXIT.notJudged);
    });
  }
}

export function note(text: string): void {
  process.stderr.write(`${tame(text)}\n`);
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

/**
 * Ends the command with the error's code and message, and why: one line on stderr, or with `--json` on stdout. What has no
 * code is a fault of this program, and shows where.
 */
export function fail(error: unknown, exitCode: number = EXIT_FAILED): never {
  const code = errorCode(error);
  const message = messageOf(error);
  if (process.argv.includes('--json')) print({ json: true }, { ok: false, error: { code, message } }, '');
  else note(`nemea: ${code}: ${message}`);
  if (!(error instanceof CodedError) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exit(exitCode);
}

/** The message, and the first line of each cause that says more. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const messages = [error.message.trim().replace(/\s*\n\s*/g, ' ')];
  for (let { cause } = error; cause instanceof Error; { cause } = cause) {
    const [line = ''] = cause.message.trim().split('\n');
    if (!messages.some((said) => said.includes(line))) messages.push(line);
  }
  return messages.join('; because: ');
}

/** Whatever a command prints, its lines neither move the cursor nor turn the text. */
function tame(text: string): string {
  return text
    .split('\n')
    .map((line) => printable(line))
    .join('\n');
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
