import { toHex } from '@nemea/core';
import type { Phase } from '@nemea/membership';
import type { PhaseStates } from '../attestation/target.ts';
import type { Clock } from '../ports/clock.ts';

/** Runs that this node answers for at a time; one machine runs one, a few more may be closing. */
const RUNS_MAX = 8;

/**
 * What the executor's machine is in, phase by phase, for the verifiers that ask. A phase's digest is fixed when the
 * phase begins; a challenge that comes a moment early waits for it.
 */
export class RunPhases implements PhaseStates {
  readonly #runs = new Map<string, { digests: Map<Phase, Uint8Array>; waiting: (() => void)[] }>();
  readonly #clock: Clock;
  readonly #isVerifier: (taskId: Uint8Array, attempt: number, account: string) => boolean;

  constructor(clock: Clock, isVerifier: (taskId: Uint8Array, attempt: number, account: string) => boolean) {
    this.#clock = clock;
    this.#isVerifier = isVerifier;
  }

  isVerifier(taskId: Uint8Array, attempt: number, account: string): boolean {
    return this.#isVerifier(taskId, attempt, account);
  }

  begin(taskId: Uint8Array, attempt: number, phase: Phase, stateDigest: Uint8Array): void {
    const key = keyOf(taskId, attempt);
    const run = this.#runs.get(key) ?? { digests: new Map(), waiting: [] };
    run.digests.set(phase, stateDigest);
    this.#runs.set(key, run);
    if (this.#runs.size > RUNS_MAX) this.#runs.delete(this.#runs.keys().next().value as string);
    for (const wake of run.waiting.splice(0)) wake();
  }

  async stateDigest(
    taskId: Uint8Array,
    attempt: number,
    phase: Phase,
    timeoutMs: number,
  ): Promise<Uint8Array | undefined> {
    const run = this.#runs.get(keyOf(taskId, attempt));
    if (run === undefined) return undefined;
    if (!run.digests.has(phase)) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.after(timeoutMs, resolve);
        run.waiting.push(() => {
          timer.cancel();
          resolve();
        });
      });
    }
    return run.digests.get(phase);
  }
}

function keyOf(taskId: Uint8Array, attempt: number): string {
  return `${toHex(taskId)}:${attempt}`;
}
