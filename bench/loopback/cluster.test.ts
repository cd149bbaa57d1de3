import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startCluster } from './cluster.ts';
import { run } from './load.ts';

test('four processes order what clients put, also by signatures of their own, and after their primary was killed', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'nemea-loopback-test-'));
  const cluster = await startCluster({ size: 4, dir, settings: { progressTimeoutMs: 500 } });
  onTestFinished(async () => {
    await cluster.close();
    await rm(dir, { recursive: true, force: true });
  });
  const { client } = cluster;
  const put = (key: string, value: Uint8Array): Promise<void> => client.put({ key, value });
  const load = { clients: 8, durationMs: 1_000, valueBytes: 256 };
  const bundled = await run(put, load);
  client.limits = { putsMax: 1, bundlesMax: 8 };
  const single = await run(put, load);
  expect(bundled.operations).toBeGreaterThan(0);
  expect(single.operations).toBeGreaterThan(0);
  const { primary } = client;
  cluster.kill(primary);
  await put('after', new Uint8Array(256));
  expect(client.primary).not.toBe(primary);
  const usage = await cluster.usage();
  expect(usage.size).toBe(3);
  for (const { view } of usage.values()) expect(view).toBeGreaterThan(0);
});
