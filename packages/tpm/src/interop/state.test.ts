import { createHash } from 'node:crypto';
import { fromUtf8, sha256, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authorization, HANDLE } from '../command.ts';
import {
  DictionaryAttackLockReset,
  HierarchyChangeAuth,
  ObjectChangeAuth,
  PCR_Event,
  PCR_Read,
  ReadClock,
  Unseal,
} from '../commands/index.ts';
import { run } from '../commands/run.ts';
import { withSession } from '../sessions/session.ts';
import { ALG } from '../structures/algorithms.ts';
import { PROPERTY } from '../structures/capability-data.ts';
import type { Tpm } from '../tpm.ts';
import {
  filesOf,
  hexHandle,
  loadFiles,
  makeParent,
  PARENT,
  type SharedTpm,
  startSharedTpm,
  toSized,
} from './test-tools.ts';

const MESSAGE = fromUtf8('a message');
const PASSWORD = 'of the owner';
const EMPTY = new Uint8Array(0);

let shared: SharedTpm;

beforeAll(async () => {
  shared = await startSharedTpm();
  await makeParent(shared);
  await shared.write('message', MESSAGE);
});

afterAll(() => shared.stop());

describe('PCRs:', () => {
  const BANKS = ['sha1', 'sha256', 'sha384', 'sha512'] as const;

  test('tpm2_pcrread reads in every bank what PCR_Event and pcrExtend made', async () => {
    const pcrSelectionIn = BANKS.map((bank) => ({ hashAlg: ALG[bank], pcrs: [9, 16] }));
    const values = await shared.client(async (tpm) => {
      await tpm.run(PCR_Event, { handles: { pcrHandle: 16 }, parameters: { eventData: MESSAGE } });
      await tpm.pcrExtend(9, sha256(fromUtf8('another')));
      const { pcrValues } = await tpm.run(PCR_Read, { parameters: { pcrSelectionIn } });
      return pcrValues;
    });
    const printed = await shared.tool('pcrread', BANKS.map((bank) => `${bank}:9,16`).join('+'));
    const read = [...printed.matchAll(/: 0x([0-9A-F]+)/g)].map(([, hex]) => hex?.toLowerCase());
    expect(read).toEqual(values.map(toHex));
    expect(new Set(read).size).toBe(2 * BANKS.length);
  });

  test('pcrRead reads what tpm2_pcrextend and tpm2_pcrevent made', async () => {
    await shared.tool('pcrreset', '16', '23');
    await shared.tool('pcrextend', `16:sha256=${toHex(sha256(MESSAGE))}`);
    await shared.tool('pcrevent', '23', 'message');
    const value = sha256(new Uint8Array(32), sha256(MESSAGE));
    expect(await shared.client((tpm) => tpm.pcrRead([23, 16]))).toEqual([
      { pcr: 16, value },
      { pcr: 23, value },
    ]);
  });
});

describe('what the TPM says of itself:', () => {
  const printed = async (group: string): Promise<string> => await shared.tool('getcap', group);
  const numbers = (text: string, pattern: RegExp): number[] =>
    [...text.matchAll(pattern)].map(([, digits]) => Number(digits)).sort((a, b) => a - b);
  const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

  test('tpm2_getcap lists the same algorithms, commands, curves and handles', async () => {
    const { algorithms, commands, curves, handles } = await shared.client(async (tpm) => ({
      algorithms: await tpm.capabilities('algorithms'),
      commands: await tpm.capabilities('commands'),
      curves: await tpm.capabilities('curves'),
      handles: await tpm.listHandles('persistent'),
    }));
    const value = /^\s+value:\s+(0x\w+)/gm;
    expect(numbers(await printed('algorithms'), value)).toEqual(
      ascending(algorithms.map((it) => it.algorithm)),
    );
    expect(numbers(await printed('commands'), value)).toEqual(ascending(commands.map((it) => it >>> 0)));
    expect(numbers(await printed('ecc-curves'), /: (0x\w+)/g)).toEqual(ascending(curves));
    expect(numbers(await printed('handles-persistent'), /(0x\w+)/g)).toEqual(ascending(handles));
  });

  test('tpm2_getcap gives the same fixed properties', async () => {
    const ours = await shared.client((tpm) => tpm.capabilities('properties', PROPERTY.familyIndicator));
    const theirs = numbers(await printed('properties-fixed'), /raw:\s+(0x\w+|\d+)/g);
    // These tools know none after TPM_PT_MODES.
    const fixed = ours.filter(({ property }) => property <= PROPERTY.modes).map(({ value }) => value);
    expect(fixed.length).toBeGreaterThan(30);
    expect(theirs).toEqual(ascending(fixed));
  });

  test('tpm2_readclock reads the same counts, and a clock between two of ReadClock', async () => {
    const read = () => shared.client((tpm) => tpm.run(ReadClock));
    const before = await read();
    const text = await shared.tool('readclock');
    const after = await read();
    const { clockInfo } = before.currentTime;
    const value = (name: string) => Number(new RegExp(`  ${name}: (\\d+)`).exec(text)?.[1]);
    expect(value('reset_count')).toBe(clockInfo.resetCount);
    expect(value('restart_count')).toBe(clockInfo.restartCount);
    expect(value('clock')).toBeGreaterThanOrEqual(Number(clockInfo.clock));
    expect(value('clock')).toBeLessThanOrEqual(Number(after.currentTime.clockInfo.clock));
  });

  test('tpm2_hash and Tpm.hash give the same digest, and both that of node:crypto', async () => {
    await shared.tool('hash', '-g', 'sha384', '-C', 'n', '-o', 'digest', 'message');
    const expected = new Uint8Array(createHash('sha384').update(MESSAGE).digest());
    expect(await shared.read('digest')).toEqual(expected);
    const { digest } = await shared.client((tpm) => tpm.hash({ hashAlg: ALG.sha384, data: MESSAGE }));
    expect(digest).toEqual(expected);
  });
});

