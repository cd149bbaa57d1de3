/** Time as a node knows it. Everything in it that waits or measures does so through this port. */
export interface Clock {
  /** Milliseconds since the Unix epoch, as this machine believes; may jump, and may be wrong. */
  wallMs(): number;
  /** Milliseconds since some moment; never goes back. Deadlines are measured on it. */
  elapsedMs(): number;
  /** Runs `task` once, `delayMs` from now, unless it is cancelled before; at 0 as soon as what has arrived is taken in. */
  after(delayMs: number, task: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
