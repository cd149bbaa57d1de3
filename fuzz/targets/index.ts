import { assert } from '@nemea/core';
import type { Target } from '../target.ts';
import { readJson } from './support.ts';

/** Loaded by name, so that a run loads and instruments only what it needs. */
const GROUPS: Readonly<Record<string, () => Promise<{ readonly targets: readonly Target[] }>>> = {
  tpm: () => import('./tpm.ts'),
  logs: () => import('./logs.ts'),
  attestation: () => import('./attestation.ts'),
  network: () => import('./network.ts'),
};
/** Not fuzzed by default: they have faults. */
const PLANTED: typeof GROUPS = { planted: () => import('./planted.ts') };

export async function loadTarget(name: string): Promise<Target> {
  const group = name.split('/')[0] ?? '';
  const { targets } = (await { ...GROUPS, ...PLANTED }[group]?.()) ?? { targets: [] };
  const target = targets.find((each) => each.name === name);
  assert(target !== undefined, `no target ${name}`);
  return target;
}

export async function loadTargets(): Promise<readonly Target[]> {
  const groups = await Promise.all(Object.values(GROUPS).map((load) => load()));
  return groups.flatMap(({ targets }) => targets);
}

/** An input by which a fault was found once. */
export interface Find {
  readonly target: string;
  /** Hex. */
  readonly input: string;
  readonly found: string;
}

export function finds(): Find[] {
  return readJson<Find[]>('fuzz/finds.json');
}
