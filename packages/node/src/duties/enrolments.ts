import { registeredSince } from '@nemea/membership';
import type { NodeContext } from '../context.ts';
import { placeInLine, type Repeats } from './turns.ts';

const ENROL_AGAIN_MS = 3_000;

/** Sees to it that whom layer 1 has registered becomes a member here [MEMB-15]. */
export class EnrolmentDuty {
  readonly #context: NodeContext;
  readonly #repeats: Repeats;

  constructor(context: NodeContext, repeats: Repeats) {
    this.#context = context;
    this.#repeats = repeats;
  }

  /** Each block gives the next member its turn, so that one that is down only delays. */
  onBlock(): void {
    const { ledger, propose, state } = this.#context;
    const { head } = ledger.history;
    if (registeredSince(state(), ledger.history, head).length === 0) return;
    if (placeInLine(state(), ledger.account, head) !== 0) return;
    this.#repeats.once('enrol', ENROL_AGAIN_MS, () => propose({ kind: 'enrol' }));
  }
}
