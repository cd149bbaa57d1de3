import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Cost {
  readonly cpuMs: number;
  /** What was allocated and not collected meanwhile; 0 after a collection. */
  readonly allocatedBytes: number;
}

/** Reading the CPU clock costs as much as a small input: below this the wall clock says enough. */
const SLOW_MS = 5;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/**
 * Collects all garbage now: what an allocation adds shows only when no collection hides it. The buffers of the first are
 * freed by another thread, which a busy machine lets wait; the second begins once that is done.
 */
export function collectGarbage(): void {
  collect();
  collect();
}

/** What `work` costs this thread, whatever else the machine does. */
export function measure(work: () => void): Cost {
  const before = getHeapStatistics();
  const cpuBefore = process.threadCpuUsage();
  const startedMs = performance.now();
  work();
  const wallMs = performance.now() - startedMs;
  const cpuMs = wallMs < SLOW_MS ? wallMs : milliseconds(process.threadCpuUsage(cpuBefore));
  const after = getHeapStatistics();
  const heap = after.used_heap_size - before.used_heap_size;
  const external = after.external_memory - before.external_memory;
  return { cpuMs, allocatedBytes: Math.max(0, heap) + Math.max(0, external) };
}

function milliseconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1000;
}
