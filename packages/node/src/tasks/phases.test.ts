import { sha256 } from '@nemea/core';
import { expect, test } from 'vitest';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { RunPhases } from './phases.ts';

const taskId = sha256(Uint8Array.of(1));
const digest = (n: number) => sha256(Uint8Array.of(n));
const phases = () => new RunPhases(systemClock, (_task, _attempt, account) => account === 'verifier');

test('a phase that has begun has the digest it began with', async () => {
  const runs = phases();
  runs.begin(taskId, 1, 'before', digest(1));
  runs.begin(taskId, 1, 'during', digest(2));
  expect(await runs.stateDigest(taskId, 1, 'before', 1)).toEqual(digest(1));
  expect(await runs.stateDigest(taskId, 1, 'during', 1)).toEqual(digest(2));
});

test('a challenge that comes a moment early waits for its phase', async () => {
  const runs = phases();
  runs.begin(taskId, 1, 'before', digest(1));
  const waiting = Promise.all([
    runs.stateDigest(taskId, 1, 'during', 60_000),
    runs.stateDigest(taskId, 1, 'during', 60_000),
  ]);
  runs.begin(taskId, 1, 'during', digest(2));
  expect(await waiting).toEqual([digest(2), digest(2)]);
});

test('a phase that does not come has no digest, nor has another run or attempt', async () => {
  const runs = phases();
  runs.begin(taskId, 1, 'before', digest(1));
  expect(await runs.stateDigest(taskId, 1, 'after', 1)).toBeUndefined();
  expect(await runs.stateDigest(taskId, 2, 'before', 1)).toBeUndefined();
  expect(await runs.stateDigest(digest(9), 1, 'before', 1)).toBeUndefined();
});

test('old runs are forgotten', async () => {
  const runs = phases();
  for (let n = 0; n < 9; n++) runs.begin(digest(n), 1, 'before', digest(n));
  expect(await runs.stateDigest(digest(0), 1, 'before', 1)).toBeUndefined();
  expect(await runs.stateDigest(digest(8), 1, 'before', 1)).toEqual(digest(8));
});

test('who verifies is for consensus to say', () => {
  expect(phases().isVerifier(taskId, 1, 'verifier')).toBe(true);
  expect(phases().isVerifier(taskId, 1, 'other')).toBe(false);
});
