import { fromHex, fromUtf8 } from '@nemea/core';
import { Certify, CertifyCreation, Create, GetTime, Load, NV_Certify } from '@nemea/tpm/commands';
import {
  filesOf,
  fromSized,
  hexHandle,
  loadFiles,
  makeParent,
  PARENT,
  type SharedTpm,
  startSharedTpm,
} from '@nemea/tpm/interop/testing';
import {
  type AnySignature,
  type Attest,
  encodeSignature,
  parseAttest,
  parsePublicArea,
  parseSignature,
  TEMPLATES,
} from '@nemea/tpm/structures';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyTpmSignature } from '../signature.ts';

const NONCE = '0badcafe00000001';
const qualifyingData = fromHex(NONCE);
const ENDORSEMENT = 0x4000000b;
const OWNER = 0x40000001;
const EK = 0x81010001;
const FIRST_AK = 0x81010010;
const INDEX = 0x01500001;
const CONTENT = fromUtf8('a message');

let shared: SharedTpm;
let name: Uint8Array;

beforeAll(async () => {
  shared = await startSharedTpm();
  await makeParent(shared);
  await shared.tool('createek', '-c', hexHandle(EK), '-G', 'ecc');
  await shared.write('content', CONTENT);
  await shared.tool('nvdefine', '-C', 'o', hexHandle(INDEX), '-s', '9', '-a', 'ownerread|ownerwrite');
  await shared.tool('nvwrite', '-C', 'o', hexHandle(INDEX), '-i', 'content');
  const creation = ['-d', 'creation', '-t', 'ticket'];
  await shared.tool('create', '-C', hexHandle(PARENT), '-G', 'ecc', ...filesOf('object'), ...creation);
  name = (await shared.client((tpm) => loadFiles(shared, tpm, 'object'))).name;
});

afterAll(() => shared.stop());

const KEYS = [
  { kind: 'RSA-2048 RSASSA', type: 'rsa', scheme: 'rsassa', hash: 'sha256' },
  { kind: 'RSA-2048 RSAPSS', type: 'rsa', scheme: 'rsapss', hash: 'sha256' },
  { kind: 'ECC P-256', type: 'ecc', scheme: 'ecdsa', hash: 'sha256' },
  { kind: 'ECC P-384', type: 'ecc384', scheme: 'ecdsa', hash: 'sha384' },
].map((key, i) => ({ ...key, ak: FIRST_AK + i }));

