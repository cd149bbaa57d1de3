import { TpmError } from './errors.ts';

/** What a caller asks of its turn: whose it is, how long it may take, and how it is taken back. */
export interface TurnTerms {
  /** Lanes take turns, whatever they hold: any value that tells callers apart. Calls without one share a lane. */
  readonly lane?: unknown;
  /** Limit from the call to its end, waiting included. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The one who waits for a turn's result. */
export interface Caller {
  /** Why nobody waits any more: cancelled, or out of time. */
  readonly gone: TpmError | undefined;
}

interface Turn {
  readonly lane: unknown;
  take(): Promise<void>;
}

const LANES_MAX = 256;

/**
 * One at a time, in order within a lane, round robin between lanes; bounded, so that a stuck TPM shows as
 * `TPM_CHANNEL_BUSY` and not as growing memory. A caller that gives up is let go at once: a turn that waits leaves the
 * queue, and one that runs is run to its end, because a TPM answers what it was asked.
 */
export class TurnQueue {
  /** In the order in which lanes are served next. */
  readonly #lanes = new Map<unknown, Turn[]>();
  readonly #waitingMax: number;
  #isServing = false;

  /** `waitingMax` is for each lane, so that a caller can crowd out nobody but itself. */
  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** Throws `TPM_CHANNEL_BUSY`, `TPM_CHANNEL_TIMEOUT`, `TPM_CANCELLED`, and what `work` throws. */
  run<T>(work: (caller: Caller) => Promise<T>, terms: TurnTerms = {}): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const caller: { gone: TpmError | undefined } = { gone: undefined };
    const turn: Turn = {
      lane: terms.lane,
      async take() {
        try {
          resolve(await work(caller));
        } catch (error) {
          reject(error);
        } finally {
          release?.();
        }
      },
    };
    const release = watch(terms, (reason) => {
      caller.gone = reason;
      this.#leave(turn);
      reject(reason);
    });
    if (caller.gone === undefined) this.#enter(turn, release, reject);
    return promise;
  }

  #enter(turn: Turn, release: (() => void) | undefined, reject: (error: TpmError) => void): void {
    if (!this.#isServing) {
      void this.#serve(turn);
      return;
    }
    const lane = this.#lanes.get(turn.lane);
    if ((lane?.length ?? 0) >= this.#waitingMax || (lane === undefined && this.#lanes.size >= LANES_MAX)) {
      release?.();
      reject(busy(lane?.length, this.#waitingMax));
    } else if (lane === undefined) this.#lanes.set(turn.lane, [turn]);
    else lane.push(turn);
  }

  #leave(turn: Turn): void {
    const lane = this.#lanes.get(turn.lane);
    const index = lane?.indexOf(turn) ?? -1;
    if (lane === undefined || index < 0) return;
    lane.splice(index, 1);
    if (lane.length === 0) this.#lanes.delete(turn.lane);
  }

  async #serve(first: Turn): Promise<void> {
    this.#isServing = true;
    for (let turn: Turn | undefined = first; turn !== undefined; turn = this.#next()) await turn.take();
    this.#isServing = false;
  }

  #next(): Turn | undefined {
    for (const [name, lane] of this.#lanes) {
      const turn = lane.shift();
      this.#lanes.delete(name);
      if (lane.length > 0) this.#lanes.set(name, lane);
      return turn;
    }
    return undefined;
  }
}

/** Calls `giveUp` at most once, when the caller's time is over or it cancels. Returns what ends the watch. */
function watch(
  { timeoutMs, signal }: TurnTerms,
  giveUp: (reason: TpmError) => void,
): (() => void) | undefined {
  if (timeoutMs === undefined && signal === undefined) return undefined;
  const cancel = (): void => end(new TpmError('TPM_CANCELLED', 'cancelled by the caller', cause(signal)));
  const expire = (): void =>
    end(new TpmError('TPM_CHANNEL_TIMEOUT', `no tpm response within ${timeoutMs} ms`));
  const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
  const release = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', cancel);
  };
  function end(reason: TpmError): void {
    release();
    giveUp(reason);
  }
  if (signal?.aborted === true) cancel();
  else signal?.addEventListener('abort', cancel);
  return release;
}

function cause(signal: AbortSignal | undefined): { cause?: unknown } {
  return signal?.reason === undefined ? {} : { cause: signal.reason };
}

function busy(waiting: number | undefined, max: number): TpmError {
  const got = waiting === undefined ? `${LANES_MAX} lanes` : `${waiting} waiting`;
  const want = waiting === undefined ? LANES_MAX : max;
  return new TpmError('TPM_CHANNEL_BUSY', `tpm queue: got ${got}, want fewer than ${want}`);
}
