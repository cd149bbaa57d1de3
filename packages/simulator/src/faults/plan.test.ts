import { describe, expect, it } from 'vitest';
import { seededRandom } from '../kernel/random.ts';
import {
  BREAKAGES,
  drawPlan,
  FAULTS,
  FREE_RIDERS,
  IMPOSTORS,
  LIES,
  PROVABLE_LIES,
  TASK_VILLAINS,
  type Villain,
} from './plan.ts';

const plans = Array.from({ length: 500 }, (_, seed) => drawPlan(seededRandom(`plan ${seed}`)));

describe('the plans of a swarm', () => {
  it('leave no fault and no villain out of all seeds', () => {
    const faults = new Set(plans.flatMap((plan) => [...plan.faults]));
    const villains = new Set<Villain>(plans.flatMap((plan) => [...plan.villains.values()].flat()));
    expect([...faults].sort()).toEqual([...FAULTS].sort());
    for (const kind of [
      ...LIES,
      ...PROVABLE_LIES,
      ...BREAKAGES,
      ...TASK_VILLAINS,
      ...IMPOSTORS,
      ...FREE_RIDERS,
    ])
      expect(villains).toContain(kind);
  });

  it('let fewer founders break rules or leave than a third, so that the others must not fail', () => {
    for (const { nodes, villains, leaver } of plans) {
      const bad = [...villains.keys()].filter((name) => Number(name.slice(1)) < nodes);
      const gone = new Set(leaver === undefined ? bad : [...bad, leaver]);
      expect(gone.size * 3).toBeLessThan(nodes);
    }
  });

  it('leave a crowd of newcomers without a founder on its side where tasks earn credit, so that it stays below a third', () => {
    for (const { nodes, villains, owners } of plans) {
      const names = [...villains.keys()].map((name) => Number(name.slice(1)));
      const isCrowd = [...villains].some(
        ([name, [kind]]) =>
          Number(name.slice(1)) >= nodes && ![...IMPOSTORS, ...FREE_RIDERS].some((other) => other === kind),
      );
      if (isCrowd && owners !== 'idle') expect(names.filter((index) => index < nodes)).toEqual([]);
    }
  });

  it('let newcomers break rules together only where it is seen whether they stop the others', () => {
    for (const { nodes, villains, mode } of plans) {
      const kinds = [...villains]
        .filter(([name]) => Number(name.slice(1)) >= nodes)
        .map(([, kind]) => kind[0]);
      const isCrowd = kinds.some((kind) => kind === 'silent' || kind === 'vote-withholding');
      if (isCrowd) expect(mode).toBe('liveness');
    }
  });
});
