import { fromUtf8, toHex } from '@nemea/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openUnixChannel } from './channel/unix.ts';
import { changeHierarchyAuth, resetLockout } from './hierarchy.ts';
import { inspect } from './inspect.ts';
import { nvDefine, nvWrite } from './nv.ts';
import { createPrimary, flush } from './object.ts';
import { findPersistent, removePersistent, storePersistent } from './persistent.ts';
import { PERSISTENT, type ProvisionRequest, provision } from './provision.ts';
import { NV_ATTRIBUTE } from './structures/algorithms.ts';
import { parseAttest } from './structures/attest.ts';
import { TEMPLATES } from './structures/templates.ts';
import { startTestTpm, type TestTpm } from './testing.ts';
import { Tpm } from './tpm.ts';

const PASSWORDS = {
  ownerAuth: fromUtf8('the password of the owner'),
  lockoutAuth: fromUtf8('the password of lockout'),
};
const RH_OWNER = 'owner';
const HANDLE = 0x81000020;

let software: TestTpm;
beforeEach(async () => {
  software = await startTestTpm();
});
afterEach(() => software.stop());

const outcomes = async (request: ProvisionRequest = {}) => {
  const { steps } = await software.tpm.exclusive((io) => provision(io, request));
  return Object.fromEntries(steps.map(({ step, outcome }) => [step, outcome]));
};

describe('provisioning', () => {
  test('does what it is asked for once, and nothing the second time [EK-4]', async () => {
    const request = { ...PASSWORDS, disableClear: true };
    expect(await outcomes(request)).toEqual({
      'platform-hierarchy': 'done',
      'endorsement-keys': 'left',
      'storage-root-key': 'done',
      'attestation-key': 'done',
      'dictionary-attack': 'done',
      'clear-control': 'done',
      'lockout-password': 'done',
      'owner-password': 'done',
      'endorsement-password': 'left',
    });
    const second = await outcomes(request);
    expect(Object.values(second).filter((outcome) => outcome === 'done')).toEqual([]);
    const info = await software.tpm.exclusive(inspect);
    expect(info).toMatchObject({
      passwordsSet: { owner: true, endorsement: false, lockout: true },
      hierarchies: { platform: false, owner: true, endorsement: true },
      clearDisabled: true,
      dictionaryAttack: { inLockout: false, maxTries: 32, recoveryTimeS: 600, lockoutRecoveryS: 86_400 },
      persistentHandles: [PERSISTENT.srk, PERSISTENT.ak],
    });
  });

  test('survives an orderly shutdown and a restart, but for the platform hierarchy, which is off again after', async () => {
    const { ak } = await software.tpm.exclusive((io) => provision(io, PASSWORDS));
    await software.tpm.shutdown();
    await software.kill();
    await software.restart();
    const info = await software.tpm.exclusive(inspect);
    expect(info).toMatchObject({ hierarchies: { platform: true }, orderly: true });
    const again = await software.tpm.exclusive((io) => provision(io, PASSWORDS));
    expect(again.steps.filter(({ outcome }) => outcome === 'done').map(({ step }) => step)).toEqual([
      'platform-hierarchy',
    ]);
    expect(toHex(again.ak.name)).toBe(toHex(ak.name));
  });

  test('never sends a password over the wire, in either direction', async () => {
    const sent: string[] = [];
    const path = software.socketPath;
    await software.tpm.close();
    const open = async () => {
      const channel = await openUnixChannel(path);
      return {
        ...channel,
        close: () => channel.close(),
        async transmit(...args: Parameters<typeof channel.transmit>) {
          const answer = await channel.transmit(...args);
          sent.push(toHex(args[0]), toHex(answer));
          return answer;
        },
      };
    };
    const tpm = await Tpm.open(await open());
    await tpm.exclusive((io) => provision(io, PASSWORDS));
    // Both are used now: to change, and to store under the owner.
    await tpm.exclusive((io) =>
      changeHierarchyAuth(io, 'owner', PASSWORDS.lockoutAuth, { password: PASSWORDS.ownerAuth }),
    );
    await tpm.exclusive((io) => resetLockout(io, { password: PASSWORDS.lockoutAuth }));
    await tpm.close();
    expect(sent.length).toBeGreaterThan(50);
    for (const password of Object.values(PASSWORDS)) {
      expect(sent.filter((bytes) => bytes.includes(toHex(password)))).toEqual([]);
    }
  });

  test('leaves lockout alone when its password is set and was not given, because a wrong one would block it', async () => {
    await software.tpm.exclusive((io) => changeHierarchyAuth(io, 'lockout', PASSWORDS.lockoutAuth));
    expect(await outcomes({ disableClear: true })).toMatchObject({
      'dictionary-attack': 'left',
      'clear-control': 'left',
      'lockout-password': 'already',
    });
    const { lockoutAuth } = PASSWORDS;
    expect(await outcomes({ disableClear: true, lockoutAuth })).toMatchObject({
      'dictionary-attack': 'done',
      'clear-control': 'done',
    });
  });

  test('keeps a storage root key that is there, and refuses a foreign key where the AK should be', async () => {
    const { tpm } = software;
    await tpm.exclusive(async (io) => {
      const other = await createPrimary(io, { hierarchy: 'endorsement', template: TEMPLATES.srk });
      await storePersistent(io, other, PERSISTENT.srk);
      await storePersistent(io, other, PERSISTENT.ak);
      await flush(io, other.handle);
    });
    await expect(outcomes()).rejects.toMatchObject({ code: 'TPM_KEY_UNEXPECTED' });
    const handles = { srk: PERSISTENT.srk, ak: 0x81018001 };
    expect(await outcomes({ handles })).toMatchObject({
      'storage-root-key': 'already',
      'attestation-key': 'done',
    });
  });

  test('with an endorsement password goes on by it, and by the stored key that hides secrets', async () => {
    const endorsementAuth = fromUtf8('the password of the endorsement hierarchy');
    const request = { ...PASSWORDS, endorsementAuth };
    expect(await outcomes(request)).toMatchObject({ 'endorsement-password': 'done' });
    await software.tpm.close();
    const encryption = { saltKey: { persistentHandle: PERSISTENT.srk } };
    const tpm = await Tpm.open(() => openUnixChannel(software.socketPath), { encryption });
    const again = await tpm.exclusive((io) => provision(io, request));
    expect(again.steps.filter(({ outcome }) => outcome === 'done')).toEqual([]);
    const { ak } = await tpm.exclusive((io) =>
      provision(io, { ...request, handles: { srk: PERSISTENT.srk, ak: 0x81018009 } }),
    );
    expect(toHex(ak.name)).toBe(toHex(again.ak.name));
    await expect(
      tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ak }),
    ).rejects.toMatchObject({
      code: 'TPM_RETURN_CODE',
    });
    await tpm.close();
  });
});

