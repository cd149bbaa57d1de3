import { bytesEqual } from '@nemea/core';
import { AttestationError } from './errors.ts';
import { EventLogError, parseEventLog } from './eventlog/index.ts';
import { EVENTS_MAX, eventDigest, MEASURED_PCR, type MeasuredEvent, type PcrValue } from './evidence.ts';
import { replayBoot, replayLog, startDigest } from './replay.ts';

/** The part of a TPM that measuring needs: the SHA-256 bank. */
export interface PcrExtender {
  pcrExtend(pcr: number, digest: Uint8Array): Promise<void>;
}

/** The part of a TPM that reads registers. */
export interface PcrReader {
  pcrRead(pcrs: readonly number[]): Promise<readonly PcrValue[]>;
}

const WAITING_MAX = 256;

/** Where a node's log of PCR 14 is extended and kept. */
export interface MeasuredLogOptions {
  readonly tpm: PcrExtender & PcrReader;
  /** The firmware's event log, of a machine that measures its boot: shim extends PCR 14 before any node does. */
  readonly eventLog?: Uint8Array | undefined;
  /** What was measured since the TPM's last reset, as `persist` was given it. */
  readonly events?: readonly MeasuredEvent[];
  /** Called before the TPM is extended, so that no crash leaves a PCR value that nothing explains. */
  readonly persist?: (event: MeasuredEvent) => Promise<void>;
}

/**
 * The attester's measured log. Extending PCR 14 and appending are one critical section, so the log always replays
 * from what the boot left there to the register, and `exclusive` lets a quote see both at rest.
 */
export class MeasuredLog {
  readonly #tpm: PcrExtender;
  readonly #persist: (event: MeasuredEvent) => Promise<void>;
  readonly #events: MeasuredEvent[];
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  private constructor(options: MeasuredLogOptions, events: readonly MeasuredEvent[]) {
    this.#tpm = options.tpm;
    this.#persist = options.persist ?? (async () => {});
    this.#events = [...events];
  }

  /**
   * Opens the log on a running TPM: behind what the boot left in PCR 14, or where it stopped. What a crash kept from being
   * extended, the start of the log or a persisted event, is extended now. Throws `MEASURED_LOG_MISMATCH` when the register
   * holds anything else than the event log and these events explain.
   */
  static async open(options: MeasuredLogOptions): Promise<MeasuredLog> {
    const events = options.events ?? [];
    const boot = bootValue(options.eventLog);
    const [current] = await options.tpm.pcrRead([MEASURED_PCR]);
    if (current?.pcr !== MEASURED_PCR) throw mismatch('the TPM returned no value');
    if (bytesEqual(current.value, replayLog(events, boot))) return new MeasuredLog(options, events);
    const interrupted = events.at(-1);
    const before = interrupted === undefined ? boot : replayLog(events.slice(0, -1), boot);
    if (!bytesEqual(current.value, before)) {
      const ground = options.eventLog === undefined ? 'no event log' : 'what the event log says of the boot';
      throw mismatch(`${ground} and ${events.length} events do not replay to the register`);
    }
    await options.tpm.pcrExtend(
      MEASURED_PCR,
      interrupted === undefined ? startDigest() : eventDigest(interrupted),
    );
    return new MeasuredLog(options, events);
  }

  get events(): readonly MeasuredEvent[] {
    return [...this.#events];
  }

  /** Measures one event: persist, extend, append. Throws `MEASURED_LOG_FULL`, `MEASURED_LOG_BUSY`, or what the TPM throws. */
  async measure(event: Omit<MeasuredEvent, 'pcr'>): Promise<void> {
    const entry: MeasuredEvent = { pcr: MEASURED_PCR, ...event };
    await this.exclusive(async () => {
      if (this.#events.length >= EVENTS_MAX) {
        throw new AttestationError('MEASURED_LOG_FULL', `got ${EVENTS_MAX} events already`);
      }
      await this.#persist(entry);
      await this.#tpm.pcrExtend(MEASURED_PCR, eventDigest(entry));
      this.#events.push(entry);
    });
  }

  /** Runs `body` while nothing is measured through this log. `body` must not measure. */
  async exclusive<T>(body: (events: readonly MeasuredEvent[]) => Promise<T>): Promise<T> {
    if (this.#waiting >= WAITING_MAX) {
      throw new AttestationError('MEASURED_LOG_BUSY', `got ${WAITING_MAX} callers waiting already`);
    }
    this.#waiting++;
    const turn = this.#tail.then(() => body(this.events));
    const done = (): void => {
      this.#waiting--;
    };
    // A failed section is its own caller's error; the next one starts all the same.
    this.#tail = turn.then(done, done);
    return await turn;
  }
}

function bootValue(eventLog: Uint8Array | undefined): Uint8Array {
  try {
    const boot = replayBoot(eventLog === undefined ? null : parseEventLog(eventLog));
    if ('value' in boot) return boot.value;
    throw mismatch(boot.problem);
  } catch (cause) {
    if (!(cause instanceof EventLogError)) throw cause;
    throw mismatch(`the event log is malformed: ${cause.message}`, cause);
  }
}

function mismatch(message: string, cause?: EventLogError): AttestationError {
  return new AttestationError('MEASURED_LOG_MISMATCH', `PCR ${MEASURED_PCR}: ${message}`, { cause });
}
