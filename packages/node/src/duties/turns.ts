import { type MembershipState, membersInOrder } from '@nemea/membership';
import type { Clock } from '../ports/clock.ts';

const REMEMBERED_MAX = 1_024;

/** A member's place in line for a duty that any member can do and one should. The first has place 0. */
export function placeInLine(state: MembershipState, account: string, turn: number): number {
  const order = membersInOrder(state.roster).map((member) => member.account);
  const place = order.indexOf(account);
  return place === -1 ? order.length : (place - (turn % order.length) + order.length) % order.length;
}

/** Duties that come up at every block are done again only after a while. */
export class Repeats {
  readonly #clock: Clock;
  readonly #doneAtMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  once(key: string, againAfterMs: number, duty: () => void): void {
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - (this.#doneAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < againAfterMs) return;
    this.#doneAtMs.set(key, nowMs);
    if (this.#doneAtMs.size > REMEMBERED_MAX)
      this.#doneAtMs.delete(this.#doneAtMs.keys().next().value as string);
    duty();
  }
}
