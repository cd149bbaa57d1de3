import type { Fate, Weather } from '../twins/network.ts';
import type { World } from '../world/world.ts';
import type { Counts } from './counts.ts';
import type { Fault } from './plan.ts';

const CLOG_MS = 4_000;

/** A network on a bad day: each message has its own fate, and links go down and come back. */
export class Storm implements Weather {
  readonly #world: World;
  readonly #faults: ReadonlySet<Fault>;
  readonly #counts: Counts;
  readonly #random;
  /** Links that carry nothing now, `from>to`, and until when. */
  readonly #cutUntilMs = new Map<string, number>();
  readonly #cloggedUntilMs = new Map<string, number>();
  #isOver = false;

  constructor(world: World, faults: ReadonlySet<Fault>, counts: Counts) {
    this.#world = world;
    this.#faults = faults;
    this.#counts = counts;
    this.#random = world.kernel.random.fork('storm');
  }

  fate(from: string, to: string): Fate {
    const random = this.#random;
    const base = random.integer(1, 10);
    if (this.#isOver) return [base];
    const link = `${from}>${to}`;
    const nowMs = this.#world.kernel.nowMs;
    if ((this.#cutUntilMs.get(link) ?? 0) > nowMs) return [];
    if (this.#strikes('loss', 0.03)) return [];
    const clogged = (this.#cloggedUntilMs.get(link) ?? 0) > nowMs ? CLOG_MS : 0;
    const delayed = this.#strikes('delay', 0.05) ? random.integer(50, 1_500) : 0;
    const atMs = base + clogged + delayed;
    return this.#strikes('duplication', 0.03) ? [atMs, atMs + random.integer(1, 500)] : [atMs];
  }

  isReordering(): boolean {
    return !this.#isOver && this.#strikes('reordering', 0.1);
  }

  /** Called every second: brings links down for a while. */
  blow(): void {
    if (this.#isOver) return;
    const names = this.#world.hosts.map(({ name }) => name);
    const random = this.#random;
    if (this.#strikes('partition', 0.03)) {
      const side = new Set(names.filter(() => random.chance(0.5)));
      const durationMs = random.integer(2_000, 12_000);
      for (const a of names)
        for (const b of names) if (side.has(a) !== side.has(b)) this.#cut(a, b, durationMs);
    }
    if (this.#strikes('one-way', 0.04))
      this.#cut(random.pick(names), random.pick(names), random.integer(1_000, 8_000));
    if (this.#strikes('deafness', 0.12)) this.#deafen(names);
    if (this.#strikes('flapping', 0.05)) this.#flap(random.pick(names), 6);
    if (this.#strikes('clogged-link', 0.05)) {
      const link = `${random.pick(names)}>${random.pick(names)}`;
      this.#cloggedUntilMs.set(link, this.#world.kernel.nowMs + random.integer(1_000, 8_000));
    }
  }

  end(): void {
    this.#isOver = true;
  }

  /** Most hear nothing for a moment, and those that heard the last words are cut off then: they alone know what was decided. */
  #deafen(names: readonly string[]): void {
    const random = this.#random;
    const deaf = new Set(names.filter(() => random.chance(0.6)));
    const hearing = names.filter((name) => !deaf.has(name));
    const deafMs = random.integer(20, 2_000);
    for (const to of deaf) for (const from of names) this.#cut(from, to, deafMs);
    if (random.chance(0.3)) return;
    const apartMs = random.integer(4_000, 12_000);
    this.#world.kernel.after(deafMs - 1, () => {
      for (const a of deaf) {
        for (const b of hearing) {
          this.#cut(a, b, apartMs);
          this.#cut(b, a, apartMs);
        }
      }
    });
  }

  /** One machine's cable, in and out, again and again. */
  #flap(name: string, times: number): void {
    if (times === 0 || this.#isOver) return;
    for (const { name: other } of this.#world.hosts) {
      this.#cut(name, other, 300);
      this.#cut(other, name, 300);
    }
    this.#world.kernel.after(700, () => this.#flap(name, times - 1));
  }

  #cut(from: string, to: string, durationMs: number): void {
    this.#world.kernel.note('storm', `cuts ${from}>${to} for ${durationMs} ms`);
    this.#cutUntilMs.set(`${from}>${to}`, this.#world.kernel.nowMs + durationMs);
  }

  #strikes(fault: Fault, probability: number): boolean {
    if (!this.#faults.has(fault) || !this.#random.chance(probability)) return false;
    this.#counts.add(fault);
    return true;
  }
}
