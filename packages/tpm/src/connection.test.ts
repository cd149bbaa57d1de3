import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '@nemea/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listHandles } from './capability.ts';
import { openUnixChannel } from './channel/unix.ts';
import { Create, GetRandom, Load, PolicyAuthValue } from './commands/index.ts';
import { run } from './commands/run.ts';
import { openExecutor } from './executor.ts';
import { createPrimary } from './object.ts';
import { type Session, startSession } from './sessions/session.ts';
import { parsePublicArea } from './structures/public-area.ts';
import { TEMPLATES } from './structures/templates.ts';
import { startTestTpm, type TestTpm } from './testing.ts';
import { Tpm } from './tpm.ts';

const AK = { hierarchy: 'endorsement', template: TEMPLATES.ak } as const;
const EK = { hierarchy: 'endorsement', template: TEMPLATES.ek } as const;
const SRK = { hierarchy: 'owner', template: TEMPLATES.srk } as const;
const NOTHING = { userAuth: new Uint8Array(0), data: new Uint8Array(0) };
const QUOTE = { qualifyingData: new Uint8Array(32), pcrs: [0] } as const;
// Many pauses: the tests start the TPM again only after calls have begun to look for it.
const PATIENT = { reconnectsMax: 12 } as const;

let software: TestTpm;
beforeEach(async () => {
  software = await startTestTpm();
});
afterEach(() => software.stop());

/** The objects and sessions that the TPM itself reports, once its client is gone. */
async function leftInTpm(): Promise<number> {
  const channel = await openUnixChannel(software.socketPath);
  const io = openExecutor(channel);
  let count = 0;
  for (const range of ['transient', 'loadedSession', 'savedSession'] as const) {
    count += (await listHandles(io, range)).length;
  }
  await channel.close();
  return count;
}

describe('a call within a call', () => {
  it('is refused, where it would wait for its own end; before and after it is none', async () => {
    const { tpm } = software;
    const nested = () => tpm.exclusive(() => tpm.getRandom(1));
    await expect(nested()).rejects.toMatchObject({ code: 'TPM_CALL_NESTED' });
    const [inside, , other] = await Promise.allSettled([
      nested(),
      tpm.getRandom(1),
      tpm.with({}).getRandom(1),
    ]);
    expect([inside.status, other.status]).toEqual(['rejected', 'fulfilled']);
    let later: Promise<Uint8Array> | undefined;
    await tpm.exclusive(async () => {
      later = sleep(20).then(() => tpm.getRandom(2));
    });
    expect(await later).toHaveLength(2);
  });

  it('may dispose of a key, which is flushed after it', async () => {
    const { tpm } = software;
    const key = await tpm.createPrimary(AK);
    await tpm.exclusive(async () => await key[Symbol.asyncDispose]());
    await expect(tpm.readPublic(key.handle)).rejects.toMatchObject({ code: 'TPM_RETURN_CODE' });
    expect(await tpm.listHandles('transient')).toEqual([]);
  });
});

describe('a key', () => {
  it('leaves the TPM when it is disposed of, and may be disposed of twice', async () => {
    const { tpm } = software;
    const key = await tpm.createPrimary(AK);
    await key[Symbol.asyncDispose]();
    await key[Symbol.asyncDispose]();
    expect(await tpm.listHandles('transient')).toEqual([]);
    await tpm.close();
    expect(await leftInTpm()).toBe(0);
  });

  it('can be disposed of when its TPM is closed or gone', async () => {
    const { tpm } = software;
    const [one, two] = [await tpm.createPrimary(AK), await tpm.createPrimary(AK)];
    await software.kill();
    await one[Symbol.asyncDispose]();
    await tpm.close();
    await two[Symbol.asyncDispose]();
  });

  it('is flushed in the end even if no call can be queued when it is disposed of', async () => {
    const { tpm } = software;
    const key = await tpm.createPrimary(AK);
    const crowd = Promise.allSettled(Array.from({ length: 300 }, () => tpm.getRandom(1)));
    await key[Symbol.asyncDispose]();
    await crowd;
    await tpm.getRandom(1);
    expect(await tpm.listHandles('transient')).toEqual([]);
  });
});

