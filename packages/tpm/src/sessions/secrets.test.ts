import { fromUtf8, sha256, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Exchange, recordChannel } from '../channel/recording.ts';
import { HANDLE } from '../command.ts';
import {
  Create,
  CreatePrimary,
  ECDH_KeyGen,
  ECDH_ZGen,
  GetRandom,
  HierarchyChangeAuth,
  LoadExternal,
  NV_DefineSpace,
  NV_Read,
  NV_UndefineSpace,
  NV_Write,
  RSA_Decrypt,
  RSA_Encrypt,
} from '../commands/index.ts';
import type { TpmOpenOptions } from '../connection.ts';
import { makeCredential } from '../credential.ts';
import { ALG, CURVE, NV_ATTRIBUTE } from '../structures/algorithms.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import type { Tpm } from '../tpm.ts';
import { AK, EK, NONE, openClient, SECRET, SRK, sessionCount } from './testing.ts';

const PASSWORD = fromUtf8('a password of the owner');
const SEED = new Uint8Array(32).fill(5);
const OWNER = { authHandle: HANDLE.owner };
const INDEX = 0x01800002;
const ITSELF = { authHandle: INDEX, nvIndex: INDEX };

let software: TestTpm;
beforeAll(async () => {
  software = await startTestTpm();
  await software.tpm.close();
});
afterAll(() => software.stop());

const rsaKey = {
  type: 'rsa',
  nameAlg: ALG.sha256,
  attributes: 0x20472,
  authPolicy: NONE,
  symmetric: undefined,
  scheme: { scheme: 'oaep', hashAlg: ALG.sha256 },
  keyBits: 2048,
  exponent: 0,
  modulus: NONE,
} as const;
const eccKey = {
  type: 'ecc',
  nameAlg: ALG.sha256,
  attributes: 0x20472,
  authPolicy: NONE,
  symmetric: undefined,
  scheme: undefined,
  curve: CURVE.p256,
  kdf: undefined,
  x: NONE,
  y: NONE,
} as const;
const hmacKey = {
  type: 'keyed-hash',
  nameAlg: ALG.sha256,
  attributes: 0x40440,
  authPolicy: NONE,
  scheme: { scheme: 'hmac', hashAlg: ALG.sha256 },
  // For a key from outside, the digest of its seed and its value (TPM 2.0 Part 1, 27.5.3.3).
  unique: sha256(SEED, SECRET),
} as const;

async function withIndex(tpm: Tpm, use: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const attributes = NV_ATTRIBUTE.authRead | NV_ATTRIBUTE.authWrite | NV_ATTRIBUTE.noDa;
  await tpm.run(NV_DefineSpace, {
    handles: OWNER,
    parameters: {
      auth: PASSWORD,
      publicInfo: {
        nvIndex: INDEX,
        nameAlg: ALG.sha256,
        attributes,
        authPolicy: NONE,
        dataSize: SECRET.length,
      },
    },
  });
  try {
    return await use();
  } finally {
    await tpm.run(NV_UndefineSpace, { handles: { ...OWNER, nvIndex: INDEX } });
  }
}

