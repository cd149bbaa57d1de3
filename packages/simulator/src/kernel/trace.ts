import { createHash } from 'node:crypto';

const LINES_KEPT = 400;

/** What happened in a world, line by line: its hash tells two runs apart, its last lines tell a reader why one failed. */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #last: string[] = [];
  #sink: ((line: string) => void) | undefined;

  add(atMs: number, who: string, what: string): void {
    const line = `${(atMs / 1000).toFixed(3).padStart(10)} ${who.padEnd(8)} ${what}`;
    this.#hash.update(line).update('\n');
    this.#last.push(line);
    if (this.#last.length > LINES_KEPT) this.#last.shift();
    this.#sink?.(line);
  }

  /** Of everything up to now. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  last(count: number): readonly string[] {
    return this.#last.slice(-count);
  }

  /** Hands every further line to `sink` as well. */
  tee(sink: (line: string) => void): void {
    this.#sink = sink;
  }
}
