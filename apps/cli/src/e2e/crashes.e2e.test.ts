import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseDecision } from '@nemea/consensus';
import { toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Field, until } from './test/field.ts';

const QUICK = 'def main(inputs):\n    return b"done"\n';
const SLOW = 'import time\ndef main(inputs):\n    time.sleep(4)\n    return b"done"\n';
const SLEEPY = 'import time\ndef main(inputs):\n    time.sleep(5)\n    return b"done"\n';

// Only a hang reaches it: a busy machine draws, proves and expires in its own time.
vi.setConfig({ testTimeout: 900_000, hookTimeout: 300_000 });
/** Some hundred decisions of a network that is idle but for its epochs. */
const SLOW_MS = 600_000;

let field: Field;
beforeAll(async () => {
  field = await Field.open({ nodes: 5, codes: [QUICK, SLOW, SLEEPY], clients: true });
});
afterAll(() => field?.close());

async function submit(code: string, timeoutMs: number): Promise<string> {
  const capsule = await field.seal('b', field.file('list.txt', 'anna\n'), field.rule(code));
  return field.submit(code, [capsule], { limits: { timeoutMs } });
}

/** Every decision that a node's journal keeps, by sequence: without a gap. */
function decisions(index: number): Map<number, string> {
  const journal = new DatabaseSync(join(field.net.paths.node(index), 'journal.sqlite'), { readOnly: true });
  const rows = journal.prepare('SELECT body FROM record_decision ORDER BY id').all();
  journal.close();
  const kept = rows.map(({ body }) => parseDecision(body as Uint8Array));
  const [first] = kept;
  for (const [row, { sequence }] of kept.entries()) expect(sequence).toBe((first?.sequence ?? 0) + row);
  return new Map(kept.map(({ sequence, batch }) => [sequence, batch.map(toHex).join(' ')]));
}

async function resetCountOf(index: number, seenBy: number): Promise<number> {
  const account = field.net.account(index);
  return until(`node-${seenBy} has seen a quote of node-${index}`, async () => {
    const { members } = await field.status(seenBy);
    return members.find((member) => member.account === account)?.resetCount ?? undefined;
  });
}

async function untilLevel(index: number, sequence: number, timeoutMs?: number): Promise<void> {
  await until(
    `node-${index} has come to sequence ${sequence}`,
    async () => ((await field.status(index)).sequence >= sequence ? true : undefined),
    timeoutMs,
  );
}

describe('an executor that is killed during the run', () => {
  test('is passed over when it stays away: another one is drawn and the task settles [FAULT-1]', async () => {
    const task = await submit(SLOW, 6_000);
    const executor = await field.executorOf(task);
    await field.crash(executor);
    expect(await field.ended(task)).toMatchObject({ outcome: 'settled' });
    const witness = field.indices.find((index) => index !== executor) as number;
    expect((await field.task(witness, task))?.attempt).toBeGreaterThan(1);
    expect(await field.balance(field.net.network.contracts.taskEscrow)).toBe(0n);
    await field.restart(executor);
    expect(field.leftovers(executor)).toEqual([]);
  });

  test('gives the run up as soon as it is back, long before time is up [FAULT-2]', async () => {
    // Its time is up only after ten minutes: that it settles at all shows that the run was given up.
    const task = await submit(SLEEPY, 600_000);
    const executor = await field.executorOf(task);
    await field.crash(executor);
    await field.restart(executor);
    expect(await field.ended(task)).toMatchObject({ outcome: 'settled' });
    expect((await field.task(executor, task))?.attempt).toBeGreaterThan(1);
  });
});

describe('a primary that is killed', () => {
  test('is replaced by a view change: tasks settle and epochs are recorded without it [FAULT-3]', async () => {
    const { primary } = await field.status(1);
    const victim = field.indices.find((index) => field.net.account(index) === primary) as number;
    const witness = field.indices.find((index) => index !== victim) as number;
    const { epochClosed } = await field.status(witness);
    await field.crash(victim);
    const task = await submit(QUICK, 20_000);
    // Turns come round: what counts is that another one has led since.
    await until('another primary leads', async () =>
      (await field.status(witness)).primary === primary ? undefined : true,
    );
    expect(await field.ended(task)).toMatchObject({ outcome: 'settled' });
    await field.ledger.waitFor(
      () =>
        field.ledger.history.events.find((event) => event.type === 'epoch' && event.epoch > epochClosed + 1),
      60_000,
    );
    await field.restart(victim);
    await untilLevel(victim, (await field.status(witness)).sequence);
  });
});

