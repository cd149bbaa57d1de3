import { describe, expect, test } from 'vitest';
import { equivocationEpoch } from './equivocation.ts';
import { WINDOW } from './limits.ts';
import { primaryOfView } from './state.ts';
import { checkSafety } from './testing/checkers.ts';
import { Cluster } from './testing/cluster.ts';
import { doubleVoting } from './testing/misbehaviours.ts';

const FOUR = ['r0', 'r1', 'r2', 'r3'];
const FIVE = [...FOUR, 'r4'];

function clusterWithFollower() {
  return new Cluster({ weights: [1, 1, 1, 1], followers: 1 });
}

describe('a change of members', () => {
  test('takes effect at the second end of an interval from where it was ordered, and not before [CONS-11] [CONS-26]', () => {
    const cluster = clusterWithFollower();
    const before = cluster.request();
    cluster.runUntilExecuted([before], FIVE);
    const change = cluster.requestMembers({ r0: 1, r1: 1, r2: 1, r3: 1, r4: 1 });
    expect(cluster.runUntilExecuted([change], FIVE)).toBe(true);
    for (const id of FIVE) expect(cluster.replica(id).configuration.epoch).toBe(1);
    // Nobody asks for anything more: batches without operations lead to the end of the epoch.
    cluster.runFor(2_000);
    for (const id of FIVE) {
      const { configuration } = cluster.replica(id);
      expect(configuration.members.map((member) => member.id)).toEqual(FIVE);
      expect(configuration.epoch).toBe(WINDOW + 1);
      expect(cluster.node(id).decisions.length).toBe(WINDOW);
    }
    expect(cluster.runUntilExecuted([cluster.request()], FIVE)).toBe(true);
    checkSafety(cluster, FIVE);
  });

  test('gives a new member a vote that can be needed', () => {
    const cluster = clusterWithFollower();
    const change = cluster.requestMembers({ r0: 1, r1: 1, r2: 1, r3: 1, r4: 4 });
    cluster.runUntilExecuted([change], FIVE);
    cluster.runFor(2_000);
    for (const id of ['r0', 'r1']) cluster.crash(id);
    expect(cluster.runUntilExecuted([cluster.request()], ['r2', 'r3', 'r4'])).toBe(true);
    cluster.crash('r4');
    cluster.start('r0');
    cluster.start('r1');
    expect(cluster.runUntilExecuted([cluster.request()], ['r0'], 20_000)).toBe(false);
  });

  test('leaves a removed member following, without a vote [CONS-24]', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1, 1] });
    const change = cluster.requestMembers({ r0: 1, r1: 1, r2: 1, r3: 1 });
    expect(cluster.runUntilExecuted([change], FIVE)).toBe(true);
    cluster.runFor(2_000);
    const operations = [cluster.request(), cluster.request()];
    expect(cluster.runUntilExecuted(operations, FIVE)).toBe(true);
    checkSafety(cluster, FIVE);
    const { sequence, certificate } = cluster.node('r0').decisions.at(-1) ?? expect.fail('nothing decided');
    expect(sequence).toBeGreaterThan(1);
    expect(certificate.signatures.map(({ sender }) => sender)).not.toContain('r4');
  });

  test('removes the primary itself, and the next epoch goes on with another', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1, 1] });
    const primary = primaryOfView(cluster.replica('r0'));
    const rest = FIVE.filter((id) => id !== primary);
    const change = cluster.requestMembers(Object.fromEntries(rest.map((id) => [id, 1])));
    expect(cluster.runUntilExecuted([change], FIVE)).toBe(true);
    cluster.runFor(2_000);
    cluster.crash(primary);
    expect(cluster.runUntilExecuted([cluster.request()], rest)).toBe(true);
    checkSafety(cluster, FIVE);
  });

  test('restarts the views, because nothing said before binds the new members', () => {
    const cluster = clusterWithFollower();
    const primary = primaryOfView(cluster.replica('r0'));
    cluster.crash(primary);
    const alive = FIVE.filter((id) => id !== primary);
    cluster.runUntilExecuted([cluster.request()], alive);
    expect(cluster.replica('r4').view).toBe(1);
    const change = cluster.requestMembers({ r0: 2, r1: 2, r2: 2, r3: 2 });
    cluster.runUntilExecuted([change], alive);
    cluster.runFor(2_000);
    expect(cluster.replica('r4').view).toBe(0);
    expect(cluster.runUntilExecuted([cluster.request()], alive)).toBe(true);
    checkSafety(cluster, FIVE);
  });

  test('makes a member that goes on contradicting itself be proven once more [CONS-21]', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1] });
    const epochsProven = () =>
      cluster.node('r0').penalties.map(({ id, proof }) => [id, equivocationEpoch(proof)]);
    cluster.node('r3').misbehaviour = doubleVoting;
    cluster.runUntilExecuted([cluster.request(), cluster.request()], FOUR);
    expect(epochsProven()).toEqual([['r3', 1]]);
    cluster.request('renew once');
    cluster.runFor(2_000);
    cluster.runUntilExecuted([cluster.request(), cluster.request()], FOUR);
    expect(cluster.replica('r0').configuration.epoch).toBe(WINDOW + 1);
    expect(epochsProven()).toEqual([
      ['r3', 1],
      ['r3', WINDOW + 1],
    ]);
  });

  test('to the same members changes nothing', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1] });
    const change = cluster.requestMembers({ r3: 1, r2: 1, r1: 1, r0: 1 });
    cluster.runUntilExecuted([change], FOUR);
    cluster.runFor(2_000);
    expect(cluster.replica('r0').configuration.epoch).toBe(1);
  });
});

describe('a joiner', () => {
  test('catches up from the first sequence over several configurations, by decisions alone [CONS-19]', () => {
    const cluster = clusterWithFollower();
    cluster.crash('r4');
    const operations: string[] = [];
    for (let i = 0; i < 60; i++) {
      const weight = 1 + Math.floor(i / 20);
      if (i % 20 === 10)
        operations.push(cluster.requestMembers({ r0: weight, r1: weight, r2: weight, r3: 1 }));
      operations.push(cluster.request());
      cluster.runUntilExecuted(operations, FOUR);
    }
    expect(cluster.node('r0').decisions.length).toBeGreaterThan(60);
    cluster.start('r4');
    expect(cluster.runUntilExecuted(operations, ['r4'], 10_000)).toBe(true);
    checkSafety(cluster, FIVE);
  });

  test('is not misled by decisions that were tampered with', () => {
    const cluster = clusterWithFollower();
    cluster.crash('r4');
    const operations = [cluster.request(), cluster.request(), cluster.request()];
    for (const operation of operations) cluster.runUntilExecuted([operation], FOUR);
    const { decisions } = cluster.node('r0');
    const honest = [...decisions];
    decisions.splice(
      0,
      decisions.length,
      ...honest.map((decision) => ({ ...decision, batch: [Uint8Array.of(1)] })),
    );
    cluster.start('r4');
    expect(cluster.runUntilExecuted(operations, ['r4'], 10_000)).toBe(true);
    decisions.splice(0, decisions.length, ...honest);
    checkSafety(cluster, FIVE);
  });
});
