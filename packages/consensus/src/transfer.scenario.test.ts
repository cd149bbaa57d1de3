import { fromUtf8, toUtf8 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { encodeHeader, parseHeader, type Transfer } from './checkpoint.ts';
import { CHECKPOINT_INTERVAL } from './limits.ts';
import { createReplica, step } from './replica.ts';
import { intervalEnd } from './state.ts';
import { checkAgreement, checkSafety } from './testing/checkers.ts';
import { Cluster } from './testing/cluster.ts';

const THREE = ['r0', 'r1', 'r2'];
const FOUR = [...THREE, 'r3'];

/** Decides so many sequences, changing the weights now and then, and drops the decisions before the last checkpoint. */
function clusterWithHistory(epochs: number): { cluster: Cluster; operations: string[] } {
  const cluster = new Cluster({ weights: [1, 1, 1, 1] });
  const operations: string[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let i = 0; i < 40; i++) {
      operations.push(cluster.request());
      cluster.runUntilExecuted(operations.slice(-1), FOUR);
    }
    const weight = 2 + epoch;
    operations.push(cluster.requestMembers({ r0: weight, r1: weight, r2: weight, r3: weight }));
    cluster.runFor(2_000);
  }
  for (const id of FOUR) cluster.forgetDecisions(id);
  return { cluster, operations };
}

describe('a replica that has lost everything', () => {
  test('goes on from a checkpoint, over several epochs, without the decisions before it [CONS-27]', () => {
    const { cluster } = clusterWithHistory(4);
    const { executed, configuration } = cluster.replica('r0');
    expect(configuration.epoch).toBeGreaterThan(3 * CHECKPOINT_INTERVAL);
    cluster.wipe('r3');
    cluster.start('r3');
    const next = cluster.request();
    expect(cluster.runUntilExecuted([next], FOUR)).toBe(true);
    const wiped = cluster.node('r3');
    expect(wiped.decisions.findIndex((decision) => decision !== undefined)).toBeGreaterThan(executed / 2);
    expect(cluster.replica('r3').configuration.epoch).toBe(configuration.epoch);
    expect(wiped.application.digest).toEqual(cluster.node('r0').application.digest);
    checkAgreement(cluster.nodes.values());
  });

  test('knows which operations were executed before [CONS-12]', () => {
    const { cluster, operations } = clusterWithHistory(1);
    cluster.wipe('r3');
    cluster.start('r3');
    const last = cluster.request();
    cluster.runUntilExecuted([last], FOUR);
    cluster.runFor(3_000);
    for (const operation of operations) cluster.requestAt('r3', operation);
    cluster.runFor(5_000);
    expect(cluster.replica('r3').pending.size).toBe(0);
    checkSafety(cluster, THREE);
  });

  test('goes on from where it was when it crashes in the middle of a transfer', () => {
    const { cluster } = clusterWithHistory(2);
    cluster.wipe('r3');
    cluster.node('r3').crashChance = 0.2;
    cluster.start('r3');
    for (let i = 0; i < 200; i++) {
      if (cluster.node('r3').state === null) cluster.start('r3');
      cluster.runFor(50);
    }
    cluster.node('r3').crashChance = 0;
    if (cluster.node('r3').state === null) cluster.start('r3');
    expect(cluster.runUntilExecuted([cluster.request()], FOUR)).toBe(true);
    expect(cluster.node('r3').application.digest).toEqual(cluster.node('r0').application.digest);
    checkAgreement(cluster.nodes.values());
  });

  test('follows without a vote until its token is ordered and an epoch has begun after it [CONS-25]', () => {
    const { cluster } = clusterWithHistory(1);
    const token = 'never seen before';
    cluster.wipe('r3', fromUtf8(token));
    cluster.start('r3');
    expect(cluster.runUntilExecuted([cluster.request()], FOUR)).toBe(true);
    const signedBy = (id: string) =>
      cluster
        .node('r0')
        .decisions.filter((decision) => decision?.certificate.signatures.some(({ sender }) => sender === id))
        .length;
    const before = signedBy('r3');
    expect(cluster.runUntilExecuted([cluster.request(token), cluster.request()], FOUR)).toBe(true);
    cluster.runFor(50);
    expect(cluster.replica('r3').muted).toBe('until-epoch');
    expect(signedBy('r3')).toBe(before);
    cluster.requestMembers({ r0: 9, r1: 9, r2: 9, r3: 9 });
    cluster.runFor(3_000);
    expect(cluster.replica('r3').muted).toBe(null);
    // Two of the others are gone: without its vote nothing would be decided.
    cluster.crash('r0');
    expect(cluster.runUntilExecuted([cluster.request()], ['r1', 'r2', 'r3'])).toBe(true);
    checkAgreement(cluster.nodes.values());
  });
});