describe('a node that is restarted', () => {
  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'by %s rejoins with a fresh proof of its TPM, keeps its journal and catches up [FAULT-4]',
    async (signal) => {
      const [witness, restarted] = [1, 3];
      const before = await resetCountOf(restarted, witness);
      const { sequence } = await field.status(restarted);
      if (signal === 'SIGTERM') await field.net.processes.stop(`node-${restarted}`);
      else await field.crash(restarted);
      // What it has told an operator was on disk before [CONS-22].
      expect(Math.max(...decisions(restarted).keys())).toBeGreaterThanOrEqual(sequence);
      expect(await field.restart(restarted)).toMatchObject({ isMember: true });
      await until('the others have seen the fresh proof', async () =>
        (await resetCountOf(restarted, witness)) === before + 1 ? true : undefined,
      );
      await untilLevel(restarted, (await field.status(witness)).sequence);
      const { epochs } = await field.net.node<{ epochs: { epoch: number }[] }>(restarted, 'GET /record');
      expect(epochs.length).toBeGreaterThan(0);
    },
  );

  test('together with all others takes up what was open: the task settles and epochs go on [FAULT-5]', async () => {
    const task = await submit(SLEEPY, 600_000);
    await field.executorOf(task);
    await Promise.all(field.indices.map((index) => field.crash(index)));
    await Promise.all(field.indices.map((index) => field.restart(index)));
    expect(await field.ended(task)).toMatchObject({ outcome: 'settled' });
    const { epochClosed } = await field.status(1);
    await field.ledger.waitFor(
      () => field.ledger.history.events.find((event) => event.type === 'epoch' && event.epoch > epochClosed),
      60_000,
    );
    expect(await field.balance(field.net.network.contracts.taskEscrow)).toBe(0n);
  });

  test('without its journal goes on from a snapshot, only follows at first, and then votes again [FAULT-19]', async () => {
    const [witness, wiped, other] = [1, 4, 5] as const;
    const { sequence, epochClosed } = await field.status(witness);
    await field.crash(wiped);
    // Two snapshots on, the others have forgotten the decisions that it had.
    await untilLevel(witness, Math.max(sequence, 64) + 3 * 64, SLOW_MS);
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(field.net.paths.node(wiped), `journal.sqlite${suffix}`), { force: true });
    await field.restart(wiped);
    expect(field.log(`node-${wiped}`)).toContain('goes on from a snapshot');
    await untilLevel(wiped, (await field.status(witness)).sequence);
    await until(
      'it votes again',
      async () => ((await field.status(wiped)).isFollowing ? undefined : true),
      SLOW_MS,
    );
    expect(Math.min(...decisions(wiped).keys())).toBeGreaterThan(sequence);
    // Four of five are a quorum: without one more, nothing is decided but with its vote.
    await field.crash(other);
    await untilLevel(witness, (await field.status(witness)).sequence + 5, SLOW_MS);
    await field.ledger.waitFor(
      () =>
        field.ledger.history.events.find((event) => event.type === 'epoch' && event.epoch > epochClosed + 1),
      60_000,
    );
    await field.restart(other);
    await untilLevel(other, (await field.status(witness)).sequence);
  });

  test('never contradicts itself: all journals agree on every sequence [FAULT-5]', async () => {
    const journals = field.indices.map(decisions);
    const [first, ...others] = journals as [Map<number, string>, ...Map<number, string>[]];
    for (const other of others) {
      const both = [...first.keys()].filter((sequence) => other.has(sequence));
      expect(both.length).toBeGreaterThan(10);
      for (const sequence of both) expect(other.get(sequence)).toBe(first.get(sequence));
    }
    for (const index of field.indices) {
      expect(field.log(`node-${index}`)).not.toContain('contradicted itself');
      expect(field.log(`node-${index}`)).not.toContain('consensus stopped');
    }
  });
});
