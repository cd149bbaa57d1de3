import type { Decision } from '@nemea/consensus';
import { ByteReader, ByteWriter, fromUtf8, sha256, toHex, toUtf8, type Verified } from '@nemea/core';
import type { Application } from '@nemea/node/replica';
import { authenticateBundle, type Bundle, BundleError } from './bundle.ts';

/** Numbers of one client that are remembered; older ones are refused, so none is executed twice. */
const NUMBERS_KEPT = 4_096;
/** Bundles known to be authentic that wait for their turn, so that each signature is checked once. */
const CHECKED_MAX = 8_192;

/** What the client wrote, and what became of its last bundles: number to revision. */
export interface StoreState {
  revision: number;
  readonly values: Map<string, Uint8Array>;
  readonly executed: Map<number, number>;
  numberMax: number;
}

export interface StoreOptions {
  readonly networkId: Uint8Array;
  /** Ed25519 key of the one client that may write. */
  readonly client: Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  onExecuted(number: number, revision: number): void;
}

/** A replicated map: each bundle of its client takes effect once, whatever is repeated [CONS-12]. */
export class Store implements Application<StoreState> {
  readonly codec = { encode: encodeState, parse: parseState };
  readonly #options: StoreOptions;
  #state: StoreState = { revision: 0, values: new Map(), executed: new Map(), numberMax: 0 };
  readonly #checked = new Map<string, Verified<Bundle> | null>();

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  get state(): StoreState {
    return this.#state;
  }

  restore(state: StoreState): void {
    this.#state = state;
  }

  async execute({ batch }: Decision): Promise<{ members: null }> {
    for (const bytes of batch) {
      const digest = toHex(sha256(bytes));
      const bundle = this.#authenticate(digest, bytes);
      // Every replica finds the same bytes to be of nobody, and passes over them.
      if (bundle !== null) this.#apply(bundle);
      this.#checked.delete(digest);
    }
    return { members: null };
  }

  onRefused(): void {
    // The client repeats what nobody answers.
  }

  /** What a bundle has led to, if it was executed. */
  revisionOf(number: number): number | undefined {
    return this.#state.executed.get(number);
  }

  /** Null for what is not the client's. A signature is checked once, when the bundle is first seen, until it is executed. */
  authenticate(bytes: Uint8Array): Verified<Bundle> | null {
    return this.#authenticate(toHex(sha256(bytes)), bytes);
  }

  #authenticate(digest: string, bytes: Uint8Array): Verified<Bundle> | null {
    let bundle = this.#checked.get(digest);
    if (bundle === undefined) {
      bundle = this.#check(bytes);
      const [oldest] = this.#checked.keys();
      if (this.#checked.size >= CHECKED_MAX && oldest !== undefined) this.#checked.delete(oldest);
      this.#checked.set(digest, bundle);
    }
    return bundle;
  }

  #check(bytes: Uint8Array): Verified<Bundle> | null {
    const { networkId, client, verify } = this.#options;
    try {
      const bundle = authenticateBundle(networkId, bytes, verify);
      return toHex(bundle.client) === toHex(client) ? bundle : null;
    } catch (error) {
      if (error instanceof BundleError) return null;
      throw error;
    }
  }

  #apply({ number, puts }: Verified<Bundle>): void {
    const { executed, values } = this.#state;
    if (executed.has(number) || number <= this.#state.numberMax - NUMBERS_KEPT) return;
    for (const { key, value } of puts) values.set(key, value);
    this.#state.revision += puts.length;
    executed.set(number, this.#state.revision);
    this.#state.numberMax = Math.max(this.#state.numberMax, number);
    forgetThrough(executed, this.#state.numberMax - NUMBERS_KEPT);
    this.#options.onExecuted(number, this.#state.revision);
  }
}

/** The oldest come first, but for those that overtook each other. */
function forgetThrough(executed: Map<number, number>, bound: number): void {
  for (const number of executed.keys()) {
    if (number > bound) return;
    executed.delete(number);
  }
}

/** Maps keep the order of the first writing, which is the same everywhere. */
function encodeState({ revision, values, executed, numberMax }: StoreState): Uint8Array {
  const writer = new ByteWriter().u32(revision).u32(numberMax).u32(executed.size).u32(values.size);
  for (const [number, at] of executed) writer.u32(number).u32(at);
  for (const [key, value] of values) {
    const name = fromUtf8(key);
    writer.u16(name.length).bytes(name).u16(value.length).bytes(value);
  }
  return writer.toBytes();
}

/** Throws a `CoreError` for bytes that are no state. */
function parseState(bytes: Uint8Array): StoreState {
  const reader = new ByteReader(bytes);
  const revision = reader.u32();
  const numberMax = reader.u32();
  const [executedCount, valueCount] = [reader.u32(), reader.u32()];
  const executed = new Map<number, number>();
  for (let i = 0; i < executedCount; i++) executed.set(reader.u32(), reader.u32());
  const values = new Map<string, Uint8Array>();
  for (let i = 0; i < valueCount; i++)
    values.set(toUtf8(reader.bytes(reader.u16())), reader.bytes(reader.u16()));
  reader.end();
  return { revision, numberMax, values, executed };
}
