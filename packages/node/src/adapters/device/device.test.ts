import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MeasuredLog } from '@nemea/attestation';
import { shimVariable, writeAgileLog } from '@nemea/attestation/eventlog/testing';
import { concatBytes, fromUtf8, sha256, toHex } from '@nemea/core';
import { nameOf } from '@nemea/tpm';
import { startTestTpm } from '@nemea/tpm/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceCompliance } from '../../ports/testing/device-compliance.ts';
import { openDeviceKeys } from '../keys/sealed-keys.ts';
import {
  DeviceError,
  type DeviceFacts,
  initDevice,
  openDevice,
  readDeviceFacts,
  socketPath,
  type TpmDevice,
} from './device.ts';

let root: string;
let dir: string;
let facts: DeviceFacts;
let device: TpmDevice;

const init = (name: string) =>
  initDevice({
    dir: join(root, name),
    name,
    tpm: { kind: 'swtpm' },
    caDir: join(root, 'ca'),
    ports: { overlay: 9000 },
  });

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'device-'));
  dir = join(root, 'one');
  facts = await init('one');
  device = await openDevice(dir);
});

afterAll(async () => {
  await device.close();
  rmSync(root, { recursive: true });
});

test('a device is what it was initialised as, at every start', () => {
  expect(readDeviceFacts(dir)).toEqual(facts);
  expect(device).toMatchObject({ account: facts.account, peerId: facts.peerId });
  const message = fromUtf8('message');
  expect(device.verifySignature(device.peerKey, message, device.sign(message))).toBe(true);
});

test('its folder is for its owner alone, and holds no key in the clear', () => {
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  const { peerSeed, accountKey, receiverKey } = device.keys;
  for (const name of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    const hex = readFileSync(join(name.parentPath, name.name)).toString('hex');
    for (const key of [peerSeed, accountKey, receiverKey]) expect(hex).not.toContain(toHex(key));
  }
});

test('its software is in the log before its keys are open, and its TPM has a chain to the root', () => {
  expect(device.measured.events.map(({ kind }) => kind)).toEqual(['release']);
  expect(toHex(device.measured.events[0]?.digest ?? sha256())).toBe(toHex(device.release.digest));
  expect(device.ekChain.length).toBeGreaterThanOrEqual(3);
});

test('a folder that holds a device is not initialised again: its TPM is its identity', async () => {
  await expect(init('one')).rejects.toMatchObject({ code: 'DEVICE_EXISTS' });
});

test('another device has other keys', async () => {
  const other = await init('two');
  expect(other.account).not.toBe(facts.account);
  expect(other.peerId).not.toBe(facts.peerId);
});

test('the endorsement key it was made with is the one that secrets are encrypted to', async () => {
  const { ekPublic, ekTemplate } = device.identity;
  expect(facts.ek).toEqual({ template: ekTemplate, name: toHex(nameOf(ekPublic)) });
  await init('pinned');
  const folder = join(root, 'pinned');
  const file = join(folder, 'device.json');
  const written = readFileSync(file, 'utf8');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(written), ek: facts.ek }));
  // Its keys do not leave the TPM for whoever cannot show that key.
  await expect(openDevice(folder)).rejects.toMatchObject({
    code: 'KEYS_SEALED_ELSEWHERE',
    cause: { code: 'TPM_KEY_UNEXPECTED' },
  });
  writeFileSync(file, written);
  await (await openDevice(folder)).close();
});

test('a device whose TPM dies says so, does nothing in its name, and can be closed', async () => {
  await init('lost');
  const dying = await openDevice(join(root, 'lost'));
  const socket = socketPath(join(root, 'lost'), 'tpm.sock');
  const pid = execFileSync('pgrep', ['-f', `path=${socket},`], { encoding: 'utf8' }).trim();
  process.kill(Number(pid), 'SIGKILL');
  await expect(dying.lost).resolves.toMatchObject({ code: 'DEVICE_TPM_LOST' });
  await expect(dying.identity.quote({ qualifyingData: sha256(), pcrs: [14] })).rejects.toMatchObject({
    code: expect.stringMatching(/^TPM_CHANNEL_/),
  });
  await dying.close();
});

test('a device that was closed was not lost', async () => {
  const other = await openDevice(join(root, 'pinned'));
  await other.close();
  await expect(Promise.race([other.lost, 'not lost'])).resolves.toBe('not lost');
});

