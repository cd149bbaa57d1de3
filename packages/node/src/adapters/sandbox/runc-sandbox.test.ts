import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromUtf8, sha256, toUtf8 } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, listIfPresent, readIfPresent } from './files.ts';
import { mountsBelow } from './mounts.ts';
import { openRuncSandbox } from './runc-sandbox.ts';
import {
  type Bench,
  builtImageDigest,
  EXAMPLES,
  IMAGE_FILE,
  LIMITS,
  openBench,
  resultText,
  runOnce,
} from './testing.ts';

const NODE_ID = 'test-sandbox';
const JOIN = 'def main(inputs):\n  return b"|".join(inputs)\n';
const INTERSECT = readFileSync(join(EXAMPLES, 'private-set-intersection/intersect.py'), 'utf8');

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(NODE_ID);
});
afterAll(async () => {
  await bench.sandbox.close();
  expect(existsSync(`/run/nemea/${NODE_ID}`)).toBe(false);
  expect(mountsBelow(`/run/nemea/${NODE_ID}`)).toEqual([]);
});

describe('a run', () => {
  test('gives the function its inputs in order and returns its bytes with what it used', async () => {
    const inputs = ['b', 'a', ''].map(fromUtf8);
    const outcome = await runOnce(bench, { code: JOIN, inputs });
    expect(outcome).toMatchObject({ outcome: 'completed', outputs: [fromUtf8('b|a|')] });
    expect(outcome.usage.cpuMs).toBeGreaterThan(0);
    expect(outcome.usage.wallMs).toBeGreaterThan(0);
    expect(outcome.usage.memoryPeakBytes).toBeGreaterThan(1024 * 1024);
  });

  test('returns a list of results in order', async () => {
    const code = 'def main(inputs):\n  return [bytes([i]) * i for i in range(12)]\n';
    const outcome = await runOnce(bench, { code });
    expect(outcome).toMatchObject({ outcome: 'completed' });
    const outputs = outcome.outcome === 'completed' ? outcome.outputs : [];
    expect(outputs.map((output) => output.length)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test('computes the same on every machine: the order of a set is fixed', async () => {
    const code = 'def main(inputs):\n  return ",".join({chr(i) * 9 for i in range(200, 400)}).encode()\n';
    expect(await resultText(bench, { code })).toBe(await resultText(bench, { code }));
  });

  test.each([
    [
      'raises an exception',
      'def main(inputs):\n  raise ValueError(inputs)\n',
      'the function raised an exception',
    ],
    ['exits by itself', 'def main(inputs):\n  raise SystemExit(0)\n', 'the function raised an exception'],
    ['does not compile', 'def main(:\n', 'the code file does not load'],
    ['is not UTF-8 text', 'x = "\ud800"\0', 'the code file does not load'],
    ['has no such function', 'other = 1\n', 'the code file has no function of that name'],
    ['returns text', 'def main(inputs):\n  return "text"\n', 'bytes'],
    ['returns nothing', 'def main(inputs):\n  return []\n', 'bytes'],
    [
      'ends with a status of its own',
      'import os\ndef main(inputs):\n  os._exit(42)\n',
      'ended with an error',
    ],
    ['dies of a signal', 'import ctypes\ndef main(inputs):\n  ctypes.string_at(0)\n', 'ended with an error'],
  ])('fails with a reason when the code %s', async (_, code, reason) => {
    const outcome = await runOnce(bench, { code });
    expect(outcome).toMatchObject({
      outcome: 'failed',
      code: 'EXIT_NONZERO',
      detail: expect.stringContaining(reason),
    });
  });

  test('records the digests of image, code and system call filter', async () => {
    const session = await bench.sandbox.open({ ...request('record'), code: fromUtf8(JOIN) });
    expect(session.record.imageDigest).toEqual(bench.imageDigest);
    expect(session.record.codeDigest).toEqual(sha256(fromUtf8(JOIN)));
    expect(session.record.seccompDigest).toHaveLength(32);
    await session.wipe();
  });

  test('can be ended early and tells that this node did it', async () => {
    const code = 'import time\ndef main(inputs):\n  time.sleep(60)\n';
    const outcome = await runOnce(bench, { code, during: (session) => session.kill() });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'KILLED' });
  });

  test('is wiped even while it still runs', async () => {
    const code = 'import time\ndef main(inputs):\n  time.sleep(60)\n';
    const outcome = await runOnce(bench, { code, during: (session) => session.wipe() });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'KILLED' });
  });
});

