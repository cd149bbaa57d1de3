import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sha256, toHex } from '@nemea/core';
import type { Report } from '@nemea/sdk';
import { DEPOSIT, type Devnet } from '../apps/cli/src/devnet/devnet.ts';
import { builtImage } from '../apps/cli/src/devnet/image.ts';
import { CODE } from './intersection.ts';

/** Milliseconds of each part, in the order in which they happen; together they are `total`. */
export interface TaskTimes {
  readonly seen: number;
  readonly drawn: number;
  readonly fetched: number;
  readonly vouched: number;
  readonly released: number;
  readonly ran: number;
  readonly opened: number;
  readonly total: number;
}

interface NodeRecord {
  readonly timings: readonly { event: string; atMs: number; detail: string }[];
  readonly tasks: readonly { taskId: string; outcome: string; election: { executor: string } | null }[];
}

const LIMITS = { timeoutMs: 30_000, memoryBytes: 512 << 20, pids: 64, outputBytes: 64 << 20 };
const TIMEOUT_MS = 90_000;
const POLL_MS = 25;

/** One task over the demo's capsules, from the author's request to both opened results; returns once it is settled. */
export async function runTask(net: Devnet, report: Report): Promise<TaskTimes> {
  const startMs = Date.now();
  const { taskId } = await net.client<{ taskId: string }>('a', 'POST /task', orderOf(report));
  await Promise.all(['b', 'c'].map((name) => open(net, name, taskId)));
  const endMs = Date.now();
  const witness = activeIndex(report);
  const executor = await within(async () => {
    const { tasks } = await net.node<NodeRecord>(witness, 'GET /record');
    const task = tasks.find((candidate) => candidate.taskId === taskId);
    return task?.outcome === 'open' ? undefined : task?.election?.executor;
  });
  const index = report.nodes.findIndex(({ account }) => account === executor) + 1;
  const { timings } = await net.node<NodeRecord>(index, 'GET /record');
  const at = (event: string): number => {
    const timing = timings.find((candidate) => candidate.event === event && candidate.detail === taskId);
    if (timing === undefined) throw new Error(`the executor did not note when the task was ${event}`);
    return timing.atMs;
  };
  return {
    seen: at('task-seen') - startMs,
    drawn: at('elected') - at('task-seen'),
    fetched: at('fetched') - at('elected'),
    vouched: at('vouched') - at('fetched'),
    released: at('released') - at('vouched'),
    ran: at('ran') - at('released'),
    opened: endMs - at('ran'),
    total: endMs - startMs,
  };
}

function orderOf(report: Report) {
  const image = builtImage();
  return {
    codeFile: CODE,
    entry: 'intersect',
    imageDigest: image.digest,
    imageName: image.name,
    capsuleIds: report.capsules.map(({ capsuleId }) => capsuleId),
    fee: (DEPOSIT / 10n).toString(),
    minLevel: 1,
    minCredit: 1,
    limits: LIMITS,
  };
}

async function open(net: Devnet, name: string, taskId: string): Promise<void> {
  await within(async () => {
    const results = await net.client<{ taskId: string }[]>(name, 'GET /results');
    return results.some((result) => result.taskId === taskId) ? true : undefined;
  });
  const out = join(net.paths.results, `${name}-${taskId.slice(0, 8)}.txt`);
  await net.client(name, 'POST /open', { taskId, out });
  const digest = toHex(sha256(new Uint8Array(readFileSync(out))));
  const want = toHex(sha256(new Uint8Array(readFileSync(join(net.paths.results, `${name}.txt`)))));
  if (digest !== want) throw new Error(`${name} opened another result than in the demo`);
}

export function activeIndex(report: Report): number {
  return report.nodes.findIndex(({ status }) => status === 'active') + 1;
}

/** Asks until there is an answer. */
export async function within<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`no answer in ${TIMEOUT_MS} ms`);
    await delay(POLL_MS);
  }
}
