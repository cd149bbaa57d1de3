import { parseMessage, peekVote } from '@nemea/consensus';
import { PROTOCOLS } from '@nemea/node/protocol';
import type { Fate, Passing, Weather } from '../twins/network.ts';
import type { Host } from '../world/host.ts';
import type { World } from '../world/world.ts';
import type { Counts } from './counts.ts';
import type { Fault } from './plan.ts';

const CLOG_MS = 4_000;
const WATCH_MS = 5;

/** A network on a bad day: each message has its own fate, and links go down and come back. */
export class Storm implements Weather {
  readonly #world: World;
  readonly #faults: ReadonlySet<Fault>;
  readonly #counts: Counts;
  readonly #random;
  /** Links that carry nothing now, `from>to`, and until when. */
  readonly #cutUntilMs = new Map<string, number>();
  readonly #cloggedUntilMs = new Map<string, number>();
  /** Members to whom no commit comes through now, and until when. */
  readonly #deafUntilMs = new Map<string, number>();
  #isOver = false;

  constructor(world: World, faults: ReadonlySet<Fault>, counts: Counts) {
    this.#world = world;
    this.#faults = faults;
    this.#counts = counts;
    this.#random = world.kernel.random.fork('storm');
  }

  fate(from: string, to: string, passing?: Passing): Fate {
    const random = this.#random;
    const base = random.integer(1, 10);
    if (this.#isOver) return [base];
    const link = `${from}>${to}`;
    const nowMs = this.#world.kernel.nowMs;
    if ((this.#cutUntilMs.get(link) ?? 0) > nowMs) return [];
    if ((this.#deafUntilMs.get(to) ?? 0) > nowMs && passing !== undefined && isCommit(passing)) return [];
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
    const from = random.pick(names);
    const to = random.pick(names.filter((name) => name !== from));
    if (this.#strikes('one-way', 0.04)) this.#cut(from, to, random.integer(1_000, 8_000));
    if (this.#strikes('deafness', 0.12)) this.#deafen(this.#world.hosts);
    if (this.#strikes('flapping', 0.05)) this.#flap(random.pick(names), 6);
    if (this.#strikes('clogged-link', 0.05))
      this.#cloggedUntilMs.set(`${from}>${to}`, this.#world.kernel.nowMs + random.integer(1_000, 8_000));
  }

  end(): void {
    this.#isOver = true;
  }

  /**
   * To all but a few comes no commit for a while, and the few are cut off once they have decided something: they alone
   * know of it, and the others have prepared it when they give up the view.
   */
  #deafen(hosts: readonly Host[]): void {
    const { kernel, founders } = this.#world;
    const random = this.#random;
    const hearing = new Set([random.pick(founders), random.pick(hosts)].slice(0, random.integer(1, 2)));
    const deaf = hosts.filter((host) => !hearing.has(host));
    const endMs = kernel.nowMs + random.integer(5_000, 12_000);
    const names = [...hearing].map(({ name }) => name).join(' ');
    kernel.note('storm', `lets commits through to ${names} alone until ${endMs} ms`);
    for (const { name } of deaf) this.#deafUntilMs.set(name, endMs);
    const isCutOff = random.chance(0.7);
    const watch = (): void => {
      if (this.#isOver || kernel.nowMs > endMs) return;
      if (executedBy([...hearing]) > executedBy(deaf)) this.#part(deaf, [...hearing], endMs - kernel.nowMs);
      else kernel.after(WATCH_MS, watch);
    };
    if (isCutOff) watch();
  }

  #part(left: readonly Host[], right: readonly Host[], durationMs: number): void {
    for (const a of left)
      for (const b of right) {
        this.#cut(a.name, b.name, durationMs);
        this.#cut(b.name, a.name, durationMs);
      }
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

function isCommit({ protocol, bytes }: Passing): boolean {
  if (protocol !== PROTOCOLS.consensus) return false;
  try {
    return peekVote(parseMessage(bytes).payload)?.kind === 'commit';
  } catch {
    // Nonsense of a villain's.
    return false;
  }
}

/** The highest sequence that one of them has executed. */
function executedBy(hosts: readonly Host[]): number {
  return Math.max(0, ...hosts.map(({ node }) => node?.status().sequence ?? 0));
}
