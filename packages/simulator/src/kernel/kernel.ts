import { EventQueue, type Planned } from './queue.ts';
import { quiescence } from './quiescence.ts';
import { type SeededRandom, seededRandom } from './random.ts';
import { Trace } from './trace.ts';

/**
 * The one source of time, order and chance of a simulated world. Events run one after the other, by virtual time; after
 * each, every promise that it woke has run to its end, so that asynchronous code is as deterministic as the rest.
 */
export class Kernel {
  readonly random: SeededRandom;
  readonly trace = new Trace();
  readonly #queue = new EventQueue();
  #nowMs = 0;
  #order = 0;

  constructor(seed: string) {
    this.random = seededRandom(seed);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Plans an event; returns what takes it back. */
  after(delayMs: number, run: () => void): () => void {
    const event: Planned = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#queue.push(event);
    return () => {
      event.run = undefined;
    };
  }

  every(periodMs: number, run: () => void): void {
    this.after(periodMs, () => {
      run();
      this.every(periodMs, run);
    });
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  /** Notes what happened, now, to whom. */
  note(who: string, what: string): void {
    this.trace.add(this.#nowMs, who, what);
  }

  /** Runs the world until a virtual time, or until `isDone` holds. Returns whether it does. */
  async runUntil(untilMs: number, isDone: () => boolean = () => false): Promise<boolean> {
    await quiescence();
    while (!isDone()) {
      const next = this.#queue.peek();
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return isDone();
      }
      this.#queue.pop();
      this.#nowMs = next.atMs;
      if (next.run === undefined) continue;
      next.run();
      await quiescence();
    }
    return true;
  }
}