describe('the owner’s password:', () => {
  const INDEX = 0x01500000;
  const define = (tpm: Tpm, auth: Authorization): Promise<void> =>
    tpm.nvDefine({ index: INDEX, dataSize: 8 }, { auth });

  test('one of tpm2_changeauth is used by an HMAC session, salted or bound, and in the clear', async () => {
    await shared.tool('changeauth', '-c', 'owner', PASSWORD);
    const password = fromUtf8(PASSWORD);
    for (const encryption of [{}, false] as const) {
      await shared.client(
        async (tpm) => {
          await define(tpm, { password });
          await expect(tpm.nvUndefine(INDEX)).rejects.toMatchObject({
            data: { name: 'BAD_AUTH (session 1)' },
          });
          await tpm.nvUndefine(INDEX, { auth: { password } });
        },
        { encryption },
      );
    }
    await shared.client(async (tpm) => {
      const bind = { entity: HANDLE.owner, auth: password };
      await tpm.exclusive((io) =>
        withSession(io, { bind }, async (session) => {
          const handles = { authHandle: HANDLE.owner };
          const auth = [{ session, auth: password }];
          // Empty again.
          await run(io, HierarchyChangeAuth, { handles, parameters: { newAuth: EMPTY }, auth });
        }),
      );
      await define(tpm, 'password');
      await tpm.nvUndefine(INDEX);
    });
  });

  test('one of HierarchyChangeAuth is used by tpm2-tools, in the clear and by an HMAC session', async () => {
    const handles = { authHandle: HANDLE.owner };
    const parameters = { newAuth: fromUtf8(PASSWORD) };
    await shared.client((tpm) => tpm.run(HierarchyChangeAuth, { handles, parameters }));
    const undefine = (...auth: string[]): Promise<string> =>
      shared.tool('nvundefine', '-C', 'o', hexHandle(INDEX), ...auth);
    const size = ['-s', '8', '-a', 'ownerread|ownerwrite'];
    await shared.tool('nvdefine', '-C', 'o', hexHandle(INDEX), ...size, '-P', PASSWORD);
    await expect(undefine()).rejects.toThrow('authorization');
    await shared.tool('startauthsession', '--hmac-session', '-S', 'session');
    await undefine('-P', `session:session+${PASSWORD}`);
    await shared.tool('flushcontext', 'session');
    await shared.tool('changeauth', '-c', 'owner', '-p', PASSWORD);
    await shared.client(async (tpm) => {
      await define(tpm, 'password');
      await tpm.nvUndefine(INDEX);
    });
  });
});

describe('the password of an object:', () => {
  beforeAll(async () => {
    const options = ['-p', 'first', '-i', 'message', '-a', 'fixedtpm|fixedparent|userwithauth'];
    await shared.tool('create', '-C', hexHandle(PARENT), ...options, ...filesOf('sealed'));
  });

  const unseal = (password: string): Promise<{ outData: Uint8Array }> =>
    shared.client(async (tpm) => {
      const handles = { itemHandle: await loadFiles(shared, tpm, 'sealed') };
      return await tpm.run(Unseal, { handles, auth: [{ password: fromUtf8(password) }] });
    });
  const failures = (): Promise<number> =>
    shared.client(async (tpm) => {
      const [counter] = await tpm.capabilities('properties', PROPERTY.lockoutCounter);
      return counter?.value ?? Number.NaN;
    });

  test('one that tpm2_changeauth gave is the one that counts', async () => {
    await shared.tool('load', '-C', hexHandle(PARENT), ...filesOf('sealed'), '-c', 'loaded');
    const change = ['-C', hexHandle(PARENT), '-c', 'loaded', '-p', 'first', '-r', 'sealed.priv'];
    await shared.tool('changeauth', ...change, 'second');
    expect((await unseal('second')).outData).toEqual(MESSAGE);
  });

  test('one that ObjectChangeAuth gave is the one that counts', async () => {
    const { outPrivate } = await shared.client(async (tpm) => {
      const objectHandle = await loadFiles(shared, tpm, 'sealed');
      return await tpm.run(ObjectChangeAuth, {
        handles: { objectHandle, parentHandle: PARENT },
        parameters: { newAuth: fromUtf8('third') },
        auth: [{ password: fromUtf8('second') }],
      });
    });
    await shared.write('sealed.priv', toSized(outPrivate));
    await shared.tool('load', '-C', hexHandle(PARENT), ...filesOf('sealed'), '-c', 'loaded');
    await shared.tool('unseal', '-c', 'loaded', '-p', 'third', '-o', 'unsealed');
    expect(await shared.read('unsealed')).toEqual(MESSAGE);
  });

  test('failures of either count, and either resets the count', async () => {
    await expect(unseal('wrong')).rejects.toMatchObject({ data: { name: 'AUTH_FAIL (session 1)' } });
    const wrong = shared.tool('unseal', '-c', 'loaded', '-p', 'wrong');
    await expect(wrong).rejects.toThrow('authorization HMAC check failed and DA counter incremented');
    expect(await failures()).toBe(2);
    await shared.tool('dictionarylockout', '-c');
    expect(await failures()).toBe(0);
    await expect(unseal('wrong')).rejects.toThrow();
    const handles = { lockHandle: HANDLE.lockout };
    await shared.client((tpm) => tpm.run(DictionaryAttackLockReset, { handles }));
    expect(await shared.tool('getcap', 'properties-variable')).toMatch(/LOCKOUT_COUNTER: 0x0\n/);
  });
});
