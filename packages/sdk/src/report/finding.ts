import { errorCode } from '@nemea/core';

/** One thing that was checked, in a line. `ok` false means that the report says something that is not so. */
export interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Lies told of one check before the rest is only counted. */
const LIES_MAX = 8;

/** Collects what does not hold while one check goes on. */
export class Lies {
  readonly #details: string[] = [];
  #uncounted = 0;

  add(detail: string): void {
    if (this.#details.length < LIES_MAX) this.#details.push(detail);
    else this.#uncounted += 1;
  }

  /** Keeps the lie unless the statement holds; returns whether it holds. */
  unless(holds: boolean, detail: string): boolean {
    if (!holds) this.add(detail);
    return holds;
  }

  /** A lie when two values differ that have to be equal. */
  unlessEqual(what: string, got: string | number | bigint, want: string | number | bigint): boolean {
    return this.unless(got === want, `${what}: got ${got}, want ${want}`);
  }

  /** Parses something of the report; what cannot be read is a lie, and undefined. */
  parsed<T>(what: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      this.add(`${what} cannot be read: ${errorCode(error)}`);
      return undefined;
    }
  }

  get details(): readonly string[] {
    return this.#uncounted === 0 ? this.#details : [...this.#details, `and ${this.#uncounted} more`];
  }
}

/** Runs one check: its lies, or the line that says why it holds. */
export async function examine(
  check: string,
  work: (lies: Lies) => string | Promise<string>,
): Promise<Finding[]> {
  const lies = new Lies();
  const explanation = await work(lies);
  if (lies.details.length === 0) return [{ check, ok: true, detail: explanation }];
  return lies.details.map((detail) => ({ check, ok: false, detail }));
}
