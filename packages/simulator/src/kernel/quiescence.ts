/**
 * Resolves when no promise is left that could go on by itself. The microtask queue is empty before the event loop comes
 * to its next phase; nothing in a simulated world waits for the phases before it.
 */
export function quiescence(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