describe('a member that has lost its memory, in a network whose members stay the same [CONS-25]', () => {
  const TOKEN = 'renew r3, never seen before';

  test('asks for an epoch by its token, and votes in it', () => {
    const { cluster } = clusterWithHistory(1);
    cluster.wipe('r3', fromUtf8(TOKEN));
    cluster.start('r3');
    const { epoch } = cluster.replica('r0').configuration;
    expect(cluster.runUntilExecuted([cluster.request(TOKEN)], FOUR)).toBe(true);
    cluster.runFor(3_000);
    expect(cluster.replica('r3').muted).toBe(null);
    expect(cluster.replica('r0').configuration.epoch).toBeGreaterThan(epoch);
    cluster.crash('r0');
    expect(cluster.runUntilExecuted([cluster.request()], ['r1', 'r2', 'r3'])).toBe(true);
    checkSafety(cluster, THREE);
    checkAgreement(cluster.nodes.values());
  });

  test.each([
    ['the interval of the token: it follows still', 0, 'until-epoch'],
    ['the epoch that it asked for: it votes', 2, null],
  ] as const)('may learn of it by a transfer to the end of %s', (_title, intervals, muted) => {
    const { cluster } = clusterWithHistory(1);
    cluster.wipe('r3', fromUtf8(TOKEN));
    expect(cluster.runUntilExecuted([cluster.request(TOKEN)], THREE)).toBe(true);
    const { decisions, links } = cluster.node('r0');
    const ordered = decisions.findIndex((decision) => decision?.batch.some((it) => toUtf8(it) === TOKEN)) + 1;
    const end = intervalEnd(ordered) + intervals * CHECKPOINT_INTERVAL;
    const held = () => cluster.node('r0').transfer;
    const isHeld = () => (held()?.application.sequence ?? 0) >= end;
    while (!isHeld()) {
      cluster.request();
      cluster.schedule.run(isHeld, 20);
    }
    const { transfer, application } = held() as NonNullable<ReturnType<typeof held>>;
    expect(application.sequence).toBe(end);
    const leading = links.filter(({ header }) => parseHeader(header).sequence < end);
    const { state } = createReplica(cluster.node('r3').options);
    step(state, { type: 'transfer', transfer: { ...transfer, proofs: [...leading, ...transfer.proofs] } });
    expect(state.executed).toBe(end);
    expect(state.muted).toBe(muted);
  });
});

describe('a transfer is refused', () => {
  const { cluster } = clusterWithHistory(2);
  const node = cluster.node('r0');
  const honest: Transfer = {
    ...(node.transfer as NonNullable<typeof node.transfer>).transfer,
    proofs: [
      ...node.links.filter(
        ({ header }) =>
          parseHeader(header).sequence <
          (node.transfer as NonNullable<typeof node.transfer>).application.sequence,
      ),
      ...(node.transfer as NonNullable<typeof node.transfer>).transfer.proofs,
    ],
  };
  const taken = (transfer: Transfer): number => {
    const { state } = createReplica(cluster.node('r3').options);
    return step(state, { type: 'transfer', transfer }).state.executed;
  };
  const last = honest.proofs.at(-1) as Transfer['proofs'][number];
  const changed = (change: (header: ReturnType<typeof parseHeader>) => object): Transfer => {
    const header = parseHeader(last.header);
    const forged = { ...last, header: encodeHeader({ ...header, ...change(header) }) };
    return { ...honest, proofs: [...honest.proofs.slice(0, -1), forged] };
  };

  test('unless it is whole', () => {
    expect(taken(honest)).toBe(parseHeader(last.header).sequence);
  });

  test.each([
    ['without proofs', { ...honest, proofs: [] }],
    ['without the proofs that lead to its epoch', { ...honest, proofs: [last] }],
    [
      'with too few signatures',
      { ...honest, proofs: [{ ...last, signatures: last.signatures.slice(0, 2) }] },
    ],
    ['with another application state', changed(() => ({ state: new Uint8Array(32).fill(1) }))],
    ['with other members', changed(({ epochs }) => ({ epochs: [...epochs, { ...epochs[0], epoch: 999 }] }))],
    ['with operations left out', { ...honest, recent: honest.recent.slice(1) }],
    [
      'with an operation changed',
      {
        ...honest,
        recent: honest.recent.map((batch, index) =>
          index > 0 ? batch : { ...batch, idBytes: new Uint8Array(32) },
        ),
      },
    ],
  ] satisfies [string, Transfer][])('%s', (_title, transfer) => {
    expect(taken(transfer)).toBe(0);
  });
});
