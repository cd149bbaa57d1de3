import { once } from 'node:events';
import type { Stream } from '@libp2p/interface';
import { multiaddrConnectionPair } from '@libp2p/utils';
import { concatBytes } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sparingYamux } from './muxer.ts';

/** A stream from one multiplexer to another, and how many packets have come back. */
async function openStream(): Promise<{ near: Stream; far: Stream; packetsBack(): number }> {
  const [nearEnd, farEnd] = multiaddrConnectionPair();
  let packetsBack = 0;
  nearEnd.addEventListener('message', () => packetsBack++);
  const open = sparingYamux({ enableKeepAlive: false, streamOptions: { maxStreamWindowSize: 1 << 20 } });
  const [nearMuxer, farMuxer] = [open().createStreamMuxer(nearEnd), open().createStreamMuxer(farEnd)];
  const arrived = once(farMuxer, 'stream');
  const near = await nearMuxer.createStream();
  const [{ detail: far }] = await arrived;
  return { near, far, packetsBack: () => packetsBack };
}

test('all that is sent arrives in order, also where the reader rests and far more than a window is sent', async () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 400_000 }));
  const steps = fc.array(fc.record({ size, rests: fc.boolean() }), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      const { near, far } = await openStream();
      const received: Uint8Array[] = [];
      let left = taken.reduce((sum, step) => sum + step.size, 0);
      const whole = new Promise<void>((resolve) => {
        far.addEventListener('message', ({ data }) => {
          received.push(data.subarray());
          left -= data.byteLength;
          if (left === 0) resolve();
        });
      });
      const sent = taken.map(({ size: bytes }, index) => new Uint8Array(bytes).fill(index + 1));
      for (const [index, { rests }] of taken.entries()) {
        if (rests) far.pause();
        near.send(sent[index] as Uint8Array);
        await new Promise(setImmediate);
        if (rests) far.resume();
      }
      await whole;
      expect(concatBytes(...received)).toEqual(concatBytes(...sent));
    }),
    { numRuns: 50 },
  );
});

test('small messages are not answered by packets', async () => {
  const { near, far, packetsBack } = await openStream();
  let left = 1_000;
  const whole = new Promise<void>((resolve) => {
    far.addEventListener('message', () => {
      if (--left === 0) resolve();
    });
  });
  for (let sent = 0; sent < 1_000; sent++) {
    near.send(new Uint8Array(100));
    await new Promise(setImmediate);
  }
  await whole;
  // The one that accepts the stream.
  expect(packetsBack()).toBe(1);
});