describe('a noDA attestation key', () => {
  test('signs on while the TPM is locked out by wrong passwords', async () => {
    const { tpm } = software;
    const dictionaryAttack = { maxTries: 1, recoveryTimeS: 1000, lockoutRecoveryS: 1000 };
    const { ak } = await tpm.exclusive((io) => provision(io, { ...PASSWORDS, dictionaryAttack }));
    // An index that is guarded against guessing, and one wrong guess.
    const { authRead, authWrite } = NV_ATTRIBUTE;
    const guess = tpm.exclusive(async (io) => {
      const auth = { password: PASSWORDS.ownerAuth };
      const index = {
        index: 0x01800001,
        dataSize: 8,
        attributes: authRead | authWrite,
        password: fromUtf8('right'),
      };
      await nvDefine(io, index, { auth });
      await nvWrite(io, index.index, new Uint8Array(8), { auth: { password: fromUtf8('wrong') } });
    });
    await expect(guess).rejects.toMatchObject({ code: 'TPM_RETURN_CODE' });
    expect((await tpm.exclusive(inspect)).dictionaryAttack).toMatchObject({
      inLockout: true,
      failedTries: 1,
    });
    const { attest } = await tpm.quote(ak, { qualifyingData: new Uint8Array(32), pcrs: [0] });
    expect(parseAttest(attest).type).toBe('quote');
    await tpm.exclusive((io) => resetLockout(io, { password: PASSWORDS.lockoutAuth }));
    expect((await tpm.exclusive(inspect)).dictionaryAttack.inLockout).toBe(false);
  });
});

describe('a persistent handle', () => {
  const primary = { hierarchy: RH_OWNER, template: TEMPLATES.srk } as const;

  test('stores a key, finds it and removes it, each twice without harm', async () => {
    await software.tpm.exclusive(async (io) => {
      expect(await findPersistent(io, HANDLE)).toBeUndefined();
      const key = await createPrimary(io, primary);
      const stored = await storePersistent(io, key, HANDLE);
      expect(await storePersistent(io, key, HANDLE)).toEqual(stored);
      expect(await findPersistent(io, HANDLE)).toEqual(stored);
      await removePersistent(io, HANDLE, key.name);
      await removePersistent(io, HANDLE, key.name);
      expect(await findPersistent(io, HANDLE)).toBeUndefined();
      await flush(io, key.handle);
    });
  });

  test('is neither overwritten nor emptied by who expects another key', async () => {
    await software.tpm.exclusive(async (io) => {
      const key = await createPrimary(io, primary);
      const other = await createPrimary(io, { ...primary, hierarchy: 'endorsement' });
      await storePersistent(io, key, HANDLE);
      const refusal = { code: 'TPM_KEY_UNEXPECTED' };
      await expect(storePersistent(io, other, HANDLE)).rejects.toMatchObject(refusal);
      await expect(removePersistent(io, HANDLE, other.name)).rejects.toMatchObject(refusal);
      expect((await findPersistent(io, HANDLE))?.name).toEqual(key.name);
      for (const handle of [0x81800000, 0x80000000, 0.5, -1]) {
        await expect(findPersistent(io, handle)).rejects.toMatchObject({ code: 'TPM_ARGUMENT_INVALID' });
      }
      await flush(io, key.handle);
      await flush(io, other.handle);
    });
  });
});

test('inspecting says what a software TPM is, and changes nothing', async () => {
  const info = await software.tpm.exclusive(inspect);
  expect(await software.tpm.exclusive(inspect)).toEqual(info);
  expect(info).toMatchObject({
    manufacturer: 'id:49424D00',
    vendor: 'IBM',
    model: 'SW   TPM',
    specification: { family: '2.0' },
    hasEcdaa: true,
    passwordsSet: { owner: false, endorsement: false, lockout: false },
    hierarchies: { platform: true, owner: true, endorsement: true },
    clearDisabled: false,
    persistentHandles: [],
    ekCertificates: [],
  });
  expect(info.firmwareVersion).toBeGreaterThan(2n ** 53n);
  expect(info.algorithms).toEqual(expect.arrayContaining(['rsa', 'ecc', 'sha256', 'ecdaa', 'aes']));
  expect(info.curves).toEqual(expect.arrayContaining(['p256', 'p384', 'p521']));
  const pcrs = Array.from({ length: 24 }, (_, pcr) => pcr);
  expect(info.banks).toContainEqual({ bank: 'sha256', pcrs });
  expect(info.commandCount).toBeGreaterThan(90);
});
