/** A token bucket: how long the next event has to wait so that at most `perSecondMax` happen in a second. */
export class Rate {
  readonly #perSecondMax: number;
  #tokens: number;
  #at: number;

  constructor(perSecondMax: number, nowMs: number) {
    this.#perSecondMax = perSecondMax;
    this.#tokens = perSecondMax;
    this.#at = nowMs;
  }

  /** Takes one token, on credit if need be; returns the wait in milliseconds, 0 if none. */
  take(nowMs: number): number {
    const refill = ((nowMs - this.#at) / 1000) * this.#perSecondMax;
    this.#tokens = Math.min(this.#perSecondMax, this.#tokens + refill) - 1;
    this.#at = nowMs;
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#perSecondMax) * 1000);
  }
}
