import type { Random } from './random.ts';

export type NetworkFaults = {
  delayMinMs: number;
  delayMaxMs: number;
  /** Probabilities per message. */
  loss: number;
  duplicate: number;
};

export const CALM: NetworkFaults = { delayMinMs: 1, delayMaxMs: 5, loss: 0, duplicate: 0 };

/** Virtual time: events run in order of their time, and in order of scheduling at the same time. */
export class Schedule {
  now = 0;
  #events: { at: number; order: number; run: () => void }[] = [];
  #order = 0;

  after(delayMs: number, run: () => void): void {
    const event = { at: this.now + delayMs, order: this.#order++, run };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#events[middle] as { at: number };
      // Kept in descending order, so that the next event is popped from the end.
      if (other.at <= event.at) high = middle;
      else low = middle + 1;
    }
    this.#events.splice(low, 0, event);
  }

  /** Runs events until the condition holds (true) or virtual time is over (false). */
  run(until: () => boolean, limitMs: number): boolean {
    const end = this.now + limitMs;
    while (!until()) {
      const event = this.#events.pop();
      if (event === undefined) return false;
      if (event.at > end) {
        this.#events.push(event);
        this.now = end;
        return false;
      }
      this.now = event.at;
      event.run();
    }
    return true;
  }
}

/** Delivers with delay, reordering, loss, duplication and partitions, all drawn from the seed. */
export class Network {
  faults: NetworkFaults = { ...CALM };
  /** Null when everybody reaches everybody. */
  #groups: ReadonlySet<string>[] | null = null;
  readonly #schedule: Schedule;
  readonly #random: Random;

  constructor(schedule: Schedule, random: Random) {
    this.#schedule = schedule;
    this.#random = random;
  }

  /** Splits the network; who is in no group hears nobody. */
  partition(...groups: readonly string[][]): void {
    this.#groups = groups.map((group) => new Set(group));
  }

  heal(): void {
    this.#groups = null;
  }

  deliver(from: string, to: string, run: () => void): void {
    const { delayMinMs, delayMaxMs, loss, duplicate } = this.faults;
    const copies = this.#random.chance(duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const isLost = this.#random.chance(loss);
      const delayMs = this.#random.integer(delayMinMs, delayMaxMs);
      if (isLost || !this.#areConnected(from, to)) continue;
      this.#schedule.after(delayMs, () => {
        if (this.#areConnected(from, to)) run();
      });
    }
  }

  #areConnected(from: string, to: string): boolean {
    if (from === to) return true;
    return this.#groups === null || this.#groups.some((group) => group.has(from) && group.has(to));
  }
}
