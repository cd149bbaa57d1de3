import { fromUtf8 } from '@nemea/core';
import { describe, expect, it } from 'vitest';
import { HANDLE } from '../../command.ts';
import { ALG } from '../../structures/algorithms.ts';
import { CAPABILITY } from '../../structures/capability-data.ts';
import {
  ACT_SetTimeout,
  ChangeEPS,
  ChangePPS,
  Clear,
  ClearControl,
  ClockRateAdjust,
  ClockSet,
  DictionaryAttackLockReset,
  DictionaryAttackParameters,
  FlushContext,
  GetCapability,
  GetRandom,
  GetTestResult,
  HierarchyChangeAuth,
  HierarchyControl,
  IncrementalSelfTest,
  PP_Commands,
  ReadClock,
  SelfTest,
  SetAlgorithmSet,
  SetPrimaryPolicy,
  Shutdown,
  STARTUP,
  Startup,
  StirRandom,
} from '../index.ts';
import { AREA, type Bench, EMPTY } from './bench.ts';

/** Commands that change the whole TPM: on one of their own, over a channel that needs no key of it. */
export function lifecycle(open: () => Bench): void {
  describe('the life of a TPM', () => {
    it('refuses a second start, and shuts down', async () => {
      const { run } = open();
      await expect(run(Startup, { parameters: { startupType: STARTUP.clear } })).rejects.toMatchObject({
        data: { name: 'INITIALIZE', kind: 'error' },
      });
      await run(Shutdown, { parameters: { shutdownType: STARTUP.state } });
    });

    it('tests itself', async () => {
      const { run } = open();
      await run(SelfTest, { parameters: { fullTest: true } });
      const { toDoList } = await run(IncrementalSelfTest, { parameters: { toTest: [ALG.sha256] } });
      expect(toDoList).toEqual([]);
      expect((await run(GetTestResult)).testResult).toBe(0);
    });

    it('gives random numbers and takes some', async () => {
      const { run } = open();
      await run(StirRandom, { parameters: { inData: fromUtf8('entropy') } });
      const { randomBytes } = await run(GetRandom, { parameters: { bytesRequested: 32 } });
      expect(randomBytes).toHaveLength(32);
    });

    it.each(Object.entries(CAPABILITY))('tells its %s', async (group, capability) => {
      const { run } = open();
      const first: Record<string, number> = { properties: 0x100, authPolicies: 0x40000000, act: 0x40000110 };
      const parameters = { capability, property: first[group] ?? 0, propertyCount: 64 };
      const { capabilityData } = await run(GetCapability, { parameters });
      expect(capabilityData.capability).toBe(group);
    });

    it('does not tell what nobody knows', async () => {
      const { run } = open();
      const parameters = { capability: 0x50, property: 0, propertyCount: 1 };
      await expect(run(GetCapability, { parameters })).rejects.toMatchObject({
        data: { name: 'VALUE (parameter 1)', accused: { name: 'capability' } },
      });
    });

    it('sets its clock forward only, and its rate', async () => {
      const { run } = open();
      const { currentTime } = await run(ReadClock);
      const { clock } = currentTime.clockInfo;
      const handles = { auth: HANDLE.owner };
      await run(ClockSet, { handles, parameters: { newTime: clock + 60_000n } });
      await expect(run(ClockSet, { handles, parameters: { newTime: 0n } })).rejects.toMatchObject({
        data: { name: 'VALUE (parameter 1)', accused: { name: 'newTime' } },
      });
      await run(ClockRateAdjust, { handles, parameters: { rateAdjust: -3 } });
      await run(ClockRateAdjust, { handles, parameters: { rateAdjust: 3 } });
    });

    it('counts wrong passwords, and forgives', async () => {
      const { run } = open();
      await run(DictionaryAttackParameters, {
        handles: { lockHandle: HANDLE.lockout },
        parameters: { newMaxTries: 5, newRecoveryTime: 10, lockoutRecovery: 10 },
      });
      await run(DictionaryAttackLockReset, { handles: { lockHandle: HANDLE.lockout } });
      await expect(
        run(DictionaryAttackLockReset, { handles: { lockHandle: HANDLE.owner } }),
      ).rejects.toMatchObject({ data: { name: 'VALUE (handle 1)', accused: { name: 'lockHandle' } } });
    });

    it('changes the password and the policy of a hierarchy', async () => {
      const { run } = open();
      const owner = { authHandle: HANDLE.owner };
      const password = fromUtf8('secret');
      await run(HierarchyChangeAuth, { handles: owner, parameters: { newAuth: password } });
      await expect(
        run(SetPrimaryPolicy, { handles: owner, parameters: { authPolicy: EMPTY, hashAlg: ALG.null } }),
      ).rejects.toMatchObject({
        data: { name: 'BAD_AUTH (session 1)', accused: { kind: 'session', name: 'authHandle' } },
      });
      await run(SetPrimaryPolicy, {
        handles: owner,
        parameters: { authPolicy: EMPTY, hashAlg: ALG.null },
        auth: [{ password }],
      });
      await run(HierarchyChangeAuth, {
        handles: owner,
        parameters: { newAuth: EMPTY },
        auth: [{ password }],
      });
    });

    it('switches a hierarchy off and on', async () => {
      const { run, primary } = open();
      const control = (state: boolean) =>
        run(HierarchyControl, {
          handles: { authHandle: HANDLE.platform },
          parameters: { enable: HANDLE.owner, state },
        });
      await control(false);
      await expect(primary(AREA.srk)).rejects.toMatchObject({
        data: { name: 'HIERARCHY (handle 1)', accused: { name: 'primaryHandle' } },
      });
      await control(true);
    });

    it('is cleared, unless that is disabled', async () => {
      const { run } = open();
      const clear = () => run(Clear, { handles: { authHandle: HANDLE.lockout } });
      const handles = { auth: HANDLE.platform };
      await run(ClearControl, { handles, parameters: { disable: true } });
      await expect(clear()).rejects.toMatchObject({ data: { name: 'DISABLED' } });
      await run(ClearControl, { handles, parameters: { disable: false } });
      await clear();
    });

    it('makes new seeds, and so other keys', async () => {
      const { run, primary } = open();
      const seen: Uint8Array[] = [];
      for (const hierarchy of [HANDLE.endorsement, HANDLE.platform]) {
        const key = await primary(AREA.srk, { hierarchy });
        seen.push(key.name);
        await run(FlushContext, { parameters: { flushHandle: key.handle } });
      }
      await run(ChangeEPS, { handles: { authHandle: HANDLE.platform } });
      await run(ChangePPS, { handles: { authHandle: HANDLE.platform } });
      for (const hierarchy of [HANDLE.endorsement, HANDLE.platform]) {
        const key = await primary(AREA.srk, { hierarchy });
        expect(seen).not.toContainEqual(key.name);
        await run(FlushContext, { parameters: { flushHandle: key.handle } });
      }
    });

    it('takes a set of algorithms from the platform', async () => {
      const { run } = open();
      await run(SetAlgorithmSet, {
        handles: { authHandle: HANDLE.platform },
        parameters: { algorithmSet: 0 },
      });
    });

    it('wants somebody present to change what needs presence', async () => {
      const { run } = open();
      const change = run(PP_Commands, {
        handles: { auth: HANDLE.platform },
        parameters: { setList: [], clearList: [] },
      });
      await expect(change).rejects.toMatchObject({
        data: { name: 'PP (session 1)', accused: { name: 'auth' } },
      });
    });

    it('says when it does not have a command', async () => {
      const { run } = open();
      await expect(
        run(ACT_SetTimeout, { handles: { actHandle: 0x40000110 }, parameters: { startTimeout: 1 } }),
      ).rejects.toMatchObject({ data: { name: 'COMMAND_CODE' } });
    });
  });
}
