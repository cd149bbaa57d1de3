import { createHash, createHmac, createPublicKey } from 'node:crypto';
import { fromUtf8, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HANDLE } from '../command.ts';
import {
  Create,
  ECDH_KeyGen,
  ECDH_ZGen,
  EncryptDecrypt2,
  EvictControl,
  HMAC,
  LoadExternal,
  ReadPublic,
  RSA_Decrypt,
  RSA_Encrypt,
  Sign,
  VerifySignature,
} from '../commands/index.ts';
import { ALG, OBJECT_ATTRIBUTE } from '../structures/algorithms.ts';
import { decode, encode } from '../structures/codec.ts';
import { encodePublicArea, nameOf, type PublicArea, tpmsEccPoint } from '../structures/public-area.ts';
import { toSpki } from '../structures/public-key.ts';
import { encodeSignature, parseSignature } from '../structures/signature.ts';
import { TEMPLATES } from '../structures/templates.ts';
import {
  filesOf,
  fromSized,
  hexHandle,
  loadFiles,
  makeParent,
  makePersistent,
  PARENT,
  readArea,
  type SharedTpm,
  startSharedTpm,
  toSized,
  writeObject,
} from './test-tools.ts';

const UNDER_PARENT = ['-C', hexHandle(PARENT)] as const;
const MESSAGE = fromUtf8('a message');
const EMPTY = new Uint8Array(0);

let shared: SharedTpm;

beforeAll(async () => {
  shared = await startSharedTpm();
  await makeParent(shared);
  await shared.write('message', MESSAGE);
});

afterAll(() => shared.stop());

/** A template for another key of the same kind. */
function templateOf(area: PublicArea): PublicArea {
  if (area.type === 'rsa') return { ...area, modulus: EMPTY };
  return area.type === 'ecc' ? { ...area, x: EMPTY, y: EMPTY } : { ...area, unique: EMPTY };
}

/** `theirs` by tpm2_create, and `ours` by Create with the same template. */
async function createBoth(option: string): Promise<void> {
  await shared.tool('create', ...UNDER_PARENT, '-G', option, ...filesOf('theirs'));
  const inPublic = templateOf(await readArea(shared, 'theirs'));
  const made = await shared.client((tpm) =>
    tpm.run(Create, { handles: { parentHandle: PARENT }, parameters: { inPublic } }),
  );
  await writeObject(shared, 'ours', made);
}

describe.each([
  { kind: 'RSA-2048 RSASSA', type: 'rsa2048', scheme: 'rsassa', hash: 'sha256' },
  { kind: 'RSA-2048 RSAPSS', type: 'rsa2048', scheme: 'rsapss', hash: 'sha384' },
  { kind: 'ECC P-256', type: 'ecc256', scheme: 'ecdsa', hash: 'sha256' },
  { kind: 'ECC P-384', type: 'ecc384', scheme: 'ecdsa', hash: 'sha384' },
  { kind: 'ECC P-521', type: 'ecc521', scheme: 'ecdsa', hash: 'sha512' },
])('signing keys $kind:', ({ type, scheme, hash }) => {
  const digest = createHash(hash).update(MESSAGE).digest();

  beforeAll(() => createBoth(`${type}:${scheme}-${hash}:null`));

  test('one of tpm2_create is loaded by Load, and its signature is verified by tpm2_verifysignature', async () => {
    const { signature } = await shared.client(async (tpm) =>
      tpm.run(Sign, {
        handles: { keyHandle: await loadFiles(shared, tpm, 'theirs') },
        parameters: { digest },
      }),
    );
    await shared.write('signature', encodeSignature(signature));
    await shared.tool('loadexternal', '-C', 'n', '-u', 'theirs.pub', '-c', 'public');
    const checked = ['-c', 'public', '-g', hash, '-s', 'signature', '-m'];
    await shared.tool('verifysignature', ...checked, 'message');
    await expect(shared.tool('verifysignature', ...checked, 'theirs.pub')).rejects.toThrow('signature');
  });

  test('one of Create is loaded by tpm2_load, and its signature is verified by VerifySignature', async () => {
    await shared.tool('load', ...UNDER_PARENT, ...filesOf('ours'), '-c', 'key');
    await shared.tool('sign', '-c', 'key', '-g', hash, '-s', scheme, '-o', 'signature', 'message');
    const signature = parseSignature(await shared.read('signature'));
    const inPublic = await readArea(shared, 'ours');
    await shared.client(async (tpm) => {
      const external = { inPublic, hierarchy: HANDLE.owner };
      const { objectHandle } = await tpm.run(LoadExternal, { parameters: external });
      const handles = { keyHandle: objectHandle };
      const { validation } = await tpm.run(VerifySignature, { handles, parameters: { digest, signature } });
      expect(validation).toMatchObject({ hierarchy: HANDLE.owner });
    });
  });

  test('tpm2_readpublic gives the same PEM and the same name', async () => {
    await shared.tool('load', ...UNDER_PARENT, ...filesOf('ours'), '-c', 'key', '-n', 'name');
    await shared.tool('readpublic', '-c', 'key', '-f', 'pem', '-o', 'pem', '-n', 'name.again');
    const area = await readArea(shared, 'ours');
    const key = createPublicKey({ key: Buffer.from(toSpki(area)), format: 'der', type: 'spki' });
    const pem = Buffer.from(await shared.read('pem')).toString();
    expect(pem).toBe(key.export({ format: 'pem', type: 'spki' }));
    expect(await shared.read('name')).toEqual(nameOf(encodePublicArea(area)));
    expect(await shared.read('name.again')).toEqual(await shared.read('name'));
  });
});

