import type { Connection, Stream, StreamHandler } from '@libp2p/interface';
import { streamPair } from '@libp2p/utils';
import type { Libp2p } from 'libp2p';
import { expect, test } from 'vitest';
import type { Protocol } from '../../ports/transport.ts';
import { type Frame, joinFrames } from './frame.ts';
import { type ServeOptions, serveProtocols } from './serve.ts';
import { Slots } from './slots.ts';
import { ECHO, until } from './test/support.ts';

const FRAMES = 200;
const burst = joinFrames(
  Array.from({ length: FRAMES }, (_, index): Frame => ({ kind: 'send', body: Uint8Array.of(index) })),
);

/** Serves one protocol on streams that the test opens: a host is only asked for its handler. */
async function served(
  handle: Protocol['handle'],
  options: Partial<ServeOptions> = {},
): Promise<{ openStream(): Promise<{ far: Stream; near: Stream }>; aborted: string[] }> {
  let handler: StreamHandler | undefined;
  const aborted: string[] = [];
  const host = {
    handle: async (_name: string, given: StreamHandler) => {
      handler = given;
    },
  } as Pick<Libp2p, 'handle'> as Libp2p;
  await serveProtocols(host, {
    protocols: { [ECHO]: { maxMessageBytes: 1_024, maxInFlight: 1, handle } },
    writeTimeoutMs: 1_000,
    slotsFor: () => [],
    onAborted: (_peer, code) => aborted.push(code),
    ...options,
  });
  const openStream = async () => {
    const [far, near] = await streamPair();
    await handler?.(near, { remotePeer: { toString: () => 'peer' } } as Connection);
    return { far, near };
  };
  return { openStream, aborted };
}

test('what a peer that said goodbye left waiting for the rate is dropped', async () => {
  let handled = 0;
  const { openStream, aborted } = await served(async () => void handled++, { requestsPerSecondMax: 5 });
  const { far, near } = await openStream();
  far.send(burst);
  await until(() => handled === 5);
  await far.close();
  await until(() => near.status !== 'open');
  // Seconds before the rate would have let the rest through.
  expect(handled).toBeLessThan(10);
  expect(aborted).toEqual([]);
});

test.each([
  ['said goodbye', (far: Stream) => far.close()],
  ['broke the stream', (far: Stream) => far.abort(new Error('no more'))],
])('what a peer that %s left waiting for a slot is dropped, and no slot is lost', async (_how, leave) => {
  const [own, all] = [new Slots(2), new Slots(1)];
  const answers: (() => void)[] = [];
  const { openStream } = await served(
    () => new Promise((resolve) => answers.push(() => resolve(undefined))),
    { slotsFor: () => [own, all] },
  );
  const { far, near } = await openStream();
  far.send(burst);
  await until(() => answers.length === 1);
  await leave(far);
  await until(() => near.status !== 'open');
  answers[0]?.();
  await until(() => !all.full);
  expect(answers).toHaveLength(1);
  await Promise.all([own.take(), own.take()]);
});

test('streams that a peer opens one after the other leave nothing behind that waits', async () => {
  const slots = new Slots(1);
  const answers: (() => void)[] = [];
  const { openStream } = await served(
    () => new Promise((resolve) => answers.push(() => resolve(undefined))),
    { slotsFor: () => [slots] },
  );
  const opened: Stream[] = [];
  for (let i = 0; i < 10; i++) {
    const { far, near } = await openStream();
    far.send(burst);
    opened.push(near);
    await until(() => opened.slice(0, -1).every(({ status }) => status === 'aborted'));
  }
  await until(() => answers.length === 1);
  answers[0]?.();
  await until(() => answers.length === 2);
  // The newest stream's: nothing of the eight between was waiting before it.
  opened.at(-1)?.abort(new Error('enough'));
  answers[1]?.();
  await until(() => !slots.full);
  expect(answers).toHaveLength(2);
});

test('what a peer said before its goodbye is done while nothing has to wait', async () => {
  let handled = 0;
  const { openStream } = await served(async () => void handled++);
  const { far, near } = await openStream();
  far.send(burst);
  await far.close();
  await until(() => near.status !== 'open');
  expect(handled).toBe(FRAMES);
});
