import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TurnQueue } from './queue.ts';

/** Work that ends when the test says so. */
function held(): { work: () => Promise<string>; end: (value: string) => void; readonly hasBegun: boolean } {
  const { promise, resolve } = Promise.withResolvers<string>();
  let hasBegun = false;
  return {
    work: () => {
      hasBegun = true;
      return promise;
    },
    end: resolve,
    get hasBegun() {
      return hasBegun;
    },
  };
}

describe('the queue', () => {
  it('runs one at a time, and starts the first at once', async () => {
    const queue = new TurnQueue(10);
    const [first, second] = [held(), held()];
    const results = Promise.all([queue.run(first.work), queue.run(second.work)]);
    expect([first.hasBegun, second.hasBegun]).toEqual([true, false]);
    first.end('a');
    second.end('b');
    expect(await results).toEqual(['a', 'b']);
  });

  it('keeps the order within a lane and takes lanes in turn, whatever they hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 60 }), async (lanes) => {
        const queue = new TurnQueue(100);
        const gate = held();
        const opened = queue.run(gate.work);
        const served: { lane: number; index: number }[] = [];
        const calls = lanes.map((lane, index) =>
          queue.run(async () => void served.push({ lane, index }), { lane }),
        );
        gate.end('open');
        await Promise.all([opened, ...calls]);
        expect(served).toEqual(roundRobin(lanes));
      }),
    );
  });

  it('is not stopped by work that fails, not even by work that throws before it begins', async () => {
    const queue = new TurnQueue(10);
    const failing = queue.run(() => {
      throw new Error('at once');
    });
    const later = queue.run(() => Promise.reject(new Error('later')));
    await expect(failing).rejects.toThrow('at once');
    await expect(later).rejects.toThrow('later');
    expect(await queue.run(() => Promise.resolve(1))).toBe(1);
  });

  it('refuses one more than may wait, in the lane that is full and in no other', async () => {
    const queue = new TurnQueue(2);
    const gate = held();
    const running = queue.run(gate.work);
    const waiting = [1, 2].map(() => queue.run(async () => 'waited', { lane: 'busy' }));
    await expect(queue.run(async () => 'refused', { lane: 'busy' })).rejects.toMatchObject({
      code: 'TPM_CHANNEL_BUSY',
      message: 'tpm queue: got 2 waiting, want fewer than 2',
    });
    const other = queue.run(async () => 'other', { lane: 'other' });
    gate.end('first');
    expect(await Promise.all([running, ...waiting, other])).toEqual(['first', 'waited', 'waited', 'other']);
  });

  it('refuses more lanes than it keeps', async () => {
    const queue = new TurnQueue(1);
    const gate = held();
    const running = queue.run(gate.work);
    const calls = Array.from({ length: 257 }, (_, lane) => queue.run(async () => lane, { lane }));
    const results = Promise.allSettled(calls);
    await expect(calls[256]).rejects.toMatchObject({ code: 'TPM_CHANNEL_BUSY' });
    gate.end('open');
    await running;
    expect((await results).filter(({ status }) => status === 'fulfilled')).toHaveLength(256);
  });

  it('forgets a waiting call that is cancelled, and its place is free again', async () => {
    const queue = new TurnQueue(1);
    const gate = held();
    const running = queue.run(gate.work);
    const controller = new AbortController();
    let hasRun = false;
    const cancelled = queue.run(
      async () => {
        hasRun = true;
      },
      { signal: controller.signal },
    );
    controller.abort(new Error('changed my mind'));
    await expect(cancelled).rejects.toMatchObject({
      code: 'TPM_CANCELLED',
      cause: { message: 'changed my mind' },
    });
    const next = queue.run(async () => 'next');
    gate.end('open');
    expect(await Promise.all([running, next])).toEqual(['open', 'next']);
    expect(hasRun).toBe(false);
  });

  it('lets the caller of running work go at once, and begins nothing else before that work has ended', async () => {
    const queue = new TurnQueue(10);
    const gate = held();
    const controller = new AbortController();
    let seen: string | undefined;
    const cancelled = queue.run(
      async (caller) => {
        await gate.work();
        seen = caller.gone?.code;
      },
      { signal: controller.signal },
    );
    const next = held();
    const after = queue.run(next.work);
    controller.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'TPM_CANCELLED' });
    expect(next.hasBegun).toBe(false);
    next.end('next');
    gate.end('open');
    expect(await after).toBe('next');
    expect(seen).toBe('TPM_CANCELLED');
  });

  it('counts waiting as part of a caller’s time', async () => {
    const queue = new TurnQueue(10);
    const gate = held();
    const running = queue.run(gate.work);
    await expect(queue.run(async () => 'too late', { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'TPM_CHANNEL_TIMEOUT',
    });
    gate.end('open');
    expect(await running).toBe('open');
  });

  it('runs nothing for a caller who had cancelled before', async () => {
    const queue = new TurnQueue(10);
    const run = queue.run(async () => expect.unreachable(), { signal: AbortSignal.abort() });
    await expect(run).rejects.toMatchObject({ code: 'TPM_CANCELLED' });
    expect(await queue.run(async () => 1)).toBe(1);
  });
});

/** The specification of fairness: in each round the first of every lane that still waits, oldest lane first. */
function roundRobin(lanes: readonly number[]): { lane: number; index: number }[] {
  const left = new Map<number, number[]>();
  for (const [index, lane] of lanes.entries()) left.set(lane, [...(left.get(lane) ?? []), index]);
  const order: { lane: number; index: number }[] = [];
  while (order.length < lanes.length) {
    for (const [lane, indices] of left) {
      const index = indices.shift();
      if (index !== undefined) order.push({ lane, index });
    }
  }
  return order;
}
