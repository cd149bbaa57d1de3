import type { Stream } from '@libp2p/interface';
import { streamPair } from '@libp2p/utils';
import { fromUtf8 } from '@nemea/core';
import { expect, test } from 'vitest';
import { type Frame, joinFrames } from './frame.ts';
import { FramedStream } from './framed-stream.ts';
import { codeOf, until } from './test/support.ts';

const BURST_BYTES = 64 * 1024;
const hello: Frame = { kind: 'send', body: fromUtf8('hello') };

async function pair(): Promise<{ far: Stream; near: Stream; framed: FramedStream }> {
  const [far, near] = await streamPair();
  return { far, near, framed: new FramedStream(near, { maxMessageBytes: 1024, writeTimeoutMs: 1_000 }) };
}

test('what nobody reads is bounded, however small the frames are that it is cut into', async () => {
  const { far, near, framed } = await pair();
  far.send(joinFrames([hello]));
  expect(await framed.read()).toEqual(hello);
  let received = 0;
  near.addEventListener('message', ({ data }) => {
    received += data.byteLength;
  });
  // A length of zero, over and over: each of these frames has no bytes at all.
  for (let sent = 0; sent < 5 << 20; sent += BURST_BYTES) {
    if (!far.send(new Uint8Array(BURST_BYTES))) await until(() => !far.writableNeedsDrain);
  }
  await until(() => received === 5 << 20);
  expect(await codeOf(framed.read())).toBe('QUEUE_FULL');
});

test('frames that came before the peer said goodbye are read', async () => {
  const { far, framed } = await pair();
  far.send(joinFrames([hello, hello]));
  await far.close();
  await until(() => !framed.open);
  expect(await framed.read()).toEqual(hello);
  expect(await framed.read()).toEqual(hello);
  expect(await codeOf(framed.read())).toBe('STREAM_CLOSED');
});
