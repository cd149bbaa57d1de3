import { describe, expect, test } from 'vitest';
import { primaryOf } from './configuration.ts';
import { primaryOfView } from './state.ts';
import { checkSafety } from './testing/checkers.ts';
import { Cluster, type Misbehaviour } from './testing/cluster.ts';
import {
  boasting,
  censoring,
  equivocating,
  forgetful,
  silent,
  undermining,
} from './testing/misbehaviours.ts';
import { createRandom } from './testing/random.ts';

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

describe('a window of sequences in the middle of a view change', () => {
  const SEVEN = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6'];

  test('survives several primaries that fail one after the other, each having reached others [CONS-16]', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = createRandom(seed);
      const cluster = new Cluster({ weights: Array(7).fill(1), seed, settings: { eagerBatches: 32 } });
      cluster.network.faults = { delayMinMs: 1, delayMaxMs: 60, loss: 0.1, duplicate: 0.1 };
      const operations = [...Array(60)].map(() => cluster.request());
      const crashed: string[] = [];
      for (let round = 0; round < 6; round++) {
        cluster.runFor(random.integer(10, 900));
        const running = SEVEN.find((id) => !crashed.includes(id)) as string;
        const primary = primaryOfView(cluster.replica(running));
        if (crashed.length === 2) cluster.start(crashed.shift() as string);
        if (!crashed.includes(primary)) {
          cluster.crash(primary);
          crashed.push(primary);
        }
        // Each of the remaining reaches another part of the others, so that they prepare different sequences.
        const cut = random.integer(1, 6);
        if (random.chance(0.5)) cluster.network.partition(SEVEN.slice(0, cut), SEVEN.slice(cut));
        else cluster.network.heal();
      }
      cluster.network.heal();
      cluster.network.faults = { delayMinMs: 1, delayMaxMs: 5, loss: 0, duplicate: 0 };
      for (const id of crashed) cluster.start(id);
      for (const operation of operations) cluster.request(operation);
      expect(cluster.runUntilExecuted(operations, SEVEN, 300_000), `seed ${seed}`).toBe(true);
      checkSafety(cluster, SEVEN);
      for (const id of SEVEN) expect(cluster.node(id).penalties, `seed ${seed}`).toEqual([]);
    }
  });

  test('lets nobody commit before all that the view must repeat is prepared [CONS-9] [CONS-16]', () => {
    const { cluster, primary, others } = clusterOf([1, 1, 1, 1]);
    cluster.network.faults = { delayMinMs: 20, delayMaxMs: 20, loss: 0, duplicate: 0 };
    const operations = [...Array(4)].map(() => cluster.request());
    // Proposals and votes to prepare have arrived everywhere, commits have not.
    cluster.schedule.run(() => others.every((id) => cluster.replica(id).committedTo === 4), 200);
    cluster.crash(primary);
    cluster.network.partition();
    cluster.runFor(100);
    cluster.network.heal();
    let least = 4;
    cluster.schedule.run(() => {
      for (const id of others) {
        const { view, tip } = cluster.replica(id);
        if (view > 0 && tip !== null && tip.view === view) least = Math.min(least, tip.sequence);
      }
      return others.every((id) => cluster.hasExecuted(id, operations));
    }, 60_000);
    expect(least).toBe(4);
    expect(others.every((id) => cluster.hasExecuted(id, operations))).toBe(true);
    checkSafety(cluster, others);
  });

  test('is repeated as one: no vote of the new view is about anything below, whatever its primary proposes [CONS-16]', () => {
    const { cluster, primary, others } = clusterOf([1, 1, 1, 1]);
    cluster.network.faults = { delayMinMs: 20, delayMaxMs: 20, loss: 0, duplicate: 0 };
    const operations = [...Array(4)].map(() => cluster.request());
    cluster.schedule.run(() => others.every((id) => cluster.replica(id).committedTo === 4), 200);
    cluster.crash(primary);
    const second = primaryOf(cluster.replica(others[0] as string).configuration, 1);
    cluster.node(second).misbehaviour = undermining;
    const honest = others.filter((id) => id !== second);
    cluster.network.partition();
    // Long enough for all to give up the view: pulses would decide in it otherwise.
    cluster.runFor(600);
    cluster.network.heal();
    cluster.start(primary);
    expect(cluster.runUntilExecuted(operations, [primary, ...honest])).toBe(true);
    for (const id of honest) {
      expect(cluster.replica(id).view).toBeGreaterThan(0);
      for (const below of [1, 2, 3]) expect(cluster.node(id).statements.has(`vote/1/1/${below}`)).toBe(false);
    }
    checkSafety(cluster, [primary, ...honest]);
  });

  test('keeps what may have been decided through many views in which everybody restarts, though nobody asks again [CONS-22]', () => {
    const { cluster, primary, others } = clusterOf([1, 1, 1, 1]);
    cluster.network.faults = { delayMinMs: 20, delayMaxMs: 20, loss: 0, duplicate: 0 };
    const operations = [...Array(4)].map(() => cluster.request());
    cluster.schedule.run(() => others.every((id) => cluster.replica(id).committedTo === 4), 200);
    cluster.crash(primary);
    cluster.network.partition();
    for (let round = 0; round < 6; round++) {
      cluster.runFor(60_000);
      cluster.network.heal();
      const isRepeated = () =>
        others.every((id) => {
          const { active, accepted, view } = cluster.replica(id);
          return active && view > round && accepted.length === 4;
        });
      expect(cluster.schedule.run(isRepeated, 60_000), `round ${round}`).toBe(true);
      cluster.network.partition();
      for (const id of others) {
        cluster.restart(id);
        expect(cluster.replica(id).accepted.length, `round ${round}`).toBe(4);
      }
    }
    cluster.network.heal();
    expect(cluster.runUntilExecuted(operations, others)).toBe(true);
    checkSafety(cluster, others);
  });

  test('with one member of almost all that the others can spare, whichever fails [CONS-2]', () => {
    for (const dead of ['r0', 'r1', 'r2', 'r3', 'r4']) {
      const { cluster } = clusterOf([6, 4, 4, 4, 2]);
      const operations = [cluster.request(), cluster.request()];
      cluster.runFor(8);
      cluster.crash(dead);
      const alive = [...cluster.nodes.keys()].filter((id) => id !== dead);
      expect(cluster.runUntilExecuted(operations, alive), dead).toBe(true);
      checkSafety(cluster, alive);
    }
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

  test('during a view change keeps the new view from a replica, until others relay it [CONS-17]', () => {
    const { cluster, primary, others } = clusterOf([1, 1, 1, 1, 1]);
    const [lost, ...rest] = others as [string, string, string, string];
    cluster.crash(primary);
    cluster.network.partition(rest, [lost]);
    cluster.request();
    cluster.runFor(1_000);
    for (const id of rest) expect(cluster.replica(id).view).toBe(1);
    cluster.start(primary);
    const four = [primary, ...rest];
    cluster.network.partition(four, [lost]);
    const operations = [cluster.request(), cluster.request()];
    expect(cluster.runUntilExecuted(operations, four)).toBe(true);
    expect(cluster.replica(lost).newView).toBe(null);
    cluster.network.heal();
    const entered = () => cluster.replica(lost).active && cluster.replica(lost).view === 1;
    expect(cluster.schedule.run(entered, 5_000)).toBe(true);
    expect(cluster.replica(lost).newView?.sender).toBe(primaryOf(cluster.replica(lost).configuration, 1));
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
