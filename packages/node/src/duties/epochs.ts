import { errorCode } from '@nemea/core';
import { epochToClose, isEpochRipe } from '@nemea/membership';
import type { Attestor } from '../attestation/attestor.ts';
import type { NodeContext } from '../context.ts';
import { placeInLine, type Repeats } from './turns.ts';

/** An epoch is closed from this block of the next one on, so that its last results are in the order. */
const CLOSE_AFTER_BLOCKS = 1;
const CLOSE_AGAIN_MS = 3_000;

/** Attests in every epoch, and sees to it that epochs are closed. */
export class EpochDuty {
  readonly #context: NodeContext;
  readonly #attestor: Attestor;
  readonly #repeats: Repeats;
  #epochSeen = -1;

  constructor(context: NodeContext, attestor: Attestor, repeats: Repeats) {
    this.#context = context;
    this.#attestor = attestor;
    this.#repeats = repeats;
  }

  onBlock(): void {
    this.#attest();
    this.#close();
  }

  #attest(): void {
    const { ledger, logger, self } = this.#context;
    const { history } = ledger;
    const epoch = history.epochOf(history.head);
    if (epoch === this.#epochSeen) return;
    this.#epochSeen = epoch;
    if (self() === undefined) return;
    void this.#attestor.attestEpoch(epoch).catch((error: unknown) => {
      logger.error({ epoch, code: errorCode(error), err: error }, 'attestation of an epoch failed');
    });
  }

  /** Each block gives the next member its turn to close what is due, so that one that is down only delays. */
  #close(): void {
    const { ledger, propose } = this.#context;
    const { history } = ledger;
    const { head } = history;
    const asOfHead = { ...this.#context.state(), ledgerBlock: head };
    const epoch = epochToClose(asOfHead, history);
    const boundary = history.epochBoundary(history.epochOf(head)) ?? head;
    if (epoch === undefined || head < boundary + CLOSE_AFTER_BLOCKS) return;
    if (!isEpochRipe(asOfHead, history, epoch)) return;
    if (placeInLine(asOfHead, ledger.account, epoch + head) !== 0) return;
    this.#repeats.once(`close-epoch:${epoch}`, CLOSE_AGAIN_MS, () => propose({ kind: 'close-epoch', epoch }));
  }
}