describe('a call on terms', () => {
  it('that is cancelled on its way leaves nothing behind', async () => {
    const { tpm } = software;
    const controller = new AbortController();
    software.signal('SIGSTOP');
    const key = tpm.with({ signal: controller.signal }).createPrimary(AK);
    await sleep(20);
    controller.abort();
    await expect(key).rejects.toMatchObject({ code: 'TPM_CANCELLED' });
    software.signal('SIGCONT');
    expect(await tpm.getRandom(4)).toHaveLength(4);
    await tpm.close();
    expect(await leftInTpm()).toBe(0);
  });

  it('that is cancelled between two commands sends no more than what cleans up', async () => {
    const { tpm } = software;
    const controller = new AbortController();
    const sent: string[] = [];
    const call = tpm.with({ signal: controller.signal }).exclusive(async (io) => {
      const key = await createPrimary(io, AK);
      sent.push('CreatePrimary');
      controller.abort();
      try {
        await io.send({ name: 'ReadPublic', code: 0x173, handles: [key.handle] });
        sent.push('ReadPublic');
      } finally {
        const handle = Uint8Array.of(key.handle >>> 24, key.handle >> 16, key.handle >> 8, key.handle);
        await io.send({ name: 'FlushContext', code: 0x165, parameters: handle });
        sent.push('FlushContext');
      }
    });
    await expect(call).rejects.toMatchObject({ code: 'TPM_CANCELLED' });
    expect(await tpm.listHandles('transient')).toEqual([]);
    expect(sent).toEqual(['CreatePrimary', 'FlushContext']);
  });

  it('runs out of time, and the TPM goes on answering others', async () => {
    const { tpm } = software;
    software.signal('SIGSTOP');
    const first = tpm.with({ timeoutMs: 30 }).getRandom(1);
    const waiting = tpm.with({ timeoutMs: 30 }).getRandom(1);
    const patient = tpm.getRandom(5);
    await expect(first).rejects.toMatchObject({ code: 'TPM_CHANNEL_TIMEOUT' });
    await expect(waiting).rejects.toMatchObject({ code: 'TPM_CHANNEL_TIMEOUT' });
    software.signal('SIGCONT');
    expect(await patient).toHaveLength(5);
  });

  it('does not wait behind all that a busy caller has queued', async () => {
    const { tpm } = software;
    const order: string[] = [];
    const ask = async (lane: string): Promise<void> => {
      await tpm.with({ lane }).getRandom(1);
      order.push(lane);
    };
    await Promise.all([...Array.from({ length: 200 }, () => ask('busy')), ask('modest')]);
    expect(order.indexOf('modest')).toBeLessThan(4);
  });
});

describe('a failing call', () => {
  it('takes along every object and session it made', async () => {
    const { tpm } = software;
    const kept = await tpm.createPrimary(AK);
    const failing = tpm.exclusive(async (io) => {
      for (let i = 0; i < 6; i++) await createPrimary(io, AK);
      throw new Error('on purpose');
    });
    await expect(failing).rejects.toThrow('on purpose');
    expect(await tpm.listHandles('transient')).toEqual([kept.handle]);
    await kept[Symbol.asyncDispose]();
    await tpm.close();
    expect(await leftInTpm()).toBe(0);
  });
});

