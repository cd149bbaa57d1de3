/** Stops the program on a bug. Stays on in production; never used for bad input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** Ends a `switch` over a union: an unknown variant is a compile error, and at run time fails closed. */
export function assertNever(value: never): never {
  throw new Error(`assertion failed: unexpected variant ${JSON.stringify(value)}`);
}
