import type { Clock } from '../../ports/clock.ts';

/** The machine's own clocks and timers. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  after(delayMs, task) {
    if (delayMs === 0) {
      const immediate = setImmediate(task);
      return { cancel: () => clearImmediate(immediate) };
    }
    const timer = setTimeout(task, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
