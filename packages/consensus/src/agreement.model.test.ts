import { describe, expect, test } from 'vitest';
import { Adversary } from './testing/adversary.ts';

const SHAPES = [
  { title: 'four equal members, one of them faulty', weights: [1, 1, 1, 1], faulty: 1 },
  { title: 'seven equal members, two of them faulty', weights: [1, 1, 1, 1, 1, 1, 1], faulty: 2 },
  { title: 'five members of different weight', weights: [4, 3, 3, 2, 1], faulty: 2 },
  { title: 'five members, two of them heavy', weights: [2, 2, 1, 1, 1], faulty: 2 },
];
const SEEDS = 40;
const STEPS = 2_000;

describe('an adversary that owns the network, the timers and a third of the weight', () => {
  test.each(SHAPES)(
    'never makes two decisions possible at one sequence: $title [CONS-16] [CONS-27]',
    (shape) => {
      const moves = new Map<string, number>();
      for (let seed = 1; seed <= SEEDS; seed++) {
        const adversary = new Adversary({ ...shape, seed });
        for (let step = 0; step < STEPS; step++) adversary.step();
        adversary.checkAgreement();
        for (const [move, count] of Object.entries(adversary.moves))
          moves.set(move, (moves.get(move) ?? 0) + count);
      }
      // It was busy: faulty primaries proposed and opened views, much was decided after a change of view, journals began anew
      // under an open anchor, and replicas went on from checkpoints in the middle of views.
      for (const [move, count] of moves) expect(count, move).toBeGreaterThan(0);
    },
  );

  test.each(SHAPES)(
    'stops nobody for good: once the network heals all is decided, whatever tips are shown: $title [CONS-13] [CONS-16]',
    (shape) => {
      for (let seed = 1; seed <= SEEDS / 2; seed++) {
        const adversary = new Adversary({ ...shape, seed });
        for (let step = 0; step < STEPS; step++) adversary.step();
        expect(adversary.rest(), `seed ${seed}`).toBe(true);
        adversary.checkAgreement();
      }
    },
  );
});
