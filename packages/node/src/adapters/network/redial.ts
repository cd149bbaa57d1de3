import { randomInt } from 'node:crypto';
import type { PeerAddress } from '../../peers/peer-address.ts';

export interface RedialOptions {
  readonly self: string;
  readonly firstMs: number;
  readonly maxMs: number;
  readonly yieldMs: number;
  isWanted(peer: string): boolean;
  isConnected(peer: string): boolean;
  /** A rejection means: try again later. Its reason was reported where it arose. */
  dial(address: PeerAddress): Promise<void>;
}

interface Target {
  address: PeerAddress;
  waitMs: number;
  dialling: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Keeps trying to reach a set of peers, with growing, jittered waits. Of two peers the one with the lower id dials at
 * once and the other yields for a while, so that a pair seldom ends up with two connections.
 */
export class Redial {
  readonly #options: RedialOptions;
  readonly #targets = new Map<string, Target>();
  #closed = false;

  constructor(options: RedialOptions) {
    this.#options = options;
  }

  setTargets(addresses: readonly PeerAddress[]): void {
    const wanted = new Map(addresses.map((address) => [address.peer, address]));
    wanted.delete(this.#options.self);
    for (const peer of [...this.#targets.keys()]) {
      if (!wanted.has(peer)) this.#remove(peer);
    }
    for (const [peer, address] of wanted) {
      const known = this.#targets.get(peer);
      if (known?.address.multiaddr.equals(address.multiaddr)) continue;
      if (known) this.#remove(peer);
      const target: Target = { address, waitMs: this.#options.firstMs, dialling: false, timer: undefined };
      this.#targets.set(peer, target);
      this.#schedule(target, this.#yields(peer) ? this.#options.yieldMs : 0);
    }
  }

  /** The peer is gone: start over with the shortest wait. */
  onDisconnected(peer: string): void {
    const target = this.#targets.get(peer);
    if (!target || target.dialling) return;
    target.waitMs = this.#options.firstMs;
    this.#schedule(target, target.waitMs + (this.#yields(peer) ? this.#options.yieldMs : 0));
  }

  close(): void {
    this.#closed = true;
    for (const peer of [...this.#targets.keys()]) this.#remove(peer);
  }

  #yields(peer: string): boolean {
    return this.#options.self > peer;
  }

  #remove(peer: string): void {
    clearTimeout(this.#targets.get(peer)?.timer);
    this.#targets.delete(peer);
  }

  #schedule(target: Target, delayMs: number): void {
    if (this.#closed || this.#targets.get(target.address.peer) !== target) return;
    clearTimeout(target.timer);
    const jitterMs = delayMs === 0 ? 0 : randomInt(Math.ceil(delayMs / 2) + 1);
    target.timer = setTimeout(() => this.#attempt(target), delayMs + jitterMs);
  }

  #attempt(target: Target): void {
    const { peer } = target.address;
    if (this.#options.isConnected(peer)) return;
    if (!this.#options.isWanted(peer)) {
      this.#backOff(target);
      return;
    }
    target.dialling = true;
    this.#options.dial(target.address).then(
      () => {
        target.dialling = false;
        if (this.#closed) return;
        target.waitMs = this.#options.firstMs;
        // The link may have come and gone while the dial was under way.
        if (!this.#options.isConnected(peer)) this.#backOff(target);
      },
      () => {
        target.dialling = false;
        this.#backOff(target);
      },
    );
  }

  #backOff(target: Target): void {
    this.#schedule(target, target.waitMs);
    target.waitMs = Math.min(target.waitMs * 2, this.#options.maxMs);
  }
}