describe('keys that encrypt and agree:', () => {
  test('RSA: what RSA_Encrypt hides by OAEP is opened by tpm2_rsadecrypt, and the other way', async () => {
    await shared.tool('create', ...UNDER_PARENT, '-G', 'rsa2048:null:null', ...filesOf('theirs'));
    const inScheme = { scheme: 'oaep', hashAlg: ALG.sha256 } as const;
    await shared.client(async (tpm) => {
      const handles = { keyHandle: await loadFiles(shared, tpm, 'theirs') };
      const { outData } = await tpm.run(RSA_Encrypt, { handles, parameters: { message: MESSAGE, inScheme } });
      await shared.write('hidden', outData);
    });
    await shared.tool('load', ...UNDER_PARENT, ...filesOf('theirs'), '-c', 'key');
    await shared.tool('rsadecrypt', '-c', 'key', '-s', 'oaep', '-o', 'opened', 'hidden');
    expect(await shared.read('opened')).toEqual(MESSAGE);
    await shared.tool('rsaencrypt', '-c', 'key', '-s', 'oaep', '-o', 'hidden', 'message');
    const cipherText = await shared.read('hidden');
    const opened = await shared.client(async (tpm) => {
      const handles = { keyHandle: await loadFiles(shared, tpm, 'theirs') };
      return await tpm.run(RSA_Decrypt, { handles, parameters: { cipherText, inScheme } });
    });
    expect(opened.message).toEqual(MESSAGE);
  });

  test('ECDH: the point of tpm2_ecdhkeygen is found by ECDH_ZGen, and the other way', async () => {
    await createBoth('ecc256:ecdh');
    await shared.tool('load', ...UNDER_PARENT, ...filesOf('ours'), '-c', 'key');
    await shared.tool('ecdhkeygen', '-c', 'key', '-u', 'ephemeral', '-o', 'z');
    const pointIn = async (file: string) => decode('point', tpmsEccPoint, fromSized(await shared.read(file)));
    const inPoint = await pointIn('ephemeral');
    await shared.client(async (tpm) => {
      const handles = { keyHandle: await loadFiles(shared, tpm, 'ours') };
      const { outPoint } = await tpm.run(ECDH_ZGen, { handles, parameters: { inPoint } });
      expect(outPoint).toEqual(await pointIn('z'));
      const { pubPoint, zPoint } = await tpm.run(ECDH_KeyGen, { handles });
      await shared.write('ephemeral', toSized(encode(tpmsEccPoint, pubPoint)));
      await shared.write('z', toSized(encode(tpmsEccPoint, zPoint)));
    });
    await shared.tool('ecdhzgen', '-c', 'key', '-u', 'ephemeral', '-o', 'z.again');
    expect(await shared.read('z.again')).toEqual(await shared.read('z'));
  });

  test('AES: what EncryptDecrypt2 hides is opened by tpm2_encryptdecrypt, and the other way', async () => {
    await createBoth('aes256cfb');
    const ivIn = new Uint8Array(16).fill(7);
    await shared.write('iv', ivIn);
    const cipher = (inData: Uint8Array, decrypt: boolean): Promise<Uint8Array> =>
      shared.client(async (tpm) => {
        const handles = { keyHandle: await loadFiles(shared, tpm, 'ours') };
        const parameters = { inData, decrypt, ivIn };
        return (await tpm.run(EncryptDecrypt2, { handles, parameters })).outData;
      });
    await shared.write('hidden', await cipher(MESSAGE, false));
    await shared.tool('load', ...UNDER_PARENT, ...filesOf('ours'), '-c', 'key');
    await shared.tool('encryptdecrypt', '-d', '-c', 'key', '-t', 'iv', '-o', 'opened', 'hidden');
    expect(await shared.read('opened')).toEqual(MESSAGE);
    await shared.tool('encryptdecrypt', '-c', 'key', '-t', 'iv', '-o', 'hidden', 'message');
    expect(await cipher(await shared.read('hidden'), true)).toEqual(MESSAGE);
  });

  test('HMAC: a key given to Create computes in tpm2_hmac what node:crypto does', async () => {
    const data = fromUtf8('a key that all three know');
    const { sign, userWithAuth } = OBJECT_ATTRIBUTE;
    const inPublic = {
      type: 'keyed-hash',
      nameAlg: ALG.sha256,
      attributes: sign | userWithAuth,
      authPolicy: EMPTY,
      scheme: { scheme: 'hmac', hashAlg: ALG.sha256 },
      unique: EMPTY,
    } as const;
    const { buffer, code } = await shared.client(async (tpm) => {
      const parameters = { inSensitive: { userAuth: EMPTY, data }, inPublic };
      await writeObject(
        shared,
        'hmac',
        await tpm.run(Create, { handles: { parentHandle: PARENT }, parameters }),
      );
      const handle = await loadFiles(shared, tpm, 'hmac');
      const { outHMAC } = await tpm.run(HMAC, {
        handles: { handle },
        parameters: { buffer: MESSAGE, hashAlg: ALG.sha256 },
      });
      return { buffer: MESSAGE, code: outHMAC };
    });
    await shared.tool('load', ...UNDER_PARENT, ...filesOf('hmac'), '-c', 'key');
    await shared.tool('hmac', '-c', 'key', '-g', 'sha256', '-o', 'code', 'message');
    const expected = toHex(createHmac('sha256', data).update(buffer).digest());
    expect(toHex(code)).toBe(expected);
    expect(toHex(await shared.read('code'))).toBe(expected);
  });
});

