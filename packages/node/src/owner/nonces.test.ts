import { describe, expect, it } from 'vitest';
import { systemRandom } from '../adapters/clock/system-random.ts';
import { Nonces } from './nonces.ts';

const task = new Uint8Array(32).fill(1);
const capsule = new Uint8Array(32).fill(2);

describe('nonces', () => {
  it('are good once, for what they were given for', () => {
    const nonces = new Nonces(systemRandom);
    const nonce = nonces.give([task, capsule], 1_000);
    expect(nonce).toHaveLength(32);
    expect(nonces.take(nonce, [capsule, task], 1_000)).toBe(false);
    expect(nonces.take(nonce, [task, capsule], 1_000)).toBe(true);
    expect(nonces.take(nonce, [task, capsule], 1_000)).toBe(false);
  });

  it('expire', () => {
    const nonces = new Nonces(systemRandom);
    expect(nonces.take(nonces.give([task, capsule], 0), [task, capsule], 30_001)).toBe(false);
  });

  it('of another agent, made up or cut short are worth nothing', () => {
    const nonces = new Nonces(systemRandom);
    expect(nonces.take(new Nonces(systemRandom).give([task, capsule], 0), [task, capsule], 0)).toBe(false);
    expect(nonces.take(new Uint8Array(32), [task, capsule], 0)).toBe(false);
    expect(nonces.take(nonces.give([task, capsule], 0).slice(1), [task, capsule], 0)).toBe(false);
  });

  it('stay good however many strangers ask for theirs', () => {
    const nonces = new Nonces(systemRandom);
    const nonce = nonces.give([task, capsule], 0);
    for (let i = 0; i < 10_000; i++) nonces.give([task, capsule], 0);
    expect(nonces.take(nonce, [task, capsule], 1)).toBe(true);
  });
});
