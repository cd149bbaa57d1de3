import { type Logger, pino } from 'pino';
import type { Kernel } from '../kernel/kernel.ts';

const { warn: NOTED, fatal: FATAL } = pino.levels.values;

/** What a node said in its log. */
export interface LogLine {
  readonly name: string;
  readonly isFatal: boolean;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a node logs, checkers hear; a warning or worse becomes part of the trace, without the machine's time. */
export function simulatedLogger(kernel: Kernel, name: string, onLine: (line: LogLine) => void): Logger {
  const write = (line: string): void => {
    const { level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const { err, ...rest } = fields;
    // A stack names lines of files: an edit would change the trace of what did not change.
    const message = err === undefined ? '' : ` ${(err as { message?: string }).message ?? ''}`;
    if (Number(level) >= Number(NOTED)) kernel.note(name, `${String(msg)}${message} ${JSON.stringify(rest)}`);
    onLine({ name, isFatal: level === FATAL, message: String(msg), fields });
  };
  return pino({ level: 'trace', base: null, timestamp: false }, { write });
}
