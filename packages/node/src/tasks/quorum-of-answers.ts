import type { Clock, Timer } from '../ports/clock.ts';

/**
 * The answers of all, or of `enough` and of those that follow within `graceMs`, in the order in which they were asked: who
 * keeps silent must not use up the time of everybody else. A request that failed gives undefined; none rejects.
 */
export function quorumOfAnswers<T>(
  clock: Clock,
  requests: readonly Promise<T | undefined>[],
  { enough, graceMs }: { readonly enough: number; readonly graceMs: number },
): Promise<T[]> {
  const answers: (T | undefined)[] = requests.map(() => undefined);
  return new Promise((resolve) => {
    const given = (): T[] => answers.filter((answer) => answer !== undefined);
    let open = requests.length;
    let grace: Timer | undefined;
    const finish = (): void => {
      grace?.cancel();
      resolve(given());
    };
    const settle = (): void => {
      if (open === 0) finish();
      else if (given().length >= enough) grace ??= clock.after(graceMs, finish);
    };
    settle();
    for (const [i, request] of requests.entries()) {
      void request.then((answer) => {
        open--;
        answers[i] = answer;
        settle();
      });
    }
  });
}
