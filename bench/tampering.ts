import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '@nemea/sdk';
import type { Devnet } from '../apps/cli/src/devnet/devnet.ts';
import { activeIndex, within } from './task-run.ts';

interface Evictions {
  readonly evictions: readonly { account: string; epoch: number }[];
}

/** Lets a member load the release that the demo changed, and waits until all the others have dropped it. */
export async function tamper(
  net: Devnet,
  report: Report,
): Promise<{ toEvictionMs: number; askedToEvictionMs: number }> {
  const index = report.nodes.findLastIndex(({ status }) => status === 'active') + 1;
  const account = net.account(index);
  const others = report.nodes.flatMap(({ status }, other) =>
    status === 'active' && other + 1 !== index ? [other + 1] : [],
  );
  const file = join(net.paths.dir, 'changed-release.json');
  // Another one than the demo's, so that it is news to everybody.
  writeFileSync(file, readFileSync(file, 'utf8').replace('"0000', '"1111'));
  const epochBegins = new Map<number, number>();
  const startMs = performance.now();
  await net.node(index, 'POST /load-release', { file });
  await within(async () => {
    const statuses = await Promise.all(others.map((other) => net.status(other)));
    for (const status of statuses) {
      if (status !== undefined && !epochBegins.has(status.epoch))
        epochBegins.set(status.epoch, performance.now());
    }
    const isGone = statuses.every((status) => status?.members.every((member) => member.account !== account));
    return isGone ? true : undefined;
  });
  const evictedMs = performance.now();
  const { evictions } = await net.node<Evictions>(activeIndex(report), 'GET /record');
  const epoch = evictions.find((eviction) => eviction.account === account)?.epoch ?? Number.NaN;
  const askedMs = epochBegins.get(epoch);
  if (askedMs === undefined) throw new Error(`no attestor of a known epoch accused ${account}`);
  return { toEvictionMs: evictedMs - startMs, askedToEvictionMs: evictedMs - Math.max(startMs, askedMs) };
}
