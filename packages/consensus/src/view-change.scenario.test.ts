import { describe, expect, test } from 'vitest';
import { primaryOfView } from './state.ts';
import { checkSafety } from './testing/checkers.ts';
import { Cluster, type Misbehaviour } from './testing/cluster.ts';
import { boasting, censoring, equivocating, forgetful, silent } from './testing/misbehaviours.ts';

const FOUR = ['r0', 'r1', 'r2', 'r3'];

function clusterOf(weights: readonly number[], seed = 1) {
  const cluster = new Cluster({ weights, seed });
  const primary = primaryOfView(cluster.replica('r0'));
  const others = [...cluster.nodes.keys()].filter((id) => id !== primary);
  return { cluster, primary, others };
}

describe('a primary that fails', () => {
  test('by a crash is replaced, and work goes on in the next view [CONS-13]', () => {
    const { cluster, primary, others } = clusterOf([1, 1, 1, 1]);
    cluster.crash(primary);
    expect(cluster.runUntilExecuted([cluster.request()], others)).toBe(true);
    for (const id of others) expect(cluster.replica(id).view).toBe(1);
    checkSafety(cluster, others);
  });

  test('between its proposal and the decision loses nothing that may have been decided [CONS-16]', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { cluster, primary, others } = clusterOf([1, 1, 1, 1], seed);
      const operations = [cluster.request(), cluster.request()];
      cluster.runFor(4 + seed);
      cluster.crash(primary);
      expect(cluster.runUntilExecuted(operations, others), `seed ${seed}`).toBe(true);
      cluster.start(primary);
      expect(cluster.runUntilExecuted(operations, FOUR), `seed ${seed}`).toBe(true);
      checkSafety(cluster, FOUR);
    }
  });

  test('is followed by a second one that fails, and the wait doubles', () => {
    const { cluster } = clusterOf([1, 1, 1, 1, 1, 1, 1]);
    for (const dead of ['r1', 'r2']) cluster.crash(dead);
    const alive = ['r0', 'r3', 'r4', 'r5', 'r6'];
    expect(cluster.runUntilExecuted([cluster.request()], alive)).toBe(true);
    for (const id of alive) expect(cluster.replica(id).view).toBe(2);
    expect(cluster.schedule.now).toBeGreaterThan(1_200);
    expect(cluster.replica('r0').attempts).toBe(0);
  });

  test.each([
    ['keeps silent', silent],
    ['leaves one operation out of every batch', censoring],
  ] satisfies [string, Misbehaviour][])('because it %s is replaced too', (_title, misbehaviour) => {
    const { cluster, primary, others } = clusterOf([1, 1, 1, 1]);
    cluster.node(primary).misbehaviour = misbehaviour;
    const operation = cluster.request('unwelcome');
    expect(cluster.runUntilExecuted([operation], others)).toBe(true);
    expect(cluster.replica(others[0] as string).view).toBeGreaterThan(0);
    checkSafety(cluster, others);
  });

  test('because it proposes two batches is replaced, and proven guilty to strangers [CONS-21]', () => {
    const { cluster, primary, others } = clusterOf([1, 1, 1, 1]);
    cluster.node(primary).misbehaviour = equivocating;
    const operations = [cluster.request(), cluster.request(), cluster.request()];
    expect(cluster.runUntilExecuted(operations, others)).toBe(true);
    checkSafety(cluster, others);
    const accused = others.flatMap((id) => cluster.node(id).penalties.map((penalty) => penalty.id));
    expect(new Set(accused)).toEqual(new Set([primary]));
  });

  test('cannot split five replicas, whichever half hears of which batch', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { cluster, primary, others } = clusterOf([1, 1, 1, 1, 1], seed);
      cluster.node(primary).misbehaviour = equivocating;
      const operations = [cluster.request(), cluster.request()];
      expect(cluster.runUntilExecuted(operations, others), `seed ${seed}`).toBe(true);
      checkSafety(cluster, others);
    }
  });

  test('and comes back does not vote in a view that it has left [CONS-18]', () => {
    const { cluster, primary, others } = clusterOf([1, 1, 1, 1]);
    cluster.crash(primary);
    cluster.runUntilExecuted([cluster.request()], others);
    cluster.start(primary);
    cluster.runUntilExecuted([cluster.request()], FOUR);
    expect(cluster.replica(primary).view).toBe(1);
    checkSafety(cluster, FOUR);
  });
});

describe('a backup that fails', () => {
  test.each([
    ['keeps silent', silent],
    ['claims to be far ahead', boasting],
    ['denies what it has prepared', forgetful],
  ] satisfies [string, Misbehaviour][])('because it %s stops nobody', (_title, misbehaviour) => {
    const { cluster, others } = clusterOf([1, 1, 1, 1]);
    const [faulty, ...honest] = others as [string, string, string];
    cluster.node(faulty).misbehaviour = misbehaviour;
    const operations = [...Array(20)].map(() => cluster.request());
    const good = FOUR.filter((id) => id !== faulty);
    expect(honest.length).toBe(2);
    expect(cluster.runUntilExecuted(operations, good)).toBe(true);
    checkSafety(cluster, good);
  });
});

describe('a partition', () => {
  test('without a quorum on either side decides nothing, and heals', () => {
    const { cluster } = clusterOf([1, 1, 1, 1]);
    cluster.network.partition(['r0', 'r1'], ['r2', 'r3']);
    const operation = cluster.request();
    expect(cluster.runUntilExecuted([operation], ['r0'], 10_000)).toBe(false);
    cluster.network.heal();
    expect(cluster.runUntilExecuted([operation], FOUR)).toBe(true);
    checkSafety(cluster, FOUR);
  });

  test('that cuts off a minority leaves the others working, and the minority catches up [CONS-19]', () => {
    const { cluster, others } = clusterOf([1, 1, 1, 1]);
    const lost = others[0] as string;
    const connected = FOUR.filter((id) => id !== lost);
    cluster.network.partition(connected, [lost]);
    const operations: string[] = [];
    for (let i = 0; i < 100; i++) {
      operations.push(cluster.request());
      cluster.runFor(20);
    }
    expect(cluster.runUntilExecuted(operations, connected)).toBe(true);
    cluster.network.heal();
    expect(cluster.runUntilExecuted(operations, FOUR)).toBe(true);
    checkSafety(cluster, FOUR);
  });

  test('does not let a lone replica run away through the views', () => {
    const { cluster, others } = clusterOf([1, 1, 1, 1]);
    const lost = others[0] as string;
    cluster.network.partition(
      FOUR.filter((id) => id !== lost),
      [lost],
    );
    cluster.request();
    cluster.runFor(30_000);
    expect(cluster.replica(lost).view).toBe(1);
  });

  test('is forgotten by an idle replica without any new request', () => {
    const { cluster, others } = clusterOf([1, 1, 1, 1]);
    const lost = others[0] as string;
    const connected = FOUR.filter((id) => id !== lost);
    cluster.network.partition(connected, [lost]);
    const operation = 'unseen by the lost';
    cluster.requested.add(operation);
    for (const id of connected) cluster.requestAt(id, operation);
    expect(cluster.runUntilExecuted([operation], connected)).toBe(true);
    cluster.network.heal();
    expect(cluster.runUntilExecuted([operation], FOUR, 5_000)).toBe(true);
  });
});