describe('the smallest and the strangest run', () => {
  test('fits into the smallest limits that are accepted', async () => {
    const limits = { memoryBytes: 32 * 1024 * 1024, pids: 16, outputBytes: 1, stdoutBytes: 0 };
    expect(await resultText(bench, { code: 'def main(inputs):\n  return b"1"\n', limits })).toBe('1');
  });

  test('takes as many and as large inputs as are accepted', async () => {
    const inputs = Array.from({ length: 64 }, (_, index) =>
      new Uint8Array(index === 0 ? 40_000_000 : 1).fill(65),
    );
    const code = 'def main(inputs):\n  return str(sum(map(len, inputs))).encode()\n';
    expect(await resultText(bench, { code, inputs })).toBe('40000063');
  });

  test('is ended and told as a fault of the runtime when the runtime itself is killed', async () => {
    const code = 'import time\ndef main(inputs):\n  time.sleep(60)\n';
    const outcome = await runOnce(bench, { code, during: killRuntime });
    expect(outcome).toMatchObject({ outcome: 'failed', code: 'RUNTIME_FAILED' });
  });
});

/** Kills the runtime process of the bench's run, once the program itself is there. */
async function killRuntime(): Promise<void> {
  const isRunning = () =>
    listIfPresent('/proc').filter((pid) => commandLine(pid).includes('/usr/local/lib/nemea/run.py'));
  const runtime = () =>
    listIfPresent('/proc').filter((pid) => commandLine(pid).includes(`/run/nemea/${NODE_ID}/runc`));
  expect(await eventually(() => isRunning().length > 0 && runtime().length > 0, 500, 10)).toBe(true);
  for (const pid of runtime()) process.kill(Number(pid), 'SIGKILL');
}

function commandLine(pid: string): string {
  return /^\d+$/.test(pid) ? (readIfPresent(`/proc/${pid}/cmdline`) ?? '') : '';
}

describe('the phases of a session', () => {
  test('start nothing before start, and refuse a second session, a snapshot and an image in between', async () => {
    const session = await bench.sandbox.open(request('phases'));
    const processes = mountsBelow(`/run/nemea/${NODE_ID}/runs/phases`);
    expect(processes).toHaveLength(2);
    for (const { line } of processes) expect(line).toMatch(/nosuid,nodev,noexec,.*nosymfollow/);
    await expect(session.wait()).rejects.toMatchObject({ code: 'SANDBOX_ORDER' });
    await expect(bench.sandbox.open(request('second'))).rejects.toMatchObject({ code: 'SANDBOX_BUSY' });
    await expect(bench.sandbox.snapshot()).rejects.toMatchObject({ code: 'SANDBOX_BUSY' });
    await session.wipe();
    await session.wipe();
    await expect(session.start()).rejects.toMatchObject({ code: 'SANDBOX_ORDER' });
    expect(existsSync(`/run/nemea/${NODE_ID}/runs/phases`)).toBe(false);
  });

  test('refuse a run with an image that is not loaded', async () => {
    const run = { ...request('unknown'), imageDigest: new Uint8Array(32) };
    await expect(bench.sandbox.open(run)).rejects.toMatchObject({ code: 'SANDBOX_IMAGE_UNKNOWN' });
  });
});

describe('an image', () => {
  test('with another digest than the expected one is refused before it is mounted', async () => {
    const loading = bench.sandbox.loadImage(IMAGE_FILE, new Uint8Array(32).fill(7));
    await expect(loading).rejects.toMatchObject({ code: 'SANDBOX_IMAGE_MISMATCH' });
  });

  test('that is not a file system is refused by the kernel and leaves no trace', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nemea-image-'));
    const file = join(folder, 'bad.erofs');
    writeFileSync(file, new Uint8Array(65_536).fill(1));
    const before = await bench.sandbox.snapshot();
    const loading = bench.sandbox.loadImage(file, sha256(readFileSync(file)));
    await expect(loading).rejects.toMatchObject({ code: 'SANDBOX_COMMAND_FAILED' });
    expect((await bench.sandbox.snapshot()).digest).toEqual(before.digest);
    rmSync(folder, { recursive: true });
  });

  test('is part of the snapshot', async () => {
    const other = await openRuncSandbox({ nodeId: 'test-snapshot' });
    const empty = await other.snapshot();
    await other.loadImage(IMAGE_FILE, builtImageDigest());
    expect((await other.snapshot()).digest).not.toEqual(empty.digest);
    await other.close();
    await expect(other.snapshot()).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' });
  });
});

