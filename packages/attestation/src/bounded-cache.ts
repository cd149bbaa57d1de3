/** A map that forgets its oldest entry when it is full. For results of pure functions only: losing one costs time. */
export class BoundedCache<T> {
  readonly #entries = new Map<string, T>();
  readonly #sizeMax: number;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: T): void {
    const oldest = this.#entries.keys().next();
    if (this.#entries.size >= this.#sizeMax && !oldest.done) this.#entries.delete(oldest.value);
    this.#entries.set(key, value);
  }
}

/** A key of bytes, of a few kB at most: one character each. Applied, because spreading bytes into arguments costs five times as much. */
export function cacheKey(bytes: Uint8Array): string {
  return Reflect.apply(String.fromCharCode, undefined, bytes);
}
