import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Field } from './test/field.ts';

const INTERSECT = readFileSync(
  new URL('../../../../examples/private-set-intersection/intersect.py', import.meta.url),
  'utf8',
);
const LOOP = 'def main(inputs):\n    while True: pass\n';
const FORK =
  'import os\ndef main(inputs):\n    while True:\n        try: os.fork()\n        except OSError: pass\n';
const HOARD = 'def main(inputs):\n    held = []\n    while True: held.append(bytearray(1 << 20))\n';
const SHOUT =
  'import sys\ndef main(inputs):\n    for _ in range(1024): sys.stdout.write("x" * (1 << 20))\n    return b""\n';
const CALL_HOME =
  'import socket\ndef main(inputs):\n    socket.create_connection(("127.0.0.1", 8545), 2)\n    return b"reached"\n';
const UNAPPROVED = 'def main(inputs):\n    return b"nobody approved this"\n';

// Only a hang reaches it: a busy machine draws, proves and settles in its own time.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let field: Field;
beforeAll(async () => {
  field = await Field.open({
    nodes: 4,
    codes: [INTERSECT, LOOP, FORK, HOARD, SHOUT, CALL_HOME],
    clients: true,
  });
});
afterAll(() => field?.close());

/** Seals one list for each owner under a rule for this code, and submits the code over both. */
async function runOver(b: string | Uint8Array, c: string | Uint8Array, name: string): Promise<string> {
  const rule = field.rule(INTERSECT);
  const capsules = await Promise.all([
    field.seal('b', field.file(`${name}-b.txt`, b), rule),
    field.seal('c', field.file(`${name}-c.txt`, c), rule),
  ]);
  return field.submit(INTERSECT, capsules, { entry: 'intersect' });
}

describe('lists of the owners', () => {
  test('may hold every script, duplicates, Windows line ends and a byte-order mark, share nothing, or be large [FAULT-18]', async () => {
    const b = '\uFEFFZoë\r\n李小龍\r\n\r\nÅsa\r\nZoë\r\nОльга\r\nonly b\r\n';
    const c = 'Ольга\nZoe\u0308\nÅsa\n李小龍\n李小龍\nonly c';
    const many = (prefix: string, from: number) =>
      Array.from({ length: 50_000 }, (_, i) => `${prefix} ${from + i}`).join('\n');
    const tasks = await Promise.all([
      runOver(b, c, 'scripts'),
      runOver('anna\nbert\n', 'carla\ndora\n', 'nothing'),
      runOver(many('Name', 0), many('Name', 49_000), 'large'),
    ]);
    for (const end of await Promise.all(tasks.map((task) => field.ended(task)))) {
      expect(end).toMatchObject({ outcome: 'settled', reason: null });
    }
    const [scripts, nothing, large] = tasks as [string, string, string];
    expect(await field.result('b', scripts)).toBe('Åsa\nОльга\n李小龍\n');
    expect(await field.result('c', scripts)).toBe('Åsa\nОльга\n李小龍\n');
    expect(await field.result('b', nothing)).toBe('');
    const common = (await field.result('c', large)).trimEnd().split('\n');
    expect(new Set(common)).toEqual(new Set(many('Name', 49_000).split('\n').slice(0, 1_000)));
  });

  test('are refused by code when missing, empty or not UTF-8, and nothing is registered [FAULT-15]', async () => {
    const rule = field.rule(INTERSECT);
    const { capsules } = await field.net.client<{ capsules: number }>('b', 'GET /status');
    await expect(field.seal('b', '/nowhere/list.txt', rule)).rejects.toMatchObject({ code: 'LIST_MISSING' });
    await expect(field.seal('b', field.file('empty.txt', ''), rule)).rejects.toMatchObject({
      code: 'LIST_EMPTY',
    });
    const latin1 = Uint8Array.of(0x5a, 0x6f, 0xeb, 0x0a);
    await expect(field.seal('b', field.file('latin1.txt', latin1), rule)).rejects.toMatchObject({
      code: 'LIST_NOT_UTF8',
    });
    expect(await field.net.client('b', 'GET /status')).toMatchObject({ capsules });
  });
});

