/** Numbers for blocks and comparisons, unique within a thread, and the literals that the code holds. */
export interface Registry {
  blocks: number;
  sites: number;
  readonly literals: Set<string | number | bigint>;
}

/** What instrumented code reports while it runs. One per thread: instrumented modules reach it by a global name. */
export interface Probe {
  /** Counts executions of each block, modulo 256. */
  readonly counters: Uint8Array;
  /** Report a comparison and carry it out. */
  readonly equal: (site: number, left: unknown, right: unknown) => boolean;
  readonly less: Ordering;
  readonly lessOrEqual: Ordering;
  readonly greater: Ordering;
  readonly greaterOrEqual: Ordering;
  /** Reports the comparisons of a switch with its cases, and returns the value. */
  readonly select: <T>(site: number, value: T, cases: readonly unknown[]) => T;
}

// Operands may be of any type that JavaScript compares; the probe must not change the outcome.
type Ordering = (site: number, left: number, right: number) => boolean;

/** Two values that were compared and differ: putting the one where the other is may open a branch. */
export type Comparison = readonly [number, number] | readonly [bigint, bigint] | readonly [string, string];

const BLOCKS_MAX = 1 << 16;
const SITES_MAX = 1 << 14;
const COMPARISONS_MAX = 256;
/** Execution counts of one class are the same behaviour: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128 and more. */
const CLASS_BY_COUNT = Uint8Array.from({ length: 256 }, (_, count) => {
  if (count <= 3) return count === 0 ? 0 : 1 << (count - 1);
  if (count < 8) return 8;
  if (count < 16) return 16;
  if (count < 32) return 32;
  return count < 128 ? 64 : 128;
});

/** Collects a thread's coverage and comparisons, and says which executions did something new. */
export class Feedback {
  readonly probe: Probe;
  readonly registry: Registry = { blocks: 0, sites: 0, literals: new Set() };
  readonly comparisons: Comparison[] = [];
  readonly #counters = new Uint8Array(BLOCKS_MAX);
  /** The same, four at a time: most are zero. */
  readonly #words = new Int32Array(this.#counters.buffer);
  readonly #seen = new Uint8Array(BLOCKS_MAX);
  readonly #closest = new Uint8Array(SITES_MAX);
  #comparisonCount = 0;
  #closer = false;
  #blocks = 0;

  constructor() {
    this.probe = {
      counters: this.#counters,
      equal: (site, left, right) => {
        this.#compare(site, left, right, false);
        return left === right;
      },
      less: (site, left, right) => {
        this.#compare(site, left, right, true);
        return left < right;
      },
      lessOrEqual: (site, left, right) => {
        this.#compare(site, left, right, true);
        return left <= right;
      },
      greater: (site, left, right) => {
        this.#compare(site, left, right, true);
        return left > right;
      },
      greaterOrEqual: (site, left, right) => {
        this.#compare(site, left, right, true);
        return left >= right;
      },
      select: (site, value, cases) => {
        for (const [index, each] of cases.entries()) this.#compare(site + index, value, each, false);
        return value;
      },
    };
  }

  /** Blocks that ever ran. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Forgets what ran since the last call: module code, other inputs. */
  begin(): void {
    this.#counters.fill(0, 0, this.registry.blocks);
    this.comparisons.length = 0;
    this.#comparisonCount = 0;
    this.#closer = false;
  }

  /** Whether this execution did what none did before: ran a block, or another number of times, or came closer to equality. */
  end(): boolean {
    let isNew = false;
    const words = Math.ceil(this.registry.blocks / 4);
    for (let word = 0; word < words; word++) {
      if (this.#words[word] === 0) continue;
      for (let block = word * 4; block < word * 4 + 4; block++) {
        const bit = CLASS_BY_COUNT[this.#counters[block] ?? 0] ?? 0;
        const seen = this.#seen[block] ?? 0;
        if ((seen | bit) === seen) continue;
        if (seen === 0) this.#blocks++;
        this.#seen[block] = seen | bit;
        isNew = true;
      }
    }
    return isNew || this.#closer;
  }

  #compare(site: number, left: unknown, right: unknown, ordered: boolean): void {
    if (left === right) return;
    let closeness: number;
    let comparison: Comparison;
    if (typeof left === 'number' && typeof right === 'number') {
      closeness = ordered ? nearness(left - right) : 1 + agreeingBits(left, right);
      comparison = [left, right];
    } else if (typeof left === 'string' && typeof right === 'string') {
      closeness = 1 + Math.min(commonPrefix(left, right), 200);
      comparison = [left, right];
    } else if (typeof left === 'bigint' && typeof right === 'bigint') {
      closeness = nearness(Number(left - right));
      comparison = [left, right];
    } else return;
    if (closeness > (this.#closest[site] ?? 255)) {
      this.#closest[site] = closeness;
      this.#closer = true;
    }
    // A ring: what was compared last lies deepest.
    this.comparisons[this.#comparisonCount++ % COMPARISONS_MAX] = comparison;
  }
}

function agreeingBits(left: number, right: number): number {
  let different = left ^ right;
  let count = 32;
  for (; different !== 0; different &= different - 1) count--;
  return count;
}

/** Larger for smaller differences, 1 to 64. */
function nearness(difference: number): number {
  return 64 - Math.min(63, Math.ceil(Math.log2(Math.abs(difference) + 1)));
}

function commonPrefix(left: string, right: string): number {
  let length = 0;
  while (length < left.length && left[length] === right[length]) length++;
  return length;
}
