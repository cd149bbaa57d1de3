import { fromUtf8, toHex } from '@nemea/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MakeCredential } from '../commands/credential.ts';
import { makeCredential } from '../credential.ts';
import type { TpmKey } from '../object.ts';
import { EK_TEMPLATES } from '../structures/ek-templates.ts';
import { matchesTemplate, TEMPLATES } from '../structures/templates.ts';
import {
  fromCredentialFile,
  fromSized,
  hexHandle,
  makePersistent,
  type SharedTpm,
  startSharedTpm,
  toCredentialFile,
} from './test-tools.ts';

const SECRET = fromUtf8('a secret of 32 bytes, no more...');
const AK = 0x81010100;
const OTHER_AK = 0x81010101;

let shared: SharedTpm;
let ak: TpmKey;
let otherAk: TpmKey;

beforeAll(async () => {
  shared = await startSharedTpm();
  await shared.write('secret', SECRET);
  await shared.client(async (tpm) => {
    ak = await makePersistent(tpm, { hierarchy: 'endorsement', template: TEMPLATES.ak }, AK);
    otherAk = await makePersistent(tpm, { hierarchy: 'owner', template: TEMPLATES.ak }, OTHER_AK);
  });
});

afterAll(() => shared.stop());

describe.each([
  { kind: 'RSA-2048', option: 'rsa', id: 'L-1', ek: 0x81010001, isHigh: false },
  { kind: 'ECC P-256', option: 'ecc', id: 'L-2', ek: 0x81010002, isHigh: false },
  { kind: 'ECC P-384', option: 'ecc384', id: 'H-3', ek: 0x81010003, isHigh: true },
  { kind: 'ECC P-521', option: 'ecc521', id: 'H-4', ek: 0x81010004, isHigh: true },
] as const)('credentials for a $kind endorsement key:', ({ option, id, ek, isHigh }) => {
  beforeAll(async () => {
    await shared.tool('createek', '-c', hexHandle(ek), '-G', option, '-u', `${option}.pub`);
  });

  test('the key of tpm2_createek is the one of our template', async () => {
    const theirs = fromSized(await shared.read(`${option}.pub`));
    const request = { hierarchy: 'endorsement', template: EK_TEMPLATES[id].template } as const;
    const ours = await shared.client((tpm) => tpm.createPrimary(request));
    expect(matchesTemplate(theirs, request.template)).toBe(true);
    expect(toHex(ours.publicArea)).toBe(toHex(theirs));
  });

  const activate = (file: string, key = ak): Promise<Uint8Array> =>
    shared.client(async (tpm) => {
      const credential = fromCredentialFile(await shared.read(file));
      return await tpm.activateCredential({ ak: key, ek: await tpm.readPublic(ek), ...credential });
    });

  test('one of tpm2_makecredential, made by the TPM, is activated by activateCredential', async () => {
    const name = toHex(ak.name);
    await shared.tool('makecredential', '-u', `${option}.pub`, '-n', name, '-s', 'secret', '-o', 'made');
    expect(await activate('made')).toEqual(SECRET);
  });

  test('one of tpm2_makecredential, made in software, is activated by activateCredential', async () => {
    const options = ['-u', `${option}.pub`, '-n', toHex(ak.name), '-s', 'secret', '-o', 'made', '-T', 'none'];
    await shared.tool('makecredential', ...options);
    expect(await activate('made')).toEqual(SECRET);
  });

  /** Keys of the high range open to their password too, others only to their policy. */
  const activateByTool = async (key = AK): Promise<Uint8Array> => {
    const files = ['-i', 'made', '-o', 'opened'];
    const keys = ['-c', hexHandle(key), '-C', hexHandle(ek)];
    if (isHigh) await shared.tool('activatecredential', ...keys, ...files);
    else {
      await shared.tool('startauthsession', '--policy-session', '-S', 'session');
      try {
        await shared.tool('policysecret', '-S', 'session', '-c', 'e');
        await shared.tool('activatecredential', ...keys, ...files, '-P', 'session:session');
      } finally {
        await shared.tool('flushcontext', 'session');
      }
    }
    return await shared.read('opened');
  };

  test('one of makeCredential is activated by tpm2_activatecredential', async () => {
    const ekPublic = fromSized(await shared.read(`${option}.pub`));
    await shared.write('made', toCredentialFile(makeCredential(ekPublic, ak.name, SECRET)));
    expect(await activateByTool()).toEqual(SECRET);
  });

  test('one of TPM2_MakeCredential is activated by tpm2_activatecredential', async () => {
    const { credentialBlob, secret } = await shared.client((tpm) =>
      tpm.run(MakeCredential, {
        handles: { handle: ek },
        parameters: { credential: SECRET, objectName: ak.name },
      }),
    );
    await shared.write('made', toCredentialFile({ credentialBlob, encryptedSecret: secret }));
    expect(await activateByTool()).toEqual(SECRET);
  });

  test('one for another attestation key is refused by both', async () => {
    const ekPublic = fromSized(await shared.read(`${option}.pub`));
    await shared.write('made', toCredentialFile(makeCredential(ekPublic, ak.name, SECRET)));
    await expect(activate('made', otherAk)).rejects.toMatchObject({ code: 'TPM_CREDENTIAL_REFUSED' });
    await expect(activateByTool(OTHER_AK)).rejects.toThrow('integrity check failed');
  });
});
