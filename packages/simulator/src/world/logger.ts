import { type Logger, pino } from 'pino';
import type { Kernel } from '../kernel/kernel.ts';

const FATAL = 60;

/** What a node said in its log. */
export interface LogLine {
  readonly name: string;
  readonly isFatal: boolean;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a node logs becomes part of the trace, without the machine's time. */
export function simulatedLogger(
  kernel: Kernel,
  name: string,
  options: { level: string; onLine(line: LogLine): void },
): Logger {
  const write = (line: string): void => {
    const { level, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
    // A stack names lines of files: an edit would change the trace of what did not change.
    const message = err === undefined ? '' : ` ${(err as { message?: string }).message ?? ''}`;
    kernel.note(name, `${String(msg)}${message} ${JSON.stringify(rest)}`);
    options.onLine({ name, isFatal: level === FATAL, message: String(msg), fields: rest });
  };
  return pino({ level: options.level, base: null, timestamp: false }, { write });
}
