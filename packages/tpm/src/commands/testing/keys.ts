import { createPublicKey, verify } from 'node:crypto';
import { fromHex, fromUtf8, sha256, toHex } from '@nemea/core';
import { describe, expect, it } from 'vitest';
import { HANDLE } from '../../command.ts';
import { ALG, CURVE, OBJECT_ATTRIBUTE } from '../../structures/algorithms.ts';
import { policyDigest } from '../../structures/policy-digest.ts';
import {
  type AnyPublicArea,
  type EccPublicArea,
  encodePublicArea,
  type KeyedHashPublicArea,
  nameOf,
  type PublicArea,
} from '../../structures/public-area.ts';
import { toSpki } from '../../structures/public-key.ts';
import { encodeSignature, parseSignature } from '../../structures/signature.ts';
import {
  ActivateCredential,
  Commit,
  ContextLoad,
  ContextSave,
  Create,
  CreateLoaded,
  Duplicate,
  EC_Ephemeral,
  ECC_Parameters,
  ECDH_KeyGen,
  ECDH_ZGen,
  EncryptDecrypt,
  EncryptDecrypt2,
  EvictControl,
  FlushContext,
  GetCapability,
  Hash,
  HMAC,
  Import,
  Load,
  LoadExternal,
  MakeCredential,
  ObjectChangeAuth,
  PolicyCommandCode,
  ReadPublic,
  Rewrap,
  RSA_Decrypt,
  RSA_Encrypt,
  Sign,
  TestParms,
  Unseal,
  VerifySignature,
  ZGen_2Phase,
} from '../index.ts';
import { AREA, type Bench, EMPTY, ENDORSEMENT } from './bench.ts';

const { fixedTpm, fixedParent, sensitiveDataOrigin, userWithAuth, sign, decrypt, restricted } =
  OBJECT_ATTRIBUTE;
const MADE_HERE = fixedTpm | fixedParent | sensitiveDataOrigin | userWithAuth;
const COMMON = { nameAlg: ALG.sha256, authPolicy: EMPTY } as const;
const POINT = { kdf: undefined, x: EMPTY, y: EMPTY } as const;
const AES = { algorithm: 'aes', keyBits: 128, mode: ALG.cfb } as const;

const SIGNER: EccPublicArea = {
  ...COMMON,
  ...POINT,
  type: 'ecc',
  attributes: MADE_HERE | sign,
  symmetric: undefined,
  scheme: { scheme: 'ecdsa', hashAlg: ALG.sha256 },
  curve: CURVE.p256,
};
const AGREER: EccPublicArea = { ...SIGNER, attributes: MADE_HERE | decrypt, scheme: undefined };
const RSA: PublicArea = {
  ...COMMON,
  type: 'rsa',
  attributes: MADE_HERE | sign | decrypt,
  symmetric: undefined,
  scheme: undefined,
  keyBits: 2048,
  exponent: 0,
  modulus: EMPTY,
};
const CIPHER: PublicArea = {
  ...COMMON,
  type: 'sym-cipher',
  attributes: MADE_HERE | sign | decrypt,
  symmetric: AES,
  unique: EMPTY,
};
const MAC: KeyedHashPublicArea = {
  ...COMMON,
  type: 'keyed-hash',
  attributes: MADE_HERE | sign,
  scheme: { scheme: 'hmac', hashAlg: ALG.sha256 },
  unique: EMPTY,
};
const SEALED: PublicArea = {
  ...MAC,
  attributes: fixedTpm | fixedParent | userWithAuth,
  scheme: undefined,
};

// The key pair with the secret 1: its point is the base point of P-256 (SEC 2, 2.4.2).
const ONE = fromHex('01'.padStart(64, '0'));
const SIGNER_POINT = {
  x: fromHex('6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296'),
  y: fromHex('4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5'),
};
const MESSAGE = fromUtf8('a message');
const DIGEST = sha256(MESSAGE);

function nodeKey(area: AnyPublicArea) {
  return createPublicKey({ key: Buffer.from(toSpki(area)), format: 'der', type: 'spki' });
}

