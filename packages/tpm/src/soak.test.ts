import { describe, expect, it } from 'vitest';
import { killMidCommand, soakQuotes } from './test-soak.ts';

// The long versions are in soak.slow.ts, which also weighs the heap: `npm run soak`.
describe('one TPM for many callers', () => {
  it('quotes for 32 of them at once, fairly, and holds no more afterwards', async () => {
    const { quotes, before, after, least } = await soakQuotes(512);
    expect(after).toMatchObject({ objects: before.objects, sessions: before.sessions });
    // The key's own sessions came and went; the one that keeps passwords off the wire stays.
    expect(before.sessions).toBe(1);
    expect(least).toBeGreaterThanOrEqual(quotes / 32 - 1);
  });

  it('gives a coded error to the caller on whose command it is killed, and answers the next', async () => {
    const { kills, codes, waited } = await killMidCommand(5);
    expect(codes).toEqual({ TPM_CHANNEL_FAILED: kills });
    expect(waited).toBe(2 * kills);
  });
});