describe('persistent keys:', () => {
  const [ours, theirs] = [0x81000011, 0x81000012];
  const digest = createHash('sha256').update(MESSAGE).digest();
  const { restricted } = OBJECT_ATTRIBUTE;

  test('one of EvictControl is used, and evicted again, by tpm2-tools', async () => {
    const key = await shared.client((tpm) =>
      makePersistent(tpm, { hierarchy: 'owner', template: TEMPLATES.vrf }, ours),
    );
    expect(await shared.tool('getcap', 'handles-persistent')).toContain(
      hexHandle(ours).toUpperCase().slice(2),
    );
    await shared.tool('readpublic', '-c', hexHandle(ours), '-f', 'tpmt', '-o', 'area');
    expect(await shared.read('area')).toEqual(key.publicArea);
    await shared.tool('evictcontrol', '-C', 'o', '-c', hexHandle(ours));
    await shared.client(async (tpm) => {
      expect(await tpm.listHandles('persistent')).not.toContain(ours);
      await expect(tpm.readPublic(ours)).rejects.toMatchObject({ data: { name: 'HANDLE (handle 1)' } });
    });
  });

  test('one of tpm2_evictcontrol signs by Sign, and is evicted by EvictControl', async () => {
    await shared.tool(
      'createprimary',
      '-C',
      'o',
      '-G',
      'ecc:ecdsa-sha256:null',
      '-a',
      'sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth',
      '-c',
      'key',
    );
    await shared.tool('evictcontrol', '-C', 'o', '-c', 'key', hexHandle(theirs));
    await shared.client(async (tpm) => {
      const { outPublic } = await tpm.run(ReadPublic, { handles: { objectHandle: theirs } });
      expect(outPublic.attributes & restricted).toBe(0);
      const { signature } = await tpm.run(Sign, { handles: { keyHandle: theirs }, parameters: { digest } });
      await shared.write('signature', encodeSignature(signature));
    });
    await shared.tool(
      'verifysignature',
      '-c',
      hexHandle(theirs),
      '-g',
      'sha256',
      '-m',
      'message',
      '-s',
      'signature',
    );
    await shared.client(async (tpm) => {
      const handles = { auth: HANDLE.owner, objectHandle: theirs };
      await tpm.run(EvictControl, { handles, parameters: { persistentHandle: theirs } });
    });
    expect(await shared.tool('getcap', 'handles-persistent')).not.toContain('81000012');
  });
});