describe.each(KEYS)('statements by $kind:', ({ type, scheme, hash, ak }) => {
  const byKey = ['-g', hash, '--scheme', scheme, '-f', 'tss'];

  beforeAll(async () => {
    await shared.tool('createak', '-C', hexHandle(EK), '-c', 'ak', '-G', type, '-s', scheme, '-g', hash);
    await shared.tool('evictcontrol', '-C', 'o', '-c', 'ak', hexHandle(ak));
    await shared.tool('readpublic', '-c', hexHandle(ak), '-f', 'tpmt', '-o', 'ak.pub');
    await shared.tool('load', '-C', hexHandle(PARENT), ...filesOf('object'), '-c', 'object');
  });

  /** What the tools' files state, its signature checked over the bytes. */
  async function verified(): Promise<Attest> {
    const area = parsePublicArea(await shared.read('ak.pub'));
    if (area.type !== 'rsa' && area.type !== 'ecc') throw new Error(area.type);
    const [attest, signature] = [await shared.read('attest'), await shared.read('signature')];
    expect(verifyTpmSignature(area, parseSignature(signature), attest)).toBe(true);
    const changed = attest.with(-1, (attest.at(-1) as number) ^ 1);
    expect(verifyTpmSignature(area, parseSignature(signature), changed)).toBe(false);
    return parseAttest(attest);
  }

  async function accepted(attest: Uint8Array, signature: AnySignature): Promise<void> {
    await shared.write('attest', attest);
    await shared.write('signature', encodeSignature(signature));
    const statement = ['-m', 'attest', '-s', 'signature', '-g', hash];
    await shared.tool('verifysignature', '-c', hexHandle(ak), ...statement);
  }

  test('one of tpm2_certify names the key, and verifies', async () => {
    const files = ['-o', 'attest', '-s', 'signature'];
    await shared.tool('certify', '-c', 'object', '-C', hexHandle(ak), ...byKey, ...files);
    expect(await verified()).toMatchObject({ type: 'certify', name });
  });

  test('one of Certify is accepted by tpm2_verifysignature', async () => {
    const { certifyInfo, signature } = await shared.client(async (tpm) =>
      tpm.run(Certify, {
        handles: { objectHandle: await loadFiles(shared, tpm, 'object'), signHandle: ak },
        parameters: { qualifyingData },
      }),
    );
    await accepted(certifyInfo, signature);
  });

  test('one of tpm2_nvcertify holds the contents of the index, and verifies', async () => {
    const files = ['--attestation', 'attest', '-o', 'signature'];
    const what = [hexHandle(INDEX), '-c', 'o', '--size', '9', '-q', NONCE];
    await shared.tool('nvcertify', ...what, '-C', hexHandle(ak), ...byKey, ...files);
    const { name: indexName } = await shared.client((tpm) => tpm.nvReadPublic(INDEX));
    const statement = { type: 'nv-certify', indexName, offset: 0, contents: CONTENT };
    expect(await verified()).toMatchObject({ ...statement, extraData: qualifyingData });
  });

  test('one of NV_Certify is accepted by tpm2_verifysignature', async () => {
    const { certifyInfo, signature } = await shared.client((tpm) =>
      tpm.run(NV_Certify, {
        handles: { signHandle: ak, authHandle: OWNER, nvIndex: INDEX },
        parameters: { qualifyingData, size: CONTENT.length },
      }),
    );
    await accepted(certifyInfo, signature);
    expect(await verified()).toMatchObject({ type: 'nv-certify', contents: CONTENT });
  });

  test('one of tpm2_gettime tells the time, and verifies', async () => {
    const files = ['--attestation', 'attest', '-o', 'signature'];
    await shared.tool('gettime', '-c', hexHandle(ak), '-q', NONCE, ...byKey, ...files);
    const statement = await verified();
    expect(statement).toMatchObject({ type: 'get-time', extraData: qualifyingData });
    expect('innerClockInfo' in statement && statement.innerClockInfo.resetCount).toBe(1);
  });

  test('one of GetTime is accepted by tpm2_verifysignature', async () => {
    const { timeInfo, signature } = await shared.client((tpm) =>
      tpm.run(GetTime, {
        handles: { privacyAdminHandle: ENDORSEMENT, signHandle: ak },
        parameters: { qualifyingData },
      }),
    );
    await accepted(timeInfo, signature);
  });

  test('one of tpm2_certifycreation names the key that was made, and verifies', async () => {
    const files = ['--attestation', 'attest', '-o', 'signature'];
    const made = ['-c', 'object', '-d', 'creation', '-t', 'ticket', '-q', NONCE];
    await shared.tool('certifycreation', ...made, '-C', hexHandle(ak), ...byKey, ...files);
    const creationHash = fromSized(await shared.read('creation'));
    expect(await verified()).toMatchObject({ type: 'creation', objectName: name, creationHash });
  });

  test('one of CertifyCreation is accepted by tpm2_verifysignature', async () => {
    const inPublic = parsePublicArea(TEMPLATES.vrf);
    const { certifyInfo, signature } = await shared.client(async (tpm) => {
      const handles = { parentHandle: PARENT };
      const made = await tpm.run(Create, { handles, parameters: { inPublic } });
      const parameters = { inPrivate: made.outPrivate, inPublic: made.outPublic };
      const { objectHandle } = await tpm.run(Load, { handles, parameters });
      const { creationHash, creationTicket } = made;
      return await tpm.run(CertifyCreation, {
        handles: { signHandle: ak, objectHandle },
        parameters: { qualifyingData, creationHash, creationTicket },
      });
    });
    await accepted(certifyInfo, signature);
  });
});