describe('a lost TPM', () => {
  let tpm: Tpm;
  beforeEach(async () => {
    await software.tpm.close();
    tpm = await Tpm.open(() => openUnixChannel(software.socketPath), PATIENT);
  });
  afterEach(() => tpm.close());

  it('fails the call on its way with a code; those that wait find the TPM again', async () => {
    software.signal('SIGSTOP');
    const running = tpm.getRandom(1);
    const waiting = [2, 3, 4].map((length) => tpm.getRandom(length));
    await sleep(20);
    const failed = expect(running).rejects.toMatchObject({ code: 'TPM_CHANNEL_FAILED' });
    await software.kill();
    await failed;
    await software.restart();
    expect((await Promise.all(waiting)).map(({ length }) => length)).toEqual([2, 3, 4]);
  });

  it('that died while nobody asked is found again without a failing call', async () => {
    await software.kill();
    await software.restart();
    await sleep(20);
    expect(await tpm.getRandom(3)).toHaveLength(3);
  });

  it('keeps its primary keys under their handles: each is made again when it is used', async () => {
    const [ak, other] = [await tpm.createPrimary(AK), await tpm.createPrimary(EK)];
    for (let i = 0; i < 2; i++) {
      await software.kill();
      await software.restart();
      await sleep(20);
      expect((await tpm.quote(ak, QUOTE)).attest.length).toBeGreaterThan(100);
      expect(await tpm.listHandles('transient')).toEqual([ak.handle, other.handle]);
      expect(toHex((await tpm.readPublic(other.handle)).name)).toBe(toHex(other.name));
      const fresh = await tpm.createPrimary(AK);
      expect(fresh.handle).not.toBe(ak.handle);
      await fresh[Symbol.asyncDispose]();
    }
    await other[Symbol.asyncDispose]();
    await ak[Symbol.asyncDispose]();
    expect(await tpm.listHandles('transient')).toEqual([]);
    await tpm.close();
    expect(await leftInTpm()).toBe(0);
  });

  it('keeps no key that was disposed of meanwhile, before or after it is found again', async () => {
    const [one, two] = [await tpm.createPrimary(AK), await tpm.createPrimary(AK)];
    await software.kill();
    await one[Symbol.asyncDispose]();
    await software.restart();
    await sleep(20);
    await tpm.flush(two.handle);
    expect(await tpm.listHandles('transient')).toEqual([]);
  });

  it('takes other keys with it, and their handles mean nothing on the next connection', async () => {
    const nullKey = await tpm.createPrimary({ hierarchy: 'null', template: TEMPLATES.ak });
    const child = await tpm.exclusive(async (io) => {
      const srk = await createPrimary(io, SRK);
      const { outPrivate, outPublic } = await run(io, Create, {
        handles: { parentHandle: srk },
        parameters: { inSensitive: NOTHING, inPublic: parsePublicArea(TEMPLATES.ak) },
      });
      const parameters = { inPrivate: outPrivate, inPublic: outPublic };
      return (await run(io, Load, { handles: { parentHandle: srk }, parameters })).objectHandle;
    });
    await software.kill();
    await software.restart();
    await sleep(20);
    for (const handle of [nullKey.handle, child]) {
      await expect(tpm.readPublic(handle)).rejects.toMatchObject({
        code: 'TPM_RETURN_CODE',
        data: { returnCode: 0x910 },
      });
    }
  });

  it('is told from another TPM at the same place by its keys', async () => {
    const ak = await tpm.createPrimary(AK);
    await software.kill();
    await rm(join(dirname(software.socketPath), 'tpm2-00.permall'));
    await software.restart();
    await sleep(20);
    for (let i = 0; i < 2; i++) {
      await expect(tpm.quote(ak, QUOTE)).rejects.toMatchObject({ code: 'TPM_KEY_UNEXPECTED' });
    }
    await ak[Symbol.asyncDispose]();
    await tpm.close();
    expect(await leftInTpm()).toBe(0);
  });

  it.each(['policy', 'hmac'] as const)(
    'ends a %s session that was held, whatever has its number now',
    async (type) => {
      const held = await tpm.exclusive((io) => startSession(io, { type }));
      await software.kill();
      await software.restart();
      await sleep(20);
      const next = await tpm.exclusive((io) => startSession(io, { type }));
      expect(next.handle).toBe(held.handle);
      const assert = (policySession: Session) => tpm.run(PolicyAuthValue, { handles: { policySession } });
      const use = (session: Session) =>
        tpm.run(GetRandom, {
          parameters: { bytesRequested: 1 },
          sessions: [{ session, encrypt: true }],
          inClear: true,
        });
      const attempts = type === 'policy' ? [assert, use] : [use];
      for (const attempt of attempts) {
        await expect(attempt(held)).rejects.toMatchObject({ code: 'TPM_SESSION_ENDED' });
        await attempt(next);
      }
      expect(held.ended).toBe(true);
      await held.close();
      await next.close();
      await next.close();
      expect(await tpm.listHandles('loadedSession')).toEqual([]);
    },
  );

  it('lets a session be closed that died with it', async () => {
    const held = await tpm.exclusive((io) => startSession(io));
    await software.kill();
    await software.restart();
    await sleep(20);
    await held.close();
    expect(held.ended).toBe(true);
    expect(await tpm.listHandles('loadedSession')).toEqual([]);
  });

  it('never splits a call between two connections', async () => {
    const call = tpm.exclusive(async (io) => {
      await createPrimary(io, AK);
      await software.kill();
      await software.restart();
      // This one meets the dead channel; what counts is the one after it.
      await io
        .send({ name: 'GetRandom', code: 0x17b, parameters: Uint8Array.of(0, 4) })
        .catch(() => undefined);
      return await io.send({ name: 'GetRandom', code: 0x17b, parameters: Uint8Array.of(0, 4) });
    });
    await expect(call).rejects.toMatchObject({ code: 'TPM_CHANNEL_CLOSED' });
    expect(await tpm.getRandom(4)).toHaveLength(4);
  });

  it('is given up after a bounded number of tries, and looked for again by the next call', async () => {
    await tpm.close();
    tpm = await Tpm.open(() => openUnixChannel(software.socketPath), { reconnectsMax: 2 });
    await software.kill();
    await sleep(20);
    await expect(tpm.getRandom(1)).rejects.toMatchObject({
      code: 'TPM_CHANNEL_FAILED',
      message: 'the tpm is gone: tried 2 times',
    });
    await software.restart();
    expect(await tpm.getRandom(1)).toHaveLength(1);
  });

  it('stays lost to a client that was given a channel and no way to open another', async () => {
    await tpm.close();
    tpm = await Tpm.open(await openUnixChannel(software.socketPath));
    await software.kill();
    await software.restart();
    await sleep(20);
    await expect(tpm.getRandom(1)).rejects.toMatchObject({ code: 'TPM_CHANNEL_FAILED' });
    await expect(tpm.getRandom(1)).rejects.toMatchObject({ code: 'TPM_CHANNEL_CLOSED' });
  });

  it('is not looked for by a client that its owner closed', async () => {
    await tpm.close();
    await expect(tpm.getRandom(1)).rejects.toMatchObject({ code: 'TPM_CHANNEL_CLOSED' });
  });
});
