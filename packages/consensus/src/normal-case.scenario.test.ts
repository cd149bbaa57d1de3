import { describe, expect, test } from 'vitest';
import { parseHeader } from './checkpoint.ts';
import { createEd25519Signer, createEd25519Verifier } from './ed25519.ts';
import { CHECKPOINT_INTERVAL, COMPACTION_INTERVAL, WINDOW } from './limits.ts';
import { checkSafety } from './testing/checkers.ts';
import { Cluster } from './testing/cluster.ts';
import { createRandom } from './testing/random.ts';

const FOUR = ['r0', 'r1', 'r2', 'r3'];

describe('four replicas of equal weight', () => {
  test('execute every request in one order, exactly once [CONS-12]', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1] });
    const operations = [...Array(50)].map(() => cluster.request());
    expect(cluster.runUntilExecuted(operations, FOUR)).toBe(true);
    checkSafety(cluster, FOUR);
    expect(cluster.executed('r1')).toEqual(cluster.executed('r0'));
  });

  test('sign with Ed25519 as with any other signature', () => {
    const random = createRandom(1);
    const signer = () => createEd25519Signer(Uint8Array.from(Array(32), () => random.integer(0, 255)));
    const cluster = new Cluster({ weights: [1, 1, 1, 1], signer, verify: createEd25519Verifier() });
    const operations = [cluster.request(), cluster.request()];
    expect(cluster.runUntilExecuted(operations, FOUR)).toBe(true);
    checkSafety(cluster, FOUR);
  });

  test('collect requests that wait into one batch [CONS-7]', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1] });
    const operations = [...Array(200)].map(() => cluster.request());
    expect(cluster.runUntilExecuted(operations, FOUR)).toBe(true);
    expect(cluster.node('r0').decisions.length).toBeLessThan(20);
  });

  test('refuse an operation that was executed before, and execute it once however often it is sent', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1] });
    const operation = cluster.request();
    cluster.runUntilExecuted([operation], FOUR);
    cluster.request(operation);
    cluster.request(operation);
    cluster.runFor(3_000);
    checkSafety(cluster, FOUR);
    expect(cluster.executed('r0')).toEqual([operation]);
  });

  test('make every sixteenth sequence stable, and now and then let the journal begin there [CONS-20]', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1] });
    for (let i = 0; i < COMPACTION_INTERVAL + CHECKPOINT_INTERVAL + 2; i++) {
      cluster.runUntilExecuted([cluster.request()], FOUR);
    }
    cluster.runFor(50);
    const { stable, compacted } = cluster.replica('r0');
    expect(parseHeader(stable?.header ?? new Uint8Array()).sequence).toBe(
      COMPACTION_INTERVAL + CHECKPOINT_INTERVAL,
    );
    expect(compacted).toBe(COMPACTION_INTERVAL);
    expect(cluster.node('r0').journal.length).toBeLessThan(6 * (CHECKPOINT_INTERVAL + 4));
  });

  test('have many sequences on their way at the same time, up to the high watermark [CONS-7]', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1], settings: { eagerBatches: WINDOW } });
    cluster.network.faults = { delayMinMs: 30, delayMaxMs: 30, loss: 0, duplicate: 0 };
    const operations: string[] = [];
    let most = 0;
    for (let i = 0; i < 100; i++) {
      operations.push(cluster.request());
      cluster.runFor(1);
      for (const id of FOUR) most = Math.max(most, cluster.replica(id).accepted.length);
    }
    expect(most).toBe(WINDOW);
    expect(cluster.runUntilExecuted(operations, FOUR)).toBe(true);
    expect(cluster.replica('r0').view).toBe(0);
    checkSafety(cluster, FOUR);
  });

  test('never vote further ahead than two intervals beyond what is executed [CONS-7]', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1], settings: { eagerBatches: 2 * WINDOW } });
    for (const id of FOUR) cluster.node(id).executionMs = 1_000_000;
    for (let i = 0; i < 100; i++) {
      cluster.request();
      cluster.runFor(5);
    }
    for (const id of FOUR) {
      const { executed, committed, accepted } = cluster.replica(id);
      expect(executed).toBe(0);
      expect(committed + accepted.length).toBe(WINDOW);
    }
  });

  test('stay in their first view while nothing is wrong', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1] });
    for (let i = 0; i < 30; i++) {
      cluster.request();
      cluster.runFor(200);
    }
    expect(FOUR.map((id) => cluster.replica(id).view)).toEqual([0, 0, 0, 0]);
  });

  test('go on under loss, duplication and reordering', () => {
    const cluster = new Cluster({ weights: [1, 1, 1, 1], seed: 7 });
    cluster.network.faults = { delayMinMs: 1, delayMaxMs: 80, loss: 0.2, duplicate: 0.3 };
    const operations = [...Array(40)].map(() => {
      cluster.runFor(50);
      return cluster.request();
    });
    cluster.network.faults.loss = 0;
    for (const operation of operations) cluster.request(operation);
    expect(cluster.runUntilExecuted(operations, FOUR)).toBe(true);
    checkSafety(cluster, FOUR);
  });
});

describe('weights', () => {
  test('a single replica decides alone', () => {
    const cluster = new Cluster({ weights: [3] });
    expect(cluster.runUntilExecuted([cluster.request()], ['r0'])).toBe(true);
    checkSafety(cluster, ['r0']);
  });

  test('a member of weight 1 beside four of weight 10 cannot stop a decision', () => {
    const cluster = new Cluster({ weights: [10, 10, 10, 10, 1] });
    cluster.crash('r4');
    cluster.crash('r3');
    expect(cluster.runUntilExecuted([cluster.request()], ['r0', 'r1', 'r2'])).toBe(true);
  });

  test('a member of weight 1 cannot stand in for one of weight 10', () => {
    const cluster = new Cluster({ weights: [10, 10, 10, 10, 1] });
    cluster.crash('r2');
    cluster.crash('r3');
    expect(cluster.runUntilExecuted([cluster.request()], ['r0'], 20_000)).toBe(false);
    cluster.start('r3');
    expect(cluster.runUntilExecuted([cluster.request()], ['r0', 'r1', 'r3', 'r4'])).toBe(true);
    checkSafety(cluster, ['r0', 'r1', 'r3', 'r4']);
  });

  test('exactly two thirds of the weight are not enough [CONS-2]', () => {
    const cluster = new Cluster({ weights: [1, 1, 1] });
    cluster.crash('r2');
    expect(cluster.runUntilExecuted([cluster.request()], ['r0'], 10_000)).toBe(false);
  });
});