describe('two nodes on one machine', () => {
  test('run at the same time with different ids, and neither sees the other in its snapshot', async () => {
    const other = await openBench('test-neighbour');
    const code = 'import os\ndef main(inputs):\n  return open("/proc/self/uid_map", "rb").read()\n';
    const [mine, theirs] = await Promise.all([resultText(bench, { code }), resultText(other, { code })]);
    expect(mine.trim().split(/\s+/)[1]).not.toBe(theirs.trim().split(/\s+/)[1]);
    await other.sandbox.close();
  });

  test('cannot have one name', async () => {
    await expect(openRuncSandbox({ nodeId: NODE_ID })).rejects.toMatchObject({
      code: 'SANDBOX_PREFIX_TAKEN',
    });
  });
});

describe('after a crash', () => {
  test('the next life of the node ends the old run and removes what it left', async () => {
    const source = join(import.meta.dirname, 'testing.ts');
    const life = `
      import { openBench, LIMITS } from ${JSON.stringify(source)};
      const { sandbox, imageDigest } = await openBench('test-crash');
      const code = new TextEncoder().encode('def main(inputs):\\n  while True: pass\\n');
      const session = await sandbox.open({ runId: 'lost', imageDigest, code, entry: 'main', inputs: [code], limits: LIMITS });
      await session.start();
      const { groupProcesses, findCgroups } = await import(${JSON.stringify(join(import.meta.dirname, 'cgroup.ts'))});
      while (groupProcesses(findCgroups('/sys/fs/cgroup'), 'nemea/test-crash/lost').length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      process.kill(process.pid, 'SIGKILL');
    `;
    const died = spawnSync(process.execPath, ['--input-type=module', '--eval', life], { encoding: 'utf8' });
    expect(died.signal, died.stderr).toBe('SIGKILL');
    expect(mountsBelow('/run/nemea/test-crash').length).toBe(3);

    const sandbox = await openRuncSandbox({ nodeId: 'test-crash' });
    expect(sandbox.recovered).toEqual(['lost']);
    expect(mountsBelow('/run/nemea/test-crash')).toEqual([]);
    expect((await sandbox.snapshot()).items.find(({ name }) => name === 'processes')?.digest).toEqual(
      sha256(fromUtf8('')),
    );
    await sandbox.close();
  });
});

describe('the intersection of two lists', () => {
  const intersect = async (...lists: (string | Uint8Array)[]): Promise<string> =>
    resultText(bench, {
      code: INTERSECT,
      entry: 'intersect',
      inputs: lists.map((list) => (typeof list === 'string' ? fromUtf8(list) : list)),
    });

  test('of the example is what the lists have in common, sorted by code point', async () => {
    const read = (name: string) => toUtf8(readFileSync(join(EXAMPLES, 'private-set-intersection', name)));
    const [b, c] = [read('names-b.csv'), read('names-c.csv')];
    const inC = new Set(c.split('\n'));
    const common = [...new Set(b.split('\n'))].filter((name) => name !== '' && inC.has(name));
    common.sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
    expect(common.length).toBeGreaterThan(200);
    expect(await intersect(b, c)).toBe(common.map((name) => `${name}\n`).join(''));
  });

  test('tolerates a byte-order mark, Windows line ends, duplicates, empty lines and a missing last line end', async () => {
    expect(await intersect('\ufeffZoé\r\n李\r\n\r\nZoé\r\nAda', 'Zoé\nAda\n\n李\nBob\n')).toBe(
      'Ada\nZoé\n李\n',
    );
  });

  test('sorts by code point beyond the basic plane and does not split at unusual line separators', async () => {
    const list = '𠮷夫\n\uffee\nA\u2028B\nC\u0085D\n';
    expect(await intersect(list, list)).toBe('A\u2028B\nC\u0085D\n\uffee\n𠮷夫\n');
  });

  test('is empty when there is nothing in common or a list is empty', async () => {
    expect(await intersect('Ada\n', 'Bob\n')).toBe('');
    expect(await intersect('', 'Bob\n')).toBe('');
  });

  test('holds for 50,000 names in each list', async () => {
    const names = (from: number) => Array.from({ length: 50_000 }, (_, i) => `Ñame ${from + i}\n`).join('');
    expect((await intersect(names(0), names(40_000))).split('\n')).toHaveLength(10_001);
  });

  test('fails for a list that is not UTF-8', async () => {
    await expect(intersect(new Uint8Array([0xff, 0xfe, 0x41]), 'A\n')).rejects.toThrow('EXIT_NONZERO');
  });
});

function request(runId: string) {
  const code = fromUtf8(JOIN);
  return { runId, imageDigest: bench.imageDigest, code, entry: 'main', inputs: [], limits: LIMITS };
}
