import { InvalidArgumentError } from 'commander';

/** Reads the argument of an option that is a whole number. */
export function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Want a whole number from ${min} to ${max}.`);
  };
}

/** Reads the argument of an option that is a number above zero. */
export function positive(max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}(?:\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
    if (value > 0 && value <= max) return value;
    throw new InvalidArgumentError(`Want a number above 0, at most ${max}.`);
  };
}

/** Reads the argument of an option that is an account. */
export function account(text: string): string {
  if (/^0x[0-9a-fA-F]{40}$/.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('Want an account: 0x and 40 hexadecimal digits.');
}

export const port = whole(1, 65_535);
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'];
