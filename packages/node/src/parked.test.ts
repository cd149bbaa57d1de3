import { expect, test } from 'vitest';
import { Parked } from './parked.ts';

const limits = { itemsMax: 3, bytesMax: 100 };

function parkedAfter(...items: [peer: string, bytes: number][]): string[] {
  const parked = new Parked<{ peer: string; bytes: number; name: string }>(limits);
  for (const [at, [peer, bytes]] of items.entries()) parked.add({ peer, bytes, name: `${peer}${at}` });
  return parked.takeAll().map(({ name }) => name);
}

test('all that fits waits, in the order of arrival, and is handed out once', () => {
  expect(parkedAfter(['a', 50], ['b', 100], ['a', 50])).toEqual(['a0', 'b1', 'a2']);
  const parked = new Parked(limits);
  parked.add({ peer: 'a', bytes: 1 });
  expect([parked.takeAll().length, parked.takeAll().length]).toEqual([1, 0]);
});

test('beyond its share a peer loses its oldest, and nobody else loses any [CONS-23]', () => {
  expect(parkedAfter(['a', 1], ['b', 1], ['a', 1], ['a', 1], ['a', 1])).toEqual(['b1', 'a2', 'a3', 'a4']);
});

test('few that are large are as many as many that are small [CONS-23]', () => {
  expect(parkedAfter(['a', 60], ['b', 60], ['a', 60])).toEqual(['b1', 'a2']);
  expect(parkedAfter(['a', 30], ['a', 30], ['a', 90])).toEqual(['a2']);
});
