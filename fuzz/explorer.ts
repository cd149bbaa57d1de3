import { toHex } from '@nemea/core';
import { checkInput, type Failure, type Outcome } from './check.ts';
import { type Cost, collectGarbage, measure } from './cost.ts';
import type { Feedback } from './feedback.ts';
import { type Material, mutateBytes, withoutBytes } from './mutate.ts';
import { Random } from './random.ts';
import { type Budget, DEFAULT_BUDGET, DEFAULT_INPUT_BYTES_MAX, type Target } from './target.ts';
import { mutateTree } from './tree.ts';

export interface Finding {
  readonly message: string;
  readonly input: Uint8Array;
}

/** An input that did something new, and what it compared. */
interface Entry {
  readonly input: Uint8Array;
  readonly comparisons: Material['comparisons'];
}

const CORPUS_MAX = 8192;
const RECENT = 24;
const STACKED_MAX = 6;
const CONFIRMATIONS = 3;
/** Slower inputs than this are kept, too: from there on the search climbs to what takes more than linear time. */
const SLOW_MS = 1;
const SLOWER_BY = 1.3;
const MINIMIZING_RUNS_MAX = 4000;

export interface ExplorerOptions {
  readonly seed: number;
  readonly tokens: readonly Uint8Array[];
  /** Called with every input before it runs: whoever watches this thread keeps what it dies of. */
  readonly onInput: (input: Uint8Array) => void;
}

/** Coverage-guided search: inputs that do something new are kept and changed again. */
export class Explorer {
  readonly #target: Target;
  readonly #feedback: Feedback;
  readonly #options: ExplorerOptions;
  readonly #budget: Budget;
  readonly #random: Random;
  readonly #corpus: Entry[] = [];
  /** Those of the corpus that were accepted: changes of theirs get deepest. */
  readonly #good: Entry[] = [];
  readonly #known = new Set<string>();
  readonly #kinds = new Set<string>();
  #slowestMs = SLOW_MS;
  executions = 0;
  accepted = 0;

  constructor(target: Target, feedback: Feedback, options: ExplorerOptions) {
    this.#target = target;
    this.#feedback = feedback;
    this.#options = options;
    this.#budget = { ...DEFAULT_BUDGET, ...target.budget };
    this.#random = new Random(options.seed);
  }

  get corpus(): readonly Uint8Array[] {
    return this.#corpus.map(({ input }) => input);
  }

  /** Runs an input as it is and keeps it, new or not. */
  addSeed(input: Uint8Array): Finding | null {
    return this.#try(input, true);
  }

  /** Runs a changed input. Returns a finding once for each kind of failure, minimized. */
  step(): Finding | null {
    const { form = 'bytes' } = this.#target;
    const entry = this.#pick();
    const material: Material = {
      random: this.#random,
      tokens: this.#options.tokens,
      comparisons: entry.comparisons,
      donor: this.#random.pick(this.#corpus)?.input ?? entry.input,
      bytesMax: this.#target.inputBytesMax ?? DEFAULT_INPUT_BYTES_MAX,
    };
    let input = entry.input;
    // Most changes keep the form; the rest goes to the reader of the form itself.
    const isWhole = form !== 'bytes' && !this.#random.once(5);
    if (isWhole) input = mutateTree(input, form, material) ?? mutateBytes(input, material);
    else for (let n = 1 + this.#random.below(STACKED_MAX); n > 0; n--) input = mutateBytes(input, material);
    return this.#try(input, false);
  }

  #try(input: Uint8Array, isSeed: boolean): Finding | null {
    const { outcome, isNew } = this.#execute(input);
    if (isSeed || (isNew && this.#corpus.length < CORPUS_MAX)) this.#keep(input, outcome === 'accepted');
    if (outcome === 'accepted') this.accepted++;
    if (typeof outcome === 'string' || this.#kinds.has(outcome.kind)) return null;
    this.#kinds.add(outcome.kind);
    return { message: outcome.message, input: this.#minimize(input, outcome.kind) };
  }

  #execute(input: Uint8Array): { readonly outcome: Outcome; readonly isNew: boolean } {
    this.executions++;
    this.#options.onInput(input);
    this.#feedback.begin();
    let outcome: Outcome = 'accepted';
    const cost = measure(() => {
      outcome = this.#run(input);
    });
    const isNew = this.#feedback.end() || this.#isSlower(input, cost);
    return { outcome: this.#confirmedExcess(input, cost) ?? outcome, isNew };
  }

  #confirmedExcess(input: Uint8Array, cost: Cost): Failure | null {
    const excess = this.#excess(input, cost);
    if (excess === null) return null;
    // Collecting garbage, compiling and other programs cost too: what is the input's own comes back every time.
    for (let i = 0; i < CONFIRMATIONS; i++) {
      collectGarbage();
      const again = measure(() => this.#run(input));
      if (this.#excess(input, again)?.kind !== excess.kind) return null;
    }
    return excess;
  }

  #run(input: Uint8Array): Outcome {
    return checkInput(this.#target, input);
  }

  #isSlower(input: Uint8Array, { cpuMs }: Cost): boolean {
    if (cpuMs < this.#slowestMs * SLOWER_BY) return false;
    const again = measure(() => this.#run(input)).cpuMs;
    if (again < this.#slowestMs * SLOWER_BY) return false;
    this.#slowestMs = again;
    return true;
  }

  #excess(input: Uint8Array, cost: Cost): Failure | null {
    const { cpuMs, cpuMsPerKib, allocatedBytes, allocatedBytesPerByte } = this.#budget;
    const cpuMax = cpuMs + (cpuMsPerKib * input.length) / 1024;
    if (cost.cpuMs > cpuMax) {
      const message = `took ${cost.cpuMs.toFixed(0)} ms for ${input.length} bytes, want at most ${cpuMax.toFixed(0)}`;
      return { kind: 'time', message };
    }
    const allocatedMax = allocatedBytes + allocatedBytesPerByte * input.length;
    if (cost.allocatedBytes > allocatedMax) {
      const message = `allocated ${cost.allocatedBytes} bytes for ${input.length}, want at most ${allocatedMax}`;
      return { kind: 'memory', message };
    }
    return null;
  }

  #pick(): Entry {
    const good = this.#random.once(2) ? this.#random.pick(this.#good) : undefined;
    if (good !== undefined) return good;
    const recent = this.#random.once(2) ? Math.max(0, this.#corpus.length - RECENT) : 0;
    const entry = this.#corpus[recent + this.#random.below(this.#corpus.length - recent)];
    return entry ?? { input: new Uint8Array(1), comparisons: [] };
  }

  #keep(input: Uint8Array, isGood: boolean): void {
    const id = toHex(input);
    if (this.#known.has(id)) return;
    this.#known.add(id);
    const entry = { input, comparisons: [...this.#feedback.comparisons] };
    this.#corpus.push(entry);
    if (isGood) this.#good.push(entry);
  }

  /** Leaves out what the failure does not need. */
  #minimize(input: Uint8Array, kind: string): Uint8Array {
    let smallest = input;
    let runs = 0;
    const fails = (smaller: Uint8Array): boolean => {
      runs++;
      const { outcome } = this.#execute(smaller);
      return typeof outcome !== 'string' && outcome.kind === kind;
    };
    for (let size = input.length >> 1; size >= 1; size >>= 1) {
      for (let at = 0; at < smallest.length && runs < MINIMIZING_RUNS_MAX; ) {
        const smaller = withoutBytes(smallest, at, size).find(fails);
        if (smaller === undefined) at += size;
        else smallest = smaller;
      }
    }
    return smallest;
  }
}
