import { describe, expect, it } from 'vitest';
import type { Clock } from '../ports/clock.ts';
import { quorumOfAnswers } from './quorum-of-answers.ts';

const GRACE = { enough: 2, graceMs: 1_000 };

/** A clock whose only timer ends when the test says so. */
function stoppedClock() {
  const timers: { delayMs: number; end: () => void; isCancelled: boolean }[] = [];
  const clock: Clock = {
    wallMs: () => 0,
    elapsedMs: () => 0,
    after(delayMs, end) {
      const timer = { delayMs, end, isCancelled: false };
      timers.push(timer);
      return {
        cancel: () => {
          timer.isCancelled = true;
        },
      };
    },
  };
  return { clock, timers };
}

const silence = () => new Promise<undefined>(() => undefined);
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('answers of several that are asked', () => {
  it('are those of all when all answer, in the order in which they were asked', async () => {
    const late = settled().then(() => 'a');
    const { clock } = stoppedClock();
    expect(await quorumOfAnswers(clock, [late, Promise.resolve('b')], GRACE)).toEqual(['a', 'b']);
    expect(await quorumOfAnswers(clock, [], GRACE)).toEqual([]);
  });

  it('are waited for no longer than the grace once there are enough', async () => {
    const { clock, timers } = stoppedClock();
    const late = settled().then(() => 'c');
    const requests = [silence(), Promise.resolve('a'), Promise.resolve('b'), late];
    const answers = quorumOfAnswers<string>(clock, requests, GRACE);
    await settled();
    await late;
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([GRACE.graceMs]);
    timers[0]?.end();
    expect(await answers).toEqual(['a', 'b', 'c']);
  });

  it('leave no timer behind when all have answered within the grace', async () => {
    const { clock, timers } = stoppedClock();
    const late = settled().then(() => 'c');
    expect(await quorumOfAnswers(clock, [Promise.resolve('a'), Promise.resolve('b'), late], GRACE)).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(timers.map(({ isCancelled }) => isCancelled)).toEqual([true]);
  });

  it('are waited for to the end while there are too few, and failures are none', async () => {
    const { clock, timers } = stoppedClock();
    const failed = Promise.resolve(undefined);
    expect(await quorumOfAnswers(clock, [failed, Promise.resolve('a'), failed], GRACE)).toEqual(['a']);
    expect(timers).toEqual([]);
  });
});
