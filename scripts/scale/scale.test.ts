import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { confidenceAfterEpoch, creditAfterEpoch, standingOf, weightOf } from '@nemea/membership';
import { drawBound, ringDistance } from '@nemea/vrf';
import { describe, expect, test } from 'vitest';
import { bytesPerNode, drawEpoch, openField, stepField } from './field.ts';
import { layer1Bytes, measureCatch, measureSize, scalePlot } from './report.ts';
import { runSignedEpoch } from './signed.ts';

const MASK = (1n << 20n) - 1n;

test('a field settles an epoch as a naive look at every pair of nodes does', () => {
  const size = 60;
  const [field, naive] = [openField(size), openField(size)];
  for (const [i] of field.credit.entries()) {
    field.credit[i] = (i * 173) % 10_001;
    naive.credit[i] = (i * 173) % 10_001;
  }
  const affirms = (attestor: number, target: number) => attestor % 7 !== 0 && target % 5 !== 0;
  drawEpoch(naive, { seed: 'naive', epoch: 1 });
  const weights = [...naive.credit].map(weightOf);
  const weightTotal = weights.reduce((sum, weight) => sum + weight, 0);
  const placeOf = new Map([...naive.ring].map((place) => [Number(place & MASK), place]));
  const isSeated = (attestor: number, target: number) =>
    attestor !== target &&
    ringDistance(naive.beta[attestor] as bigint, placeOf.get(target) as bigint, 64) <
      drawBound({ weight: weights[attestor] as number, weightTotal, expected: 3 }, 64);
  const nodes = Array.from({ length: size }, (_, i) => i);
  const sum = (of: readonly number[]) => of.reduce((total, node) => total + (weights[node] as number), 0);
  const standings = nodes.map((target) => {
    const jury = nodes.filter((attestor) => isSeated(attestor, target));
    return standingOf({
      seated: sum(jury),
      affirming: sum(jury.filter((attestor) => affirms(attestor, target))),
    });
  });
  stepField(field, { seed: 'naive', epoch: 1, expected: 3 }, affirms);
  for (const node of nodes) {
    const passed = nodes.filter((target) => isSeated(node, target) && standings[target] === 'passed');
    const agreed = passed.filter((target) => affirms(node, target)).length;
    const duty = { isSilent: false, agreed, neglected: passed.length - agreed };
    const standing = standings[node] as (typeof standings)[0];
    expect(field.credit[node]).toBe(creditAfterEpoch(naive.credit[node] as number, standing, duty));
    expect(field.confidence[node]).toBe(confidenceAfterEpoch(naive.confidence[node] as number, standing));
  }
});

describe('scale', () => {
  test('takes no more work of a node in a larger network, within 5 %, and 64 bytes at most', () => {
    const [small, large] = [measureSize(100), measureSize(10_000)];
    expect(Math.abs(small.meanAsked / large.meanAsked - 1)).toBeLessThan(0.05);
    expect(bytesPerNode(openField(1_000))).toBeLessThanOrEqual(64);
  });

  test('takes the same bytes of layer 1 for any number of nodes', () => {
    expect(layer1Bytes(1_000_000)).toBe(layer1Bytes(100));
  });

  test('catches a tampered node about as fast as independent draws say', () => {
    const { mean, theory } = measureCatch(5_000, 3, 0.33);
    expect(Math.abs(mean / theory - 1)).toBeLessThan(0.1);
  });

  test('has a signed epoch in which every report counts', () => {
    const { results, proofs, signatures } = runSignedEpoch(12, () => {});
    expect([proofs, signatures]).toEqual([12, 12 + results]);
    expect(results).toBeGreaterThan(12);
  });
});

test('the committed plot shows what the committed tables say', () => {
  const docs = join(import.meta.dirname, '..', '..', 'docs');
  const rows = readFileSync(join(docs, 'scale.md'), 'utf8')
    .split('\n')
    .filter((line) => /^\| \d/.test(line))
    .map((line) => line.split('|').slice(1, -1).map(Number.parseFloat));
  const sizes = rows
    .slice(0, 5)
    .map(([nodes, meanAsked]) => ({ nodes, meanAsked }) as { nodes: number; meanAsked: number });
  const caught = rows.slice(6).flatMap(([expected, ...means]) =>
    [0, 0.1, 0.2, 0.33].map((share, i) => ({
      expected: expected as number,
      share,
      mean: means[i] as number,
    })),
  );
  expect(readFileSync(join(docs, 'scale.svg'), 'utf8')).toBe(scalePlot(sizes, caught));
});
