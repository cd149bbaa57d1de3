import type { Clock } from '@nemea/node/ports';
import type { Kernel } from './kernel.ts';

/** 2026-06-01: certificates and rules that name a date mean one near it. */
const EPOCH_MS = Date.UTC(2026, 5, 1);

/** How a machine's clocks differ from true time; may change while it runs. */
export interface ClockError {
  /** How far its wall clock is off. */
  skewMs: number;
  /** How much faster its timers run: 0.01 is one per cent. */
  drift: number;
}

/** A machine's clocks in a simulated world. A machine that is off runs no timer. */
export function simulatedClock(kernel: Kernel, error: ClockError, isOn: () => boolean): Clock {
  let elapsedMs = 0;
  let seenMs = kernel.nowMs;
  const advance = (): number => {
    elapsedMs += (kernel.nowMs - seenMs) * (1 + error.drift);
    seenMs = kernel.nowMs;
    return elapsedMs;
  };
  return {
    wallMs: () => Math.floor(EPOCH_MS + kernel.nowMs * (1 + error.drift) + error.skewMs),
    elapsedMs: advance,
    after(delayMs, task) {
      const cancel = kernel.after(delayMs / (1 + error.drift), () => {
        if (isOn()) task();
      });
      return { cancel };
    },
  };
}