describe('a task that may not run', () => {
  test('fails as KEY_REFUSED whatever in the rule forbids it, tells nobody which, and refunds [FAULT-6]', async () => {
    const account = await field.clientAccount('a');
    const before = await field.balance(account);
    const list = field.file('rule.txt', 'anna\n');
    const soon = Math.floor(Date.now() / 1000) + 10;
    const expiring = await field.seal('b', list, field.rule(INTERSECT, { expiryS: soon }));
    const open = await field.seal('c', list, field.rule(INTERSECT));
    const closed = await Promise.all(
      [
        // The network approves both codes; the capsule's owner permits the other one.
        field.rule(LOOP),
        field.rule(INTERSECT, { minCredit: 9_999 }),
      ].map((rule) => field.seal('b', list, rule)),
    );
    await field.ledger.waitFor(() => {
      const now = field.ledger.history.blockTimestampS(field.ledger.history.head) ?? 0;
      return now > soon ? true : undefined;
    }, 30_000);
    const tasks = await Promise.all(
      [...closed, expiring].map((capsule) =>
        field.submit(INTERSECT, [capsule, open], { entry: 'intersect' }),
      ),
    );
    const ends = await Promise.all(tasks.map((task) => field.ended(task)));
    expect(ends.map(({ reason }) => reason)).toEqual(['KEY_REFUSED', 'KEY_REFUSED', 'KEY_REFUSED']);
    expect(await field.balance(account)).toBe(before);
    const heard = field.indices.flatMap((index) =>
      field
        .log(`node-${index}`)
        .split('\n')
        .filter((line) => line.includes('"KEY_REFUSED"'))
        .map((line) => (JSON.parse(line) as { detail: string }).detail),
    );
    expect(heard.length).toBe(3);
    expect(new Set(heard)).toEqual(new Set(['key agent refused: POLICY_REFUSED']));
  });

  test('fails as CODE_NOT_APPROVED when nobody approved its code, though the owner permits it [FAULT-7]', async () => {
    const account = await field.clientAccount('a');
    const before = await field.balance(account);
    const capsule = await field.seal('b', field.file('free.txt', 'anna\n'), field.rule(UNAPPROVED));
    const task = await field.submit(UNAPPROVED, [capsule]);
    expect(await field.ended(task)).toMatchObject({ outcome: 'failed', reason: 'CODE_NOT_APPROVED' });
    expect(await field.balance(account)).toBe(before);
  });
});

describe('code that misbehaves', () => {
  test('ends with its reason on layer 1, leaves clean machines, and the next task is served [FAULT-8]', async () => {
    const account = await field.clientAccount('a');
    const before = await field.balance(account);
    const list = field.file('hostile.txt', 'anna\n');
    const limits = { timeoutMs: 3_000, memoryBytes: 96 << 20 };
    const wanted = [
      { code: LOOP, reason: 'TIMEOUT' },
      { code: FORK, reason: 'TIMEOUT' },
      { code: HOARD, reason: 'OUT_OF_MEMORY' },
      { code: SHOUT, reason: 'OUTPUT_INVALID' },
      { code: CALL_HOME, reason: 'CODE_FAILED' },
    ];
    const tasks = await Promise.all(
      wanted.map(async ({ code }) =>
        field.submit(code, [await field.seal('b', list, field.rule(code))], { limits }),
      ),
    );
    const ends = await Promise.all(tasks.map((task) => field.ended(task)));
    expect(ends.map(({ reason }) => reason)).toEqual(wanted.map(({ reason }) => reason));
    expect(await field.balance(account)).toBe(before);
    expect(field.indices.flatMap((index) => field.leftovers(index))).toEqual([]);
    for (const index of field.indices) {
      const group = `/sys/fs/cgroup/nemea/n${field.net.account(index).slice(2, 14)}/run`;
      expect(existsSync(group)).toBe(false);
      expect(await field.status(index)).toMatchObject({ isReady: true, isMember: true });
    }
    expect(await field.ended(await runOver('anna\nbert\n', 'bert\n', 'after'))).toMatchObject({
      outcome: 'settled',
    });
  });

  test('left every fee either paid out or refunded: the escrow is empty [FAULT-9]', async () => {
    expect(await field.balance(field.net.network.contracts.taskEscrow)).toBe(0n);
  });
});
