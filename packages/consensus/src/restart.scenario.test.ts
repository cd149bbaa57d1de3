import { describe, expect, test } from 'vitest';
import { ConsensusError } from './errors.ts';
import { parseRecord } from './journal.ts';
import { COMPACTION_INTERVAL } from './limits.ts';
import { restoreReplica } from './restore.ts';
import { checkSafety } from './testing/checkers.ts';
import { Cluster } from './testing/cluster.ts';
import { createRandom } from './testing/random.ts';

const FOUR = ['r0', 'r1', 'r2', 'r3'];

describe('a restarted replica', () => {
  test('never contradicts what it said before, wherever it crashed [CONS-6] [CONS-22]', () => {
    for (let seed = 1; seed <= 15; seed++) {
      const cluster = new Cluster({ weights: [1, 1, 1, 1], seed });
      for (const id of FOUR) cluster.node(id).crashChance = 0.02;
      const operations: string[] = [];
      for (let i = 0; i < 30; i++) {
        operations.push(cluster.request());
        cluster.runFor(60);
        for (const id of FOUR) if (cluster.node(id).state === null) cluster.start(id);
      }
      for (const id of FOUR) {
        cluster.node(id).crashChance = 0;
        if (cluster.node(id).state === null) cluster.start(id);
      }
      for (const operation of operations) cluster.request(operation);
      expect(cluster.runUntilExecuted(operations, FOUR), `seed ${seed}`).toBe(true);
      checkSafety(cluster, FOUR);
    }
  });

  test('knows its place when all replicas restart at once', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1] });
    const operations = [...Array(40)].map(() => {
      const operation = cluster.request();
      cluster.runUntilExecuted([operation], FOUR);
      return operation;
    });
    for (const id of FOUR) cluster.restart(id);
    for (const operation of operations) cluster.request(operation);
    operations.push(cluster.request());
    expect(cluster.runUntilExecuted(operations, FOUR)).toBe(true);
    checkSafety(cluster, FOUR);
  });

  test('repeats the decision that it had not seen executed', () => {
    const cluster = new Cluster({ weights: [1] });
    cluster.request();
    cluster.schedule.run(() => cluster.replica('r0').isExecuting, 1_000);
    const { options, journal } = cluster.node('r0');
    const { state, effects } = restoreReplica(options, journal.map(parseRecord));
    expect(state).toMatchObject({ committed: 1, executed: 0, isExecuting: true });
    expect(effects).toContainEqual(
      expect.objectContaining({ type: 'commit', decision: state.waiting[0]?.decision }),
    );
  });

  test('goes on from the last base record, whatever older ones a crash has left before it [CONS-22]', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1] });
    const node = cluster.node('r0');
    const trimmed: Uint8Array[] = [];
    let kept = node.journal;
    for (let i = 0; i < 2 * COMPACTION_INTERVAL + 5; i++) {
      cluster.runUntilExecuted([cluster.request()], FOUR);
      if (node.journal === kept) continue;
      trimmed.push(...kept);
      kept = node.journal;
    }
    expect(trimmed.length).toBeGreaterThan(COMPACTION_INTERVAL);
    const restore = (records: readonly Uint8Array[]) =>
      restoreReplica(node.options, records.map(parseRecord));
    expect(restore([...trimmed, ...kept])).toEqual(restore(kept));
  });

  test('refuses a journal with a gap', () => {
    const cluster = new Cluster({ weights: [1] });
    for (let i = 0; i < 3; i++) cluster.runUntilExecuted([cluster.request()], ['r0']);
    const { options, journal } = cluster.node('r0');
    const records = journal.map(parseRecord);
    const withoutFirst = records.filter((record) => record.type !== 'executed' || record.sequence !== 1);
    expect(() => restoreReplica(options, withoutFirst)).toThrow(ConsensusError);
  });
});

describe('any mix of faults that the weights allow', () => {
  test('keeps agreement while it lasts, and progress returns when it ends', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = createRandom(seed);
      const cluster = new Cluster({ weights: [5, 5, 5, 5, 1], seed, followers: 1 });
      const ids = [...cluster.nodes.keys()];
      cluster.network.faults = {
        delayMinMs: 1,
        delayMaxMs: random.integer(5, 60),
        loss: random.chance(0.5) ? 0.2 : 0,
        duplicate: random.chance(0.5) ? 0.2 : 0,
      };
      for (const id of ids) cluster.node(id).crashChance = random.chance(0.5) ? 0.005 : 0;
      const operations: string[] = [];
      for (let round = 0; round < 20; round++) {
        for (let count = random.integer(0, 3); count > 0; count--) operations.push(cluster.request());
        if (round === 10) operations.push(cluster.requestMembers({ r0: 5, r1: 5, r2: 5, r3: 5, r5: 5 }));
        const cut = random.integer(1, ids.length - 1);
        if (random.chance(0.3)) cluster.network.partition(ids.slice(0, cut), ids.slice(cut));
        else cluster.network.heal();
        cluster.runFor(random.integer(10, 500));
        for (const id of ids) if (cluster.node(id).state === null && random.chance(0.5)) cluster.start(id);
      }
      cluster.network.heal();
      cluster.network.faults = { delayMinMs: 1, delayMaxMs: 5, loss: 0, duplicate: 0 };
      for (const id of ids) {
        cluster.node(id).crashChance = 0;
        if (cluster.node(id).state === null) cluster.start(id);
      }
      for (const operation of operations) cluster.request(operation);
      expect(cluster.runUntilExecuted(operations, ids), `seed ${seed}`).toBe(true);
      checkSafety(cluster, ids);
      for (const id of ids) expect(cluster.node(id).penalties, `seed ${seed}`).toEqual([]);
    }
  });
});
