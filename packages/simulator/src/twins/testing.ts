import type { Kernel } from '../kernel/kernel.ts';

const PATIENCE_MS = 120_000;

/** Lets virtual time pass until the work is done. */
export async function drive<T>(kernel: Kernel, work: Promise<T>): Promise<T> {
  let isDone = false;
  const end = (): void => {
    isDone = true;
  };
  work.then(end, end);
  await kernel.runUntil(kernel.nowMs + PATIENCE_MS, () => isDone);
  return await work;
}