describe('sealed keys', () => {
  const open = (name: string, pcrs: readonly number[] = [14]) =>
    openDeviceKeys(device.tpm, join(root, name), pcrs);

  test('are made once, and are the same ones after that', async () => {
    const first = await open('keys');
    expect(await open('keys')).toEqual(first);
    expect(statSync(join(root, 'keys')).mode & 0o777).toBe(0o600);
    expect(new Set([first.peerSeed, first.accountKey, first.receiverKey].map(toHex)).size).toBe(3);
  });

  test('open in no other TPM', async () => {
    const other = await openDevice(join(root, 'two'));
    try {
      await expect(openDeviceKeys(other.tpm, join(root, 'keys'), [14])).rejects.toMatchObject({
        code: 'KEYS_SEALED_ELSEWHERE',
      });
    } finally {
      await other.close();
    }
  });

  test.each([
    ['that is empty', new Uint8Array(0), 'KEYS_MALFORMED'],
    ['that is something else', fromUtf8('text'), 'KEYS_MALFORMED'],
    ['without a blob', Uint8Array.of(0xa0), 'KEYS_MALFORMED'],
  ])('are refused from a file %s', async (_what, bytes, code) => {
    writeFileSync(join(root, 'bad'), bytes);
    await expect(open('bad')).rejects.toMatchObject({ code });
  });

  test('are refused when the blob was altered', async () => {
    await open('altered');
    const bytes = new Uint8Array(readFileSync(join(root, 'altered')));
    writeFileSync(
      join(root, 'altered'),
      concatBytes(bytes.slice(0, -20), Uint8Array.of((bytes.at(-20) as number) ^ 1), bytes.slice(-19)),
    );
    await expect(open('altered')).rejects.toMatchObject({ code: 'KEYS_SEALED_ELSEWHERE' });
  });

  test('stay shut after a boot whose shim trusts other keys, and open after one as before [ATT-30]', async () => {
    const machine = await startTestTpm();
    const path = join(root, 'booted by shim');
    const release = { kind: 'release', digest: device.release.digest, name: device.release.name } as const;
    async function keysAfter(mokList: string) {
      await machine.kill();
      await machine.restart();
      const event = shimVariable('MokList', fromUtf8(mokList));
      await machine.tpm.pcrExtend(14, sha256(fromUtf8(mokList)));
      const measured = await MeasuredLog.open({
        tpm: machine.tpm,
        eventLog: writeAgileLog(['sha256'], [event]),
      });
      await measured.measure(release);
      return openDeviceKeys(machine.tpm, path, [14]);
    }
    const first = await keysAfter('keys of the owner');
    await expect(keysAfter('other keys')).rejects.toMatchObject({ code: 'KEYS_SEALED_ELSEWHERE' });
    expect(await keysAfter('keys of the owner')).toEqual(first);
    await machine.stop();
  });

  // Last, because no measurement can be taken back: nothing after it unseals.
  test('stay shut once another release was measured, also for the process that made them [ATT-3]', async () => {
    await open('before');
    await device.measured.measure({ kind: 'release', digest: sha256(fromUtf8('other')), name: 'other' });
    await expect(open('before')).rejects.toMatchObject({ code: 'KEYS_SEALED_ELSEWHERE' });
  });
});

describe('the facts of a device', () => {
  const read = (text: string) => {
    const folder = join(root, `facts ${sha256(fromUtf8(text)).slice(0, 4).join('')}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'device.json'), text);
    return () => readDeviceFacts(folder);
  };

  test.each(['', '[]', '{}', '{"name":"x","tpm":{"kind":"other"},"account":"","peerId":"","ports":{}}'])(
    'are refused: %j',
    (text) => {
      expect(read(text)).toThrow(DeviceError);
      expect(read(`${text} `)).toThrow('device.json');
    },
  );

  test('are missing where no device is', () => {
    expect(() => readDeviceFacts(join(root, 'nowhere'))).toThrow('run `nemea node init` first');
  });
});

test('a socket whose path would be too long lies in a short private folder, always the same', () => {
  expect(socketPath(root, 'x.sock')).toBe(join(root, 'x.sock'));
  const long = join(root, 'deep/'.repeat(30));
  const path = socketPath(long, 'x.sock');
  expect(path.length).toBeLessThan(108);
  expect(socketPath(long, 'x.sock')).toBe(path);
  expect(socketPath(`${long}/other`, 'x.sock')).not.toBe(path);
});

describe('a device with a real TPM', () => {
  let fresh: TpmDevice;
  beforeAll(async () => {
    await init('fresh');
    fresh = await openDevice(join(root, 'fresh'));
  });
  afterAll(() => fresh.close());

  for (const { title, run } of deviceCompliance(() => fresh, Date.now)) test(title, run);
});
