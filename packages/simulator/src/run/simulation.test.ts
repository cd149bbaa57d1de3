import { describe, expect, it } from 'vitest';
import type { Plan } from '../faults/plan.ts';
import { runSeed } from './simulation.ts';

const QUIET: Plan = {
  nodes: 4,
  strangers: 0,
  isUpdated: false,
  epochMs: 6_000,
  faults: new Set(),
  villains: new Map(),
  mode: 'liveness',
  faultsMs: 10_000,
  owners: 'idle',
};
const ROUGH: Plan = {
  ...QUIET,
  faults: new Set(['loss', 'delay', 'reordering', 'crash', 'tpm-reset', 'rpc-slow', 'slow-sandbox']),
  owners: 'ordering',
};

describe('a simulated network', () => {
  it('closes epochs on layer 1 when nothing goes wrong', async () => {
    const { violation, decisions, faults } = await runSeed('quiet', { plan: QUIET });
    expect(violation).toBeUndefined();
    expect(decisions).toBeGreaterThan(0);
    expect(faults).toEqual({});
  });

  it('does the same for the same seed, byte for byte, and something else for another', async () => {
    const lines: string[] = [];
    const first = await runSeed('one', { plan: ROUGH, onLine: (line) => lines.push(line) });
    const again: string[] = [];
    const second = await runSeed('one', { plan: ROUGH, onLine: (line) => again.push(line) });
    expect(again).toEqual(lines);
    expect(second.traceDigest).toBe(first.traceDigest);
    expect(lines.length).toBeGreaterThan(100);
    const other = await runSeed('two', { plan: ROUGH });
    expect(other.traceDigest).not.toBe(first.traceDigest);
  });

  it('says what went wrong, and when', async () => {
    const plan: Plan = {
      ...QUIET,
      nodes: 4,
      villains: new Map([
        ['n0', ['silent']],
        ['n1', ['silent']],
      ]),
    };
    const { violation, lastLines } = await runSeed('too many villains', { plan });
    expect(violation?.checker).toBe('liveness');
    expect(lastLines.at(-1)).toMatch(/checker +liveness/);
  });
});
