import { describe, expect, test } from 'vitest';
import { World } from './testing/adversary.ts';

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
      const moves: World['moves'] = {
        proposals: 0,
        newViews: 0,
        viewsEntered: 0,
        restarts: 0,
        lateDecisions: 0,
        compactions: 0,
        transfers: 0,
      };
      for (let seed = 1; seed <= SEEDS; seed++) {
        const world = new World({ ...shape, seed });
        for (let step = 0; step < STEPS; step++) world.step();
        world.checkAgreement();
        for (const move of Object.keys(moves) as (keyof typeof moves)[]) moves[move] += world.moves[move];
      }
      // It was busy: faulty primaries proposed and opened views, much was decided after a change of view, journals began anew
      // under an open anchor, and replicas went on from checkpoints in the middle of views.
      for (const [move, count] of Object.entries(moves)) expect(count, move).toBeGreaterThan(0);
    },
  );
});
