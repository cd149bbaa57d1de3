import { NotOfForm, type Target } from './target.ts';

export interface Failure {
  readonly message: string;
  /** Failures of one kind are one finding: they come from one place in the code. */
  readonly kind: string;
}

export type Outcome = 'accepted' | 'refused' | Failure;

/** What a target does with an input, cost apart. */
export function checkInput(target: Target, input: Uint8Array): Outcome {
  try {
    target.run(Uint8Array.from(input));
    return 'accepted';
  } catch (error) {
    const isRefusal = [NotOfForm, ...target.refusals].some((refusal) => error instanceof refusal);
    return isRefusal && !hidesBug(error) ? 'refused' : describe(error);
  }
}

/** A `catch` that turns everything into a refusal also swallows faults of the package's own code. */
function hidesBug(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const isBug =
      cause instanceof TypeError || cause instanceof RangeError || cause instanceof ReferenceError;
    // What Node itself reports by such an error, such as text that is not UTF-8, has a code.
    if (isBug && !('code' in cause) && /\/packages\//.test(placeOf(cause) ?? '')) return true;
  }
  return false;
}

function describe(error: unknown): Failure {
  if (!(error instanceof Error)) return { kind: 'no error', message: `threw ${String(error)}` };
  let origin = error;
  while (origin.cause instanceof Error) origin = origin.cause;
  const place = placeOf(origin) ?? 'no place';
  const message = `${error.name}: ${error.message.split('\n')[0]}`;
  const because = origin === error ? '' : `, because of ${origin.name}: ${origin.message.split('\n')[0]}`;
  return { kind: `${origin.name} ${place}`, message: `${message}${because} (${place})` };
}

function placeOf(error: Error): string | undefined {
  const lines = error.stack?.split('\n') ?? [];
  return lines.find((line) => /^\s+at .*:\d+:\d+\)?$/.test(line) && !/node:/.test(line))?.trim();
}
