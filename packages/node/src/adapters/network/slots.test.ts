import { expect, test } from 'vitest';
import { Rate } from '../../peers/rate.ts';
import { Slots } from './slots.ts';

test('slots are given to waiters in order of arrival', async () => {
  const slots = new Slots(1);
  const order: number[] = [];
  await slots.take();
  const waiting = [1, 2, 3].map((name) => slots.take().then(() => order.push(name)));
  expect(slots.full).toBe(true);
  for (let index = 0; index < 3; index++) slots.give();
  await Promise.all(waiting);
  expect(order).toEqual([1, 2, 3]);
  slots.give();
  expect(slots.full).toBe(false);
});

test('a waiter that leaves takes no slot from those behind it, nor one that was free', async () => {
  const slots = new Slots(1);
  const gone = new AbortController();
  await slots.take(gone.signal);
  const leaving = slots.take(gone.signal).catch((error: Error) => error.message);
  const next = slots.take(new AbortController().signal);
  gone.abort(new Error('gone'));
  expect(await leaving).toBe('gone');
  await expect(slots.take(gone.signal)).rejects.toThrow('gone');
  slots.give();
  await next;
  slots.give();
  expect(slots.full).toBe(false);
});

test('a burst up to the rate passes at once and the rest is spread over time', () => {
  const rate = new Rate(4, 0);
  expect([0, 0, 0, 0, 0, 0].map((nowMs) => rate.take(nowMs))).toEqual([0, 0, 0, 0, 250, 500]);
  expect(rate.take(1000)).toBe(0);
});

test('a long pause earns no more than one burst', () => {
  const rate = new Rate(2, 0);
  expect([1_000_000, 1_000_000, 1_000_000].map((nowMs) => rate.take(nowMs))).toEqual([0, 0, 500]);
});