async function withPrimary(
  tpm: Tpm,
  inPublic: typeof rsaKey | typeof eccKey,
  use: (handle: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const handles = { primaryHandle: HANDLE.endorsement };
  const { objectHandle } = await tpm.run(CreatePrimary, { handles, parameters: { inPublic } });
  try {
    return await use(objectHandle);
  } finally {
    await tpm.flush(objectHandle);
  }
}

/** Works with a secret, which it returns; what crosses the wire before `listen` does not count. */
type SecretWork = (tpm: Tpm, listen: () => void) => Promise<Uint8Array>;

const SECRET_WORK: Record<string, SecretWork> = {
  'a secret being sealed': async (tpm) => {
    await tpm.seal(SECRET, { pcrs: [7] });
    return SECRET;
  },
  'a secret being unsealed': async (tpm, listen) => {
    const blob = await tpm.seal(SECRET);
    listen();
    return await tpm.unseal(blob);
  },
  'a secret being unsealed by policy': async (tpm, listen) => {
    const blob = await tpm.seal(SECRET, { pcrs: [7] });
    listen();
    return await tpm.unseal(blob);
  },
  'an activated credential': async (tpm, listen) => {
    const ak = await tpm.createPrimary(AK);
    const ek = await tpm.createPrimary(EK);
    listen();
    const credential = makeCredential(ek.publicArea, ak.name, SECRET);
    const secret = await tpm.activateCredential({ ak, ek, ...credential });
    await tpm.flush(ak.handle);
    await tpm.flush(ek.handle);
    return secret;
  },
  'the password of a new key': async (tpm) => {
    const srk = await tpm.createPrimary(SRK);
    const inSensitive = { userAuth: PASSWORD, data: NONE };
    await tpm.run(Create, { handles: { parentHandle: srk }, parameters: { inSensitive, inPublic: eccKey } });
    await tpm.flush(srk.handle);
    return PASSWORD;
  },
  'a new password of a hierarchy': async (tpm) => {
    await tpm.run(HierarchyChangeAuth, { handles: OWNER, parameters: { newAuth: PASSWORD } });
    const auth = [{ password: PASSWORD }];
    await tpm.run(HierarchyChangeAuth, { handles: OWNER, parameters: { newAuth: NONE }, auth });
    return PASSWORD;
  },
  'a password in use': async (tpm, listen) => {
    await tpm.run(HierarchyChangeAuth, { handles: OWNER, parameters: { newAuth: PASSWORD } });
    listen();
    const auth = [{ password: PASSWORD }];
    await tpm.run(HierarchyChangeAuth, { handles: OWNER, parameters: { newAuth: NONE }, auth });
    return PASSWORD;
  },
  'the password of a new nv index': (tpm) => withIndex(tpm, async () => PASSWORD),
  'data being written to nv': (tpm, listen) =>
    withIndex(tpm, async () => {
      listen();
      const auth = [{ password: PASSWORD }];
      await tpm.run(NV_Write, { handles: ITSELF, parameters: { data: SECRET }, auth });
      return SECRET;
    }),
  'data being read from nv': (tpm, listen) =>
    withIndex(tpm, async () => {
      const auth = [{ password: PASSWORD }];
      await tpm.run(NV_Write, { handles: ITSELF, parameters: { data: SECRET }, auth });
      listen();
      const parameters = { size: SECRET.length };
      return (await tpm.run(NV_Read, { handles: ITSELF, parameters, auth })).data;
    }),
  'random bytes': (tpm) => tpm.getRandom(32),
  'a private key being loaded': async (tpm) => {
    const inPrivate = { sensitiveType: ALG.keyedHash, authValue: NONE, seedValue: SEED, sensitive: SECRET };
    const parameters = { inPrivate, inPublic: hmacKey, hierarchy: HANDLE.null };
    const { objectHandle } = await tpm.run(LoadExternal, { parameters });
    await tpm.flush(objectHandle);
    return SECRET;
  },
  'a shared point': (tpm, listen) =>
    withPrimary(tpm, eccKey, async (keyHandle) => {
      const { pubPoint } = await tpm.run(ECDH_KeyGen, { handles: { keyHandle } });
      listen();
      const shared = await tpm.run(ECDH_ZGen, { handles: { keyHandle }, parameters: { inPoint: pubPoint } });
      return shared.outPoint.x;
    }),
  'a shared point with an ephemeral key': (tpm) =>
    withPrimary(tpm, eccKey, async (keyHandle) => {
      return (await tpm.run(ECDH_KeyGen, { handles: { keyHandle } })).zPoint.x;
    }),
  'a message being encrypted': (tpm) =>
    withPrimary(tpm, rsaKey, async (keyHandle) => {
      await tpm.run(RSA_Encrypt, { handles: { keyHandle }, parameters: { message: SECRET } });
      return SECRET;
    }),
  'a message being decrypted': (tpm, listen) =>
    withPrimary(tpm, rsaKey, async (keyHandle) => {
      const parameters = { message: SECRET };
      const { outData } = await tpm.run(RSA_Encrypt, { handles: { keyHandle }, parameters });
      listen();
      const decrypted = await tpm.run(RSA_Decrypt, {
        handles: { keyHandle },
        parameters: { cipherText: outData },
      });
      return decrypted.message;
    }),
};

describe.each(Object.entries(SECRET_WORK))('%s', (_title, work) => {
  async function crosses(encryption: TpmOpenOptions['encryption']): Promise<boolean> {
    const recording: Exchange[] = [];
    const tpm = await openClient(
      software.socketPath,
      { ...(encryption !== undefined && { encryption }) },
      (channel) => recordChannel(channel, recording),
    );
    const secret = await work(tpm, () => recording.splice(0));
    expect(secret.length).toBeGreaterThan(15);
    expect(recording.length).toBeGreaterThan(0);
    const wire = recording.map(({ command, response }) => `${toHex(command)} ${toHex(response)}`).join(' ');
    expect(await sessionCount(tpm)).toBe(encryption === false ? 0 : 1);
    expect(await tpm.listHandles('transient')).toEqual([]);
    await tpm.close();
    return wire.includes(toHex(secret));
  }

  it('does not cross the wire in the clear', async () => {
    expect(await crosses(undefined)).toBe(false);
    expect(await crosses({ hashAlg: ALG.sha384, cipher: 'aes-256-cfb' })).toBe(false);
  });

  it('crosses it in the clear when encryption is off', async () => {
    expect(await crosses(false)).toBe(true);
  });
});

describe('what is no secret', () => {
  it('opens no session: a client that only attests stays without one', async () => {
    const tpm = await openClient(software.socketPath);
    const ak = await tpm.createPrimary(AK);
    await tpm.quote(ak, { qualifyingData: NONE, pcrs: [0] });
    await tpm.pcrRead([0]);
    expect(await sessionCount(tpm)).toBe(0);
    await tpm.close();
  });

  it('crosses in the clear when the caller says so', async () => {
    const recording: Exchange[] = [];
    const tpm = await openClient(software.socketPath, {}, (channel) => recordChannel(channel, recording));
    const { randomBytes } = await tpm.run(GetRandom, { parameters: { bytesRequested: 16 }, inClear: true });
    await tpm.close();
    const wire = recording.map(({ response }) => toHex(response)).join(' ');
    expect(wire).toContain(toHex(randomBytes));
  });
});
