import type { SeededRandom } from '../kernel/random.ts';

/** Everything that can go wrong around a member that follows the rules. */
export const FAULTS = [
  'delay',
  'loss',
  'duplication',
  'reordering',
  'partition',
  'one-way',
  'deafness',
  'flapping',
  'clogged-link',
  'crash',
  'torn-write',
  'disk-full',
  'clock-skew',
  'clock-drift',
  'tpm-reset',
  'tpm-lock-out',
  'rpc-slow',
  'rpc-down',
] as const;
export type Fault = (typeof FAULTS)[number];

/** How a member can break the rules, or be so broken that it counts as one that does. */
export const VILLAINS = [
  'silent',
  'equivocating',
  'amnesiac',
  'lying-attestor',
  'false-vrf',
  'stale-evidence',
  'tampered',
  'replaying',
  'vote-withholding',
  'spamming',
  'bit-rot',
  'tpm-roll-back',
] as const;
export type Villain = (typeof VILLAINS)[number];

/** What one seed does to a network. */
export interface Plan {
  readonly nodes: number;
  readonly epochMs: number;
  readonly faults: ReadonlySet<Fault>;
  /** By the host's name. Together they weigh less than a third. */
  readonly villains: ReadonlyMap<string, Villain>;
  /** `safety`: faults until the end. `liveness`: they stop, and the network must go on. */
  readonly mode: 'safety' | 'liveness';
  readonly faultsMs: number;
}

/** Swarm style: each seed leaves out about half of what can go wrong, so that no fault hides another. */
export function drawPlan(random: SeededRandom): Plan {
  const nodes = random.chance(0.75) ? 4 : 7;
  const tolerated = Math.floor((nodes - 1) / 3);
  const count = random.chance(0.7) ? tolerated : random.integer(0, tolerated);
  const villains = new Map<string, Villain>();
  while (villains.size < count) villains.set(`n${random.integer(0, nodes - 1)}`, random.pick(VILLAINS));
  return {
    nodes,
    epochMs: random.pick([6_000, 10_000]),
    faults: new Set(FAULTS.filter(() => random.chance(0.4))),
    villains,
    mode: random.chance(0.5) ? 'safety' : 'liveness',
    faultsMs: random.integer(20, 40) * 1_000,
  };
}

export function describePlan({ nodes, epochMs, faults, villains, mode, faultsMs }: Plan): string {
  const bad = [...villains].map(([name, villain]) => `${name} ${villain}`).join(', ') || 'nobody';
  const list = [...faults].join(' ') || 'none';
  return `${mode}: ${nodes} nodes, epochs of ${epochMs} ms, faults for ${faultsMs} ms: ${list}; against the rules: ${bad}`;
}
