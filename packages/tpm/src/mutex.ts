import { TpmError } from './errors.ts';

const WAITING_MAX = 256;

/** First come, first served; bounded, so that a stuck TPM shows as `TPM_CHANNEL_BUSY` and not as growing memory. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= WAITING_MAX) {
      throw new TpmError(
        'TPM_CHANNEL_BUSY',
        `tpm queue: got ${this.#waiting} waiting, want fewer than ${WAITING_MAX}`,
      );
    }
    this.#waiting++;
    const turn = this.#tail.then(work);
    const done = (): void => {
      this.#waiting--;
    };
    this.#tail = turn.then(done, done);
    return await turn;
  }
}
