/** What a peer brought that cannot be looked at yet. */
export interface ParkedItem {
  readonly peer: string;
  readonly bytes: number;
}

/** What waits, each peer's within a share of its own: beyond it the oldest of that peer goes, and nobody else's. */
export class Parked<Item extends ParkedItem> {
  readonly #itemsMax: number;
  readonly #bytesMax: number;
  #waiting: Item[] = [];

  constructor({ itemsMax, bytesMax }: { itemsMax: number; bytesMax: number }) {
    this.#itemsMax = itemsMax;
    this.#bytesMax = bytesMax;
  }

  add(item: Item): void {
    const same = this.#waiting.filter(({ peer }) => peer === item.peer);
    let bytes = same.reduce((sum, other) => sum + other.bytes, item.bytes);
    const dropped = new Set<Item>();
    for (const oldest of same) {
      if (same.length - dropped.size < this.#itemsMax && bytes <= this.#bytesMax) break;
      dropped.add(oldest);
      bytes -= oldest.bytes;
    }
    if (dropped.size > 0) this.#waiting = this.#waiting.filter((other) => !dropped.has(other));
    this.#waiting.push(item);
  }

  /** All that waits, in the order of arrival; whoever is still not ready is added again. */
  takeAll(): Item[] {
    return this.#waiting.splice(0);
  }
}
