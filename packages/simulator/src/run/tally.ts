import type { RunResult } from './simulation.ts';

/** What a swarm has done so far. */
export class Tally {
  #seeds = 0;
  #virtualMs = 0;
  #decisions = 0;
  #failures = 0;
  readonly #faults = new Map<string, number>();

  add({ virtualMs, decisions, faults, violation }: RunResult): void {
    this.#seeds++;
    this.#virtualMs += virtualMs;
    this.#decisions += decisions;
    if (violation !== undefined) this.#failures++;
    for (const [kind, count] of Object.entries(faults))
      this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + count);
  }

  /** A run that ended without a result. */
  addBroken(): void {
    this.#seeds++;
    this.#failures++;
  }

  get seeds(): number {
    return this.#seeds;
  }

  get failures(): number {
    return this.#failures;
  }

  line(): string {
    const hours = (this.#virtualMs / 3_600_000).toFixed(2);
    const faults = [...this.#faults]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, count]) => `${kind} ${count}`);
    const injected = faults.length === 0 ? 'none' : faults.join(', ');
    return `${this.#seeds} seeds, ${hours} virtual hours, ${this.#decisions} decisions, faults: ${injected}; ${this.#failures} failures`;
  }
}
