import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Kernel } from './kernel.ts';
import { EventQueue } from './queue.ts';
import { seededRandom } from './random.ts';

test('events come by time, and those of one time in the order in which they were planned', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (times) => {
      const queue = new EventQueue();
      for (const [order, atMs] of times.entries()) queue.push({ atMs, order, run: undefined });
      const got: [number, number][] = [];
      for (let event = queue.pop(); event !== undefined; event = queue.pop())
        got.push([event.atMs, event.order]);
      const want = times.map((atMs, order): [number, number] => [atMs, order]);
      expect(got).toEqual(want.sort(([a, i], [b, j]) => a - b || i - j));
    }),
  );
});

test('random numbers follow from the seed, stay within their bounds, and are apart by name', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: -5, max: 5 }), fc.nat(100), (seed, min, span) => {
      const [a, b] = [seededRandom(seed), seededRandom(seed)];
      for (let i = 0; i < 20; i++) {
        const value = a.integer(min, min + span);
        expect(value).toBe(b.integer(min, min + span));
        expect(value).toBeGreaterThanOrEqual(min);
        expect(value).toBeLessThanOrEqual(min + span);
      }
      expect(a.fork('x').bytes(16)).toEqual(b.fork('x').bytes(16));
      expect(a.fork('x').bytes(16)).not.toEqual(a.fork('y').bytes(16));
    }),
  );
});

test('every promise that an event wakes has run before the next event', async () => {
  const kernel = new Kernel('promises');
  const seen: string[] = [];
  kernel.after(1, () => {
    void (async () => {
      for (let depth = 0; depth < 50; depth++) await undefined;
      seen.push('first');
    })();
  });
  kernel.after(1, () => seen.push('second'));
  await kernel.runUntil(2);
  expect(seen).toEqual(['first', 'second']);
});

test('what was taken back does not happen, and time comes to where it was asked to', async () => {
  const kernel = new Kernel('cancelled');
  let ran = 0;
  const cancel = kernel.after(5, () => ran++);
  cancel();
  expect(await kernel.runUntil(10)).toBe(false);
  expect([ran, kernel.nowMs]).toEqual([0, 10]);
});
