import { describe, expect, it } from 'vitest';
import { killMidCommand, soakQuotes } from './test-soak.ts';

const BYTES_PER_QUOTE_MAX = 40;

describe('one TPM for many callers', () => {
  it('signs 100,000 quotes for 32 of them, and holds no more afterwards', async () => {
    const startMs = performance.now();
    const { quotes, callers, before, after, least } = await soakQuotes(100_000);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
    console.log(`${quotes} quotes for ${callers} concurrent callers in ${seconds} s, each checked`);
    console.log(
      `objects ${before.objects} -> ${after.objects}, sessions ${before.sessions} -> ${after.sessions}`,
    );
    console.log(`heap ${mb(before.heapBytes)} -> ${mb(after.heapBytes)} MB after collection`);
    console.log(`slowest caller at ${least} of ${quotes / callers} when the fastest was done`);
    expect(after).toMatchObject({ objects: before.objects, sessions: before.sessions });
    // Whatever a call left behind would weigh more: a promise, a listener, an entry of a map.
    expect((after.heapBytes - before.heapBytes) / quotes).toBeLessThan(BYTES_PER_QUOTE_MAX);
    expect(least).toBeGreaterThanOrEqual(quotes / callers - 1);
  });

  it('is killed mid-command 100 times: each caller gets a coded error, and the next command an answer', async () => {
    const { kills, codes, waited } = await killMidCommand(100);
    console.log(
      `${kills} kills mid-command, half while working, half before it began: ${JSON.stringify(codes)}`,
    );
    console.log(`${waited} calls that waited behind them and ${kills} that came next were answered`);
    expect(codes).toEqual({ TPM_CHANNEL_FAILED: kills });
    expect(waited).toBe(2 * kills);
  });
});

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
