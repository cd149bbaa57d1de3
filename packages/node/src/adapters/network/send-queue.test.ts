import { expect, test } from 'vitest';
import { SendQueue } from './send-queue.ts';

const send = (length: number) => ({ kind: 'send' as const, body: new Uint8Array(length) });
const request = (id: number, length = 1) => ({ kind: 'request' as const, id, body: new Uint8Array(length) });

test('a full queue gives up its oldest plain message for the new one', () => {
  const queue = new SendQueue({ messagesMax: 2, bytesMax: 100 });
  queue.push(send(1));
  queue.push(send(2));
  expect(queue.push(send(3))).toEqual({ accepted: true, dropped: 1 });
  expect(queue.take(100).map(({ body }) => body.length)).toEqual([2, 3]);
});

test('bytes are bounded as well as messages', () => {
  const queue = new SendQueue({ messagesMax: 100, bytesMax: 10 });
  queue.push(send(4));
  queue.push(send(4));
  expect(queue.push(send(9))).toEqual({ accepted: true, dropped: 2 });
  expect(queue.length).toBe(1);
});

test('a request is never dropped for what comes after it', () => {
  const queue = new SendQueue({ messagesMax: 2, bytesMax: 100 });
  queue.push(request(1));
  queue.push(send(1));
  expect(queue.push(request(2))).toEqual({ accepted: true, dropped: 1 });
  expect(queue.push(send(1))).toEqual({ accepted: false, dropped: 0 });
  expect(queue.push(request(3))).toEqual({ accepted: false, dropped: 0 });
});

test('a request that nobody waits for any more frees its place', () => {
  const queue = new SendQueue({ messagesMax: 1, bytesMax: 100 });
  queue.push(request(1, 100));
  queue.cancel(1);
  queue.cancel(1);
  expect(queue.push(request(2, 100))).toEqual({ accepted: true, dropped: 0 });
});

test('a message larger than the whole queue empties it of plain messages only', () => {
  const queue = new SendQueue({ messagesMax: 10, bytesMax: 10 });
  queue.push(request(1));
  expect(queue.push(send(11))).toEqual({ accepted: false, dropped: 0 });
  expect(queue.length).toBe(1);
});

test('frames leave together as far as they fit, and one that fits nowhere leaves alone', () => {
  const queue = new SendQueue({ messagesMax: 10, bytesMax: 100 });
  for (const length of [8, 3, 4, 4]) queue.push(send(length));
  const lengths = () => queue.take(7).map(({ body }) => body.length);
  expect([lengths(), lengths(), lengths(), lengths()]).toEqual([[8], [3, 4], [4], []]);
  expect(queue.push(send(100))).toEqual({ accepted: true, dropped: 0 });
});
