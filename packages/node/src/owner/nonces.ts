import { createHmac, timingSafeEqual } from 'node:crypto';
import { concatBytes, toHex } from '@nemea/core';
import type { Random } from '../ports/random.ts';

const TIMEOUT_MS = 30_000;
/** Used nonces remembered. Who makes it forget one gains a second look at a request, and no key that opens for it. */
const USED_MAX = 4_096;
const TIME_BYTES = 8;
const RANDOM_BYTES = 8;
const MAC_BYTES = 16;

/**
 * Nonces that cost nothing to give: each carries its time and a MAC over what it is for, so that strangers who ask for
 * many take no place from anybody. Good once, for a while.
 */
export class Nonces {
  readonly #random: Random;
  readonly #secret: Uint8Array;
  readonly #used = new Set<string>();

  constructor(random: Random) {
    this.#random = random;
    this.#secret = random(32);
  }

  /** A nonce (32 bytes) for a purpose, given as parts of fixed length. */
  give(purpose: readonly Uint8Array[], nowMs: number): Uint8Array {
    const time = new Uint8Array(TIME_BYTES);
    new DataView(time.buffer).setFloat64(0, nowMs);
    const head = concatBytes(time, this.#random(RANDOM_BYTES));
    return concatBytes(head, this.#mac(head, purpose));
  }

  /** Whether the nonce was given for this purpose, is fresh, and was not taken before. */
  take(nonce: Uint8Array, purpose: readonly Uint8Array[], nowMs: number): boolean {
    if (nonce.length !== TIME_BYTES + RANDOM_BYTES + MAC_BYTES) return false;
    const head = nonce.slice(0, TIME_BYTES + RANDOM_BYTES);
    if (!timingSafeEqual(nonce.slice(head.length), this.#mac(head, purpose))) return false;
    const ageMs = nowMs - new DataView(head.buffer).getFloat64(0);
    if (ageMs > TIMEOUT_MS || this.#used.has(toHex(nonce))) return false;
    this.#used.add(toHex(nonce));
    if (this.#used.size > USED_MAX) this.#used.delete(this.#used.values().next().value as string);
    return true;
  }

  #mac(head: Uint8Array, purpose: readonly Uint8Array[]): Uint8Array {
    const mac = createHmac('sha256', this.#secret).update(head);
    for (const part of purpose) mac.update(part);
    return new Uint8Array(mac.digest().subarray(0, MAC_BYTES));
  }
}