export function keys(open: () => Bench): void {
  describe('objects', () => {
    it('creates, loads, reads, changes the password of, saves and loads again', async () => {
      const { run, primary } = open();
      const srk = await primary(AREA.srk);
      const made = await run(Create, { handles: { parentHandle: srk }, parameters: { inPublic: SIGNER } });
      const loaded = await run(Load, {
        handles: { parentHandle: srk },
        parameters: { inPrivate: made.outPrivate, inPublic: made.outPublic },
      });
      const read = await run(ReadPublic, { handles: { objectHandle: loaded.objectHandle } });
      expect(read.outPublic).toEqual(made.outPublic);
      expect(toHex(read.name)).toBe(toHex(nameOf(encodePublicArea(made.outPublic))));
      expect(toHex(loaded.name)).toBe(toHex(read.name));

      const changed = await run(ObjectChangeAuth, {
        handles: { objectHandle: loaded.objectHandle, parentHandle: srk },
        parameters: { newAuth: fromUtf8('new') },
      });
      expect(changed.outPrivate).not.toEqual(made.outPrivate);

      const { context } = await run(ContextSave, { handles: { saveHandle: loaded.objectHandle } });
      await run(FlushContext, { parameters: { flushHandle: loaded.objectHandle } });
      const again = await run(ContextLoad, { parameters: { context } });
      await run(FlushContext, { parameters: { flushHandle: again.loadedHandle } });
      await run(FlushContext, { parameters: { flushHandle: srk.handle } });
    });

    it('makes an object persistent and takes it away', async () => {
      const { run, primary } = open();
      const srk = await primary(AREA.srk);
      const persistentHandle = 0x81000123;
      const evict = (object: number) =>
        run(EvictControl, {
          handles: { auth: HANDLE.owner, objectHandle: object },
          parameters: { persistentHandle },
        });
      await evict(srk.handle);
      await run(ReadPublic, { handles: { objectHandle: persistentHandle } });
      await evict(persistentHandle);
      await expect(run(ReadPublic, { handles: { objectHandle: persistentHandle } })).rejects.toMatchObject({
        code: 'TPM_RETURN_CODE',
        data: {
          command: 'ReadPublic',
          kind: 'error',
          accused: { kind: 'handle', number: 1, name: 'objectHandle' },
        },
      });
      await run(FlushContext, { parameters: { flushHandle: srk.handle } });
    });

    it('creates and loads in one command, seals and unseals', async () => {
      const { run, primary } = open();
      const srk = await primary(AREA.srk);
      const made = await run(CreateLoaded, {
        handles: { parentHandle: srk },
        parameters: { inSensitive: { userAuth: EMPTY, data: MESSAGE }, inPublic: encodePublicArea(SEALED) },
      });
      const { outData } = await run(Unseal, { handles: { itemHandle: made.objectHandle } });
      expect(outData).toEqual(MESSAGE);
      await run(FlushContext, { parameters: { flushHandle: made.objectHandle } });
      await run(FlushContext, { parameters: { flushHandle: srk.handle } });
    });

    it('tests parameters, and names the one that this TPM does not support', async () => {
      const { run } = open();
      const parameters = {
        type: 'rsa',
        symmetric: undefined,
        scheme: undefined,
        keyBits: 2048,
        exponent: 0,
      } as const;
      await run(TestParms, { parameters: { parameters } });
      await expect(
        run(TestParms, { parameters: { parameters: { ...parameters, keyBits: 999 } } }),
      ).rejects.toMatchObject({
        data: {
          returnCode: 0x1c4,
          name: 'VALUE (parameter 1)',
          accused: { kind: 'parameter', name: 'parameters' },
        },
      });
    });

    it('activates a credential that the TPM made for the same key', async () => {
      const { run, primary } = open();
      const srk = await primary(AREA.srk);
      const ak = await primary(AREA.ak, ENDORSEMENT);
      const { credentialBlob, secret } = await run(MakeCredential, {
        handles: { handle: srk },
        parameters: { credential: DIGEST, objectName: ak.name },
      });
      const activated = await run(ActivateCredential, {
        handles: { activateHandle: ak, keyHandle: srk },
        parameters: { credentialBlob, secret },
      });
      expect(activated.certInfo).toEqual(DIGEST);
      const wrong = run(ActivateCredential, {
        handles: { activateHandle: srk, keyHandle: srk },
        parameters: { credentialBlob, secret },
      });
      await expect(wrong).rejects.toMatchObject({
        data: { accused: { kind: 'parameter', name: 'credentialBlob' } },
      });
      for (const { handle } of [srk, ak]) await run(FlushContext, { parameters: { flushHandle: handle } });
    });
  });

  describe('signatures', () => {
    it('signs and verifies, by ECDSA as node:crypto does', async () => {
      const { run, primary } = open();
      const key = await primary(SIGNER);
      const { signature } = await run(Sign, { handles: { keyHandle: key }, parameters: { digest: DIGEST } });
      const parsed = parseSignature(encodeSignature(signature));
      if (parsed.scheme !== 'ecdsa') throw new Error('want ecdsa');
      const { outPublic } = await run(ReadPublic, { handles: { objectHandle: key } });
      const spki = nodeKey(outPublic);
      expect(verify('sha256', MESSAGE, { key: spki, dsaEncoding: 'ieee-p1363' }, parsed.rs)).toBe(true);

      const checked = await run(VerifySignature, {
        handles: { keyHandle: key },
        parameters: { digest: DIGEST, signature },
      });
      expect(checked.validation.tag).toBe(0x8022);
      const other = run(VerifySignature, {
        handles: { keyHandle: key },
        parameters: { digest: sha256(DIGEST), signature },
      });
      await expect(other).rejects.toMatchObject({
        data: { name: 'SIGNATURE (parameter 2)', accused: { name: 'signature' } },
      });
      await run(FlushContext, { parameters: { flushHandle: key.handle } });
    });

    it.each([
      ['rsassa', ALG.sha256],
      ['rsapss', ALG.sha384],
      ['rsassa', ALG.sha1],
    ] as const)('signs by %s with hash algorithm %i', async (scheme, hashAlg) => {
      const { run, primary } = open();
      const key = await primary(RSA);
      const { outHash } = await run(Hash, { parameters: { data: MESSAGE, hashAlg, hierarchy: HANDLE.null } });
      const { signature } = await run(Sign, {
        handles: { keyHandle: key },
        parameters: { digest: outHash, inScheme: { scheme, hashAlg } },
      });
      expect(signature).toMatchObject({ scheme, hashAlg });
      await run(VerifySignature, { handles: { keyHandle: key }, parameters: { digest: outHash, signature } });
      await run(FlushContext, { parameters: { flushHandle: key.handle } });
    });

    it.each(['ecdsa', 'ecschnorr'] as const)('signs by %s on P-384', async (scheme) => {
      const { run, primary } = open();
      const key = await primary({ ...SIGNER, scheme: { scheme, hashAlg: ALG.sha256 }, curve: CURVE.p384 });
      const { signature } = await run(Sign, { handles: { keyHandle: key }, parameters: { digest: DIGEST } });
      await run(VerifySignature, { handles: { keyHandle: key }, parameters: { digest: DIGEST, signature } });
      await run(FlushContext, { parameters: { flushHandle: key.handle } });
    });

    it('signs by HMAC, and checks it with the same key only', async () => {
      const { run, primary } = open();
      const key = await primary(MAC);
      const { signature } = await run(Sign, { handles: { keyHandle: key }, parameters: { digest: DIGEST } });
      expect(signature).toMatchObject({ scheme: 'hmac', hmac: { hashAlg: ALG.sha256 } });
      await run(VerifySignature, { handles: { keyHandle: key }, parameters: { digest: DIGEST, signature } });
      const { outHMAC } = await run(HMAC, {
        handles: { handle: key },
        parameters: { buffer: MESSAGE, hashAlg: ALG.null },
      });
      expect(outHMAC).toHaveLength(32);
      await run(FlushContext, { parameters: { flushHandle: key.handle } });
    });

    it('names the scheme when a key cannot sign by it', async () => {
      const { run, primary } = open();
      const key = await primary(SIGNER);
      const wrong = run(Sign, {
        handles: { keyHandle: key },
        parameters: { digest: DIGEST, inScheme: { scheme: 'rsapss', hashAlg: ALG.sha256 } },
      });
      await expect(wrong).rejects.toThrow(/SCHEME \(parameter 2\).*inScheme/);
      await run(FlushContext, { parameters: { flushHandle: key.handle } });
    });

    it('commits for ECDAA', async () => {
      const { run, primary } = open();
      const key = await primary(AREA.vrf, ENDORSEMENT);
      const commit = await run(Commit, {
        handles: { signHandle: key },
      });
      expect(commit.E.x).toHaveLength(32);
      const { signature } = await run(Sign, {
        handles: { keyHandle: key },
        parameters: {
          digest: DIGEST,
          inScheme: { scheme: 'ecdaa', hashAlg: ALG.sha256, count: commit.counter },
        },
      });
      expect(signature.scheme).toBe('ecdaa');
      await run(FlushContext, { parameters: { flushHandle: key.handle } });
    });
  });

  describe('encryption', () => {
    it.each([
      [undefined, undefined],
      [{ scheme: 'rsaes' }, undefined],
      [{ scheme: 'oaep', hashAlg: ALG.sha256 }, fromUtf8('label\0')],
    ] as const)('encrypts and decrypts by RSA, scheme %o', async (inScheme, label) => {
      const { run, primary } = open();
      const key = await primary(RSA);
      const options = { inScheme, ...(label && { label }) };
      const { outData } = await run(RSA_Encrypt, {
        handles: { keyHandle: key },
        parameters: { message: MESSAGE, ...options },
      });
      const { message } = await run(RSA_Decrypt, {
        handles: { keyHandle: key },
        parameters: { cipherText: outData, ...options },
      });
      // Without a scheme the number comes back as long as the modulus.
      expect(message.slice(-MESSAGE.length)).toEqual(MESSAGE);
      await run(FlushContext, { parameters: { flushHandle: key.handle } });
    });

    it('agrees on a point, in one pass and in two phases', async () => {
      const { run, primary } = open();
      const key = await primary(AGREER);
      const { zPoint, pubPoint } = await run(ECDH_KeyGen, { handles: { keyHandle: key } });
      const { outPoint } = await run(ECDH_ZGen, {
        handles: { keyHandle: key },
        parameters: { inPoint: pubPoint },
      });
      expect(outPoint).toEqual(zPoint);
      const offCurve = { ...pubPoint, y: pubPoint.x };
      await expect(
        run(ECDH_ZGen, { handles: { keyHandle: key }, parameters: { inPoint: offCurve } }),
      ).rejects.toMatchObject({ data: { name: 'ECC_POINT (parameter 1)', accused: { name: 'inPoint' } } });

      const { Q, counter } = await run(EC_Ephemeral, { parameters: { curveID: CURVE.p256 } });
      expect(Q.x.length).toBeGreaterThan(30);
      const { outZ1 } = await run(ZGen_2Phase, {
        handles: { keyA: key },
        parameters: { inQsB: pubPoint, inQeB: pubPoint, inScheme: ALG.ecdh, counter },
      });
      expect(outZ1).toEqual(zPoint);
      await run(FlushContext, { parameters: { flushHandle: key.handle } });
    });

    it.each(Object.entries(CURVE))(
      'tells the parameters of curve %s if it has it',
      async (_name, curveID) => {
        const { run } = open();
        const { capabilityData } = await run(GetCapability, {
          parameters: { capability: 8, property: 0, propertyCount: 32 },
        });
        const curves = capabilityData.capability === 'curves' ? capabilityData.items : [];
        const asked = run(ECC_Parameters, { parameters: { curveID } });
        if (curves.includes(curveID)) expect((await asked).parameters.curveID).toBe(curveID);
        else await expect(asked).rejects.toMatchObject({ data: { accused: { name: 'curveID' } } });
      },
    );

    it('encrypts and decrypts by a symmetric key, in both forms of the command', async () => {
      const { run, primary } = open();
      const key = await primary(CIPHER);
      const ivIn = new Uint8Array(16);
      const handles = { keyHandle: key };
      const { outData } = await run(EncryptDecrypt2, {
        handles,
        parameters: { inData: MESSAGE, decrypt: false, ivIn },
      });
      const clear = await run(EncryptDecrypt, {
        handles,
        parameters: { inData: outData, decrypt: true, ivIn },
      });
      expect(clear.outData).toEqual(MESSAGE);
      await run(FlushContext, { parameters: { flushHandle: key.handle } });
    });
  });

  describe('moving keys', () => {
    const dupPolicy = policyDigest([{ type: 'command-code', code: Duplicate.code }]);
    const MOVABLE: EccPublicArea = {
      ...SIGNER,
      attributes: sensitiveDataOrigin | userWithAuth | sign,
      authPolicy: dupPolicy,
    };
    const PARENT: EccPublicArea = {
      ...SIGNER,
      attributes: MADE_HERE | decrypt | restricted,
      symmetric: AES,
      scheme: undefined,
    };

    it('duplicates a key to another parent, wraps it anew for a third, and imports it', async () => {
      const { run, primary, withPolicy } = open();
      const srk = await primary(AREA.srk);
      const second = await primary({ ...PARENT, x: Uint8Array.of(1) });
      const made = await run(CreateLoaded, {
        handles: { parentHandle: srk },
        parameters: { inPublic: encodePublicArea(MOVABLE) },
      });
      const object = { handle: made.objectHandle, name: made.name };
      const moved = await withPolicy(async (session) => {
        await run(PolicyCommandCode, {
          handles: { policySession: session },
          parameters: { code: Duplicate.code },
        });
        return await run(Duplicate, {
          handles: { objectHandle: object, newParentHandle: second },
          auth: [session],
        });
      });
      const rewrapped = await run(Rewrap, {
        handles: { oldParent: second, newParent: srk },
        parameters: { inDuplicate: moved.duplicate, name: made.name, inSymSeed: moved.outSymSeed },
      });
      const { outPrivate } = await run(Import, {
        handles: { parentHandle: srk },
        parameters: {
          objectPublic: made.outPublic,
          duplicate: rewrapped.outDuplicate,
          inSymSeed: rewrapped.outSymSeed,
        },
      });
      const loaded = await run(Load, {
        handles: { parentHandle: srk },
        parameters: { inPrivate: outPrivate, inPublic: made.outPublic },
      });
      expect(loaded.name).toEqual(made.name);
      for (const handle of [loaded.objectHandle, made.objectHandle, second.handle, srk.handle])
        await run(FlushContext, { parameters: { flushHandle: handle } });
    });

    it('duplicates with an inner wrapper, whose key it returns', async () => {
      const { run, primary, withPolicy } = open();
      const srk = await primary(AREA.srk);
      const made = await run(CreateLoaded, {
        handles: { parentHandle: srk },
        parameters: { inPublic: encodePublicArea(MOVABLE) },
      });
      const moved = await withPolicy(async (session) => {
        await run(PolicyCommandCode, {
          handles: { policySession: session },
          parameters: { code: Duplicate.code },
        });
        return await run(Duplicate, {
          handles: { objectHandle: made.objectHandle, newParentHandle: HANDLE.null },
          parameters: { symmetricAlg: AES },
          auth: [session],
        });
      });
      expect(moved.encryptionKeyOut).toHaveLength(16);
      expect(moved.outSymSeed).toHaveLength(0);
      for (const handle of [made.objectHandle, srk.handle])
        await run(FlushContext, { parameters: { flushHandle: handle } });
    });

    it('refuses to duplicate by password: the role DUP is a policy’s', async () => {
      const { run, primary } = open();
      const srk = await primary(AREA.srk);
      const made = await run(CreateLoaded, {
        handles: { parentHandle: srk },
        parameters: { inPublic: encodePublicArea(MOVABLE) },
      });
      await expect(
        run(Duplicate, { handles: { objectHandle: made.objectHandle, newParentHandle: srk } }),
      ).rejects.toMatchObject({ data: { name: 'AUTH_TYPE', kind: 'error' } });
      for (const handle of [made.objectHandle, srk.handle])
        await run(FlushContext, { parameters: { flushHandle: handle } });
    });

    it('loads a public key, and a key pair made elsewhere', async () => {
      const { run } = open();
      const { x, y } = SIGNER_POINT;
      const inPublic: PublicArea = { ...SIGNER, attributes: userWithAuth | sign, x, y };
      const external = await run(LoadExternal, { parameters: { inPublic, hierarchy: HANDLE.owner } });
      await run(FlushContext, { parameters: { flushHandle: external.objectHandle } });
      const inPrivate = { sensitiveType: ALG.ecc, authValue: EMPTY, seedValue: EMPTY, sensitive: ONE };
      const pair = await run(LoadExternal, { parameters: { inPrivate, inPublic, hierarchy: HANDLE.null } });
      const { signature } = await run(Sign, {
        handles: { keyHandle: pair.objectHandle },
        parameters: { digest: DIGEST },
      });
      expect(signature.scheme).toBe('ecdsa');
      await run(FlushContext, { parameters: { flushHandle: pair.objectHandle } });
    });
  });
}
