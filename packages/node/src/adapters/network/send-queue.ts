import type { Frame } from './frame.ts';

type Outgoing = Extract<Frame, { kind: 'send' | 'request' }>;

/** Frames waiting for one stream, in order. When full, the oldest plain message goes first; requests stay. */
export class SendQueue {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #frames: Outgoing[] = [];
  #bytes = 0;

  constructor(limits: { messagesMax: number; bytesMax: number }) {
    this.#messagesMax = limits.messagesMax;
    this.#bytesMax = limits.bytesMax;
  }

  get length(): number {
    return this.#frames.length;
  }

  /** How many plain messages were dropped to make room, and whether the frame got in. */
  push(frame: Outgoing): { accepted: boolean; dropped: number } {
    let dropped = 0;
    while (!this.#fits(frame)) {
      const oldest = this.#frames.findIndex((waiting) => waiting.kind === 'send');
      if (oldest === -1) return { accepted: false, dropped };
      this.#removeAt(oldest);
      dropped += 1;
    }
    this.#frames.push(frame);
    this.#bytes += frame.body.length;
    return { accepted: true, dropped };
  }

  /** The oldest, and those after it that fit beside it into so many bytes. */
  take(bytesMax: number): Outgoing[] {
    const taken: Outgoing[] = [];
    let bytes = 0;
    for (const frame of this.#frames) {
      bytes += frame.body.length;
      if (taken.length > 0 && bytes > bytesMax) break;
      taken.push(frame);
    }
    this.#frames.splice(0, taken.length);
    for (const { body } of taken) this.#bytes -= body.length;
    return taken;
  }

  /** Forgets a request that nobody waits for any more. */
  cancel(id: number): void {
    const index = this.#frames.findIndex((waiting) => waiting.kind === 'request' && waiting.id === id);
    if (index !== -1) this.#removeAt(index);
  }

  /** Empties the queue; returns how many plain messages were lost. */
  clear(): number {
    const lost = this.#frames.filter((waiting) => waiting.kind === 'send').length;
    this.#frames.length = 0;
    this.#bytes = 0;
    return lost;
  }

  #fits(frame: Outgoing): boolean {
    return this.#frames.length < this.#messagesMax && this.#bytes + frame.body.length <= this.#bytesMax;
  }

  #removeAt(index: number): void {
    const [frame] = this.#frames.splice(index, 1);
    if (frame) this.#bytes -= frame.body.length;
  }
}
