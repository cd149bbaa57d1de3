import { type ChildProcess, fork } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import type { PeerEvent } from '../../ports/transport.ts';

const PROGRAM = new URL('./test/host-process.ts', import.meta.url);
const children: ChildProcess[] = [];
afterEach(async () => {
  await Promise.all(children.splice(0).map(stop));
});

interface Host {
  readonly child: ChildProcess;
  call<T>(name: string, ...args: (string | number)[]): Promise<T>;
}
type Reply = { id: number; value?: unknown; error?: string };
type Address = { peer: string; address: string };

function startHost(): Host {
  const child = fork(PROGRAM, { execArgv: [] });
  children.push(child);
  const waiting = new Map<number, (reply: Reply) => void>();
  child.on('message', (reply: Reply) => waiting.get(reply.id)?.(reply));
  let lastId = 0;
  return {
    child,
    async call<T>(name: string, ...args: (string | number)[]): Promise<T> {
      lastId += 1;
      const id = lastId;
      const reply = await new Promise<Reply>((resolve) => {
        waiting.set(id, resolve);
        child.send({ id, name, args });
      });
      if (reply.error !== undefined) throw new Error(reply.error);
      return reply.value as T;
    },
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

async function untilPeers(host: Host, count: number): Promise<void> {
  await expect.poll(async () => (await host.call<string[]>('peers')).length, { timeout: 20_000 }).toBe(count);
}

test('members in separate processes connect, answer a hundred requests at once, and evict', {
  timeout: 60_000,
}, async () => {
  const [a, b] = [startHost(), startHost()];
  const atA = await a.call<Address>('openOverlay', 0, 'genuine');
  const atB = await b.call<Address>('openOverlay', 1, 'genuine');
  expect(await a.call('connect', atB.address)).toBe('NO_ERROR');
  await untilPeers(b, 1);
  expect(await a.call('ask', atB.peer, 100, 256)).toBe(100);
  expect(await b.call('ask', atA.peer, 100, 64 * 1024)).toBe(100);
  await a.call('evict', atB.peer);
  await untilPeers(b, 0);
  expect(await b.call('connect', atA.address)).toBe('NOT_A_MEMBER');
});

test('a process with forged evidence stays outside, and both sides know why', {
  timeout: 60_000,
}, async () => {
  const [a, b] = [startHost(), startHost()];
  await a.call<Address>('openOverlay', 0, 'forged');
  const atB = await b.call<Address>('openOverlay', 1, 'genuine');
  expect(await a.call('connect', atB.address)).toBe('EVIDENCE_FORGED');
  await expect
    .poll(() => b.call<PeerEvent[]>('events'))
    .toMatchObject([{ code: 'EVIDENCE_FORGED', by: 'us' }]);
  expect(await b.call('peers')).toEqual([]);
});

test('a member that was killed is found again when it restarts elsewhere', { timeout: 60_000 }, async () => {
  const a = startHost();
  await a.call<Address>('openOverlay', 0, 'genuine');
  const first = startHost();
  const before = await first.call<Address>('openOverlay', 1, 'genuine');
  await a.call('setMember', before.peer, before.address);
  await untilPeers(a, 1);
  await stop(first.child);
  await untilPeers(a, 0);
  const second = startHost();
  const after = await second.call<Address>('openOverlay', 1, 'genuine');
  await a.call('setMember', after.peer, after.address);
  await untilPeers(a, 1);
  expect(await a.call('ask', after.peer, 10, 1000)).toBe(10);
});

test('a capsule of 5 MiB crosses from process to process unchanged', { timeout: 60_000 }, async () => {
  const [holder, reader] = [startHost(), startHost()];
  const at = await holder.call<Address>('openStore', 2);
  await reader.call<Address>('openStore', 3);
  const bytes = 5 * 1024 * 1024;
  const { cid, digest } = await holder.call<{ cid: string; digest: string }>('put', bytes);
  expect(await reader.call('get', cid, at.address, 30_000, bytes - 1)).toEqual({ code: 'CAPSULE_TOO_LARGE' });
  expect(await reader.call('get', cid, at.address, 30_000, bytes)).toEqual({ digest });
});

test('a holder killed in the middle is named, not waited for', { timeout: 60_000 }, async () => {
  const [holder, reader] = [startHost(), startHost()];
  const at = await holder.call<Address>('openStore', 2);
  await reader.call<Address>('openStore', 3);
  const absent = 'bafkreihhoodhg7becyfxkoyrsdpsydw3hbwcolvhaqiib2ekklkpcgfxba';
  const fetched = reader.call('get', absent, at.address, 50_000, 1000);
  setTimeout(() => holder.child.kill('SIGKILL'), 300);
  expect(await fetched).toEqual({ code: 'CAPSULE_UNREACHABLE' });
});
