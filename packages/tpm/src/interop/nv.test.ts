import { fromUtf8, sha256, toHex } from '@nemea/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HANDLE } from '../command.ts';
import { NV_SetBits, NV_WriteLock } from '../commands/nv.ts';
import { NV_ATTRIBUTE } from '../structures/algorithms.ts';
import { hexHandle, type SharedTpm, startSharedTpm } from './test-tools.ts';

const { ownerRead, ownerWrite, authRead, authWrite, counter, bits, extend, writeStClear } = NV_ATTRIBUTE;
const BY_OWNER = ownerRead | ownerWrite;
// More than one command carries.
const LONG = Uint8Array.from({ length: 1300 }, (_, i) => i % 251);
const MESSAGE = fromUtf8('a message');
const PASSWORD = fromUtf8('of the index');

let shared: SharedTpm;
let next = 0x01500000;

beforeAll(async () => {
  shared = await startSharedTpm();
  await shared.write('long', LONG);
  await shared.write('message', MESSAGE);
});

afterAll(() => shared.stop());

async function defineByTool(size: number, attributes: string, ...more: string[]): Promise<number> {
  const index = ++next;
  const options = ['-s', String(size), '-a', attributes, ...more];
  await shared.tool('nvdefine', '-C', 'o', hexHandle(index), ...options);
  return index;
}

async function defineByClient(dataSize: number, attributes: number, password?: Uint8Array): Promise<number> {
  const index = ++next;
  const definition = { index, dataSize, attributes, ...(password && { password }) };
  await shared.client((tpm) => tpm.nvDefine(definition));
  return index;
}

const readByClient = (index: number): Promise<Uint8Array> => shared.client((tpm) => tpm.nvRead(index));

async function readByTool(index: number, ...more: string[]): Promise<Uint8Array> {
  await shared.tool('nvread', '-C', 'o', hexHandle(index), '-o', 'read', ...more);
  return await shared.read('read');
}

test('data: what tpm2_nvdefine and tpm2_nvwrite made is read by nvRead', async () => {
  const index = await defineByTool(LONG.length, 'ownerread|ownerwrite');
  await shared.tool('nvwrite', '-C', 'o', hexHandle(index), '-i', 'long');
  expect(await readByClient(index)).toEqual(LONG);
});

test('data: what nvDefine and nvWrite made is read by tpm2_nvread, and undefined by tpm2_nvundefine', async () => {
  const index = await defineByClient(LONG.length, BY_OWNER);
  await shared.client((tpm) => tpm.nvWrite(index, LONG));
  expect(await readByTool(index)).toEqual(LONG);
  await shared.tool('nvundefine', '-C', 'o', hexHandle(index));
  expect(await shared.client((tpm) => tpm.listHandles('nvIndex'))).not.toContain(index);
});

test('names and attributes: tpm2_nvreadpublic and nvReadPublic say the same of every index', async () => {
  await defineByTool(8, 'ownerread|ownerwrite|policyread|no_da|nt=bits');
  await defineByClient(32, BY_OWNER | writeStClear | extend);
  const known = await shared.client(async (tpm) => {
    const indexes = await tpm.listHandles('nvIndex');
    return await Promise.all(indexes.map((index) => tpm.nvReadPublic(index)));
  });
  expect(known.length).toBeGreaterThanOrEqual(3);
  const blocks = (await shared.tool('nvreadpublic')).split(/^(?=0x)/m);
  expect(blocks).toHaveLength(known.length);
  for (const { nvIndex, name, attributes, dataSize } of known) {
    const block = blocks.find((it) => it.startsWith(hexHandle(nvIndex))) ?? '';
    expect(/name: (\w+)/.exec(block)?.[1]).toBe(toHex(name));
    expect(Number(/attributes:\n.*\n\s*value: (0x\w+)/.exec(block)?.[1])).toBe(attributes >>> 0);
    expect(Number(/size: (\d+)/.exec(block)?.[1])).toBe(dataSize);
  }
});

test.each([
  ['tpm2_nvdefine', () => defineByTool(8, 'ownerread|ownerwrite|nt=counter')],
  ['nvDefine', () => defineByClient(8, BY_OWNER | counter)],
])('counters: one of %s counts on whoever increments it', async (_, define) => {
  const index = await define();
  await shared.tool('nvincrement', '-C', 'o', hexHandle(index));
  const first = new DataView((await readByTool(index)).buffer).getBigUint64(0);
  expect(await shared.client((tpm) => tpm.nvIncrement(index))).toBe(first + 1n);
  await shared.tool('nvincrement', '-C', 'o', hexHandle(index));
  expect(await shared.client((tpm) => tpm.nvIncrement(index))).toBe(first + 3n);
});

test.each([
  ['tpm2_nvdefine', () => defineByTool(32, 'ownerread|ownerwrite|nt=extend')],
  ['nvDefine', () => defineByClient(32, BY_OWNER | extend)],
])('measurements: one of %s is extended by tpm2_nvextend and by nvExtend', async (_, define) => {
  const index = await define();
  await shared.tool('nvextend', '-C', 'o', hexHandle(index), '-i', 'message');
  await shared.client((tpm) => tpm.nvExtend(index, MESSAGE));
  const expected = sha256(sha256(new Uint8Array(32), MESSAGE), MESSAGE);
  expect(await readByTool(index)).toEqual(expected);
  expect(await readByClient(index)).toEqual(expected);
});

test('bits: those of tpm2_nvsetbits and of NV_SetBits add up', async () => {
  const index = await defineByClient(8, BY_OWNER | bits);
  const handles = { authHandle: HANDLE.owner, nvIndex: index };
  await shared.client((tpm) => tpm.run(NV_SetBits, { handles, parameters: { bits: 1n << 63n } }));
  await shared.tool('nvsetbits', '-C', 'o', hexHandle(index), '-i', '0x6');
  expect(toHex(await readByClient(index))).toBe('8000000000000006');
  expect(toHex(await readByTool(index))).toBe('8000000000000006');
});

test('passwords: an index of tpm2_nvdefine opens to nvWrite and nvRead by its password only', async () => {
  const index = await defineByTool(9, 'authread|authwrite', '-p', 'of the index');
  await shared.client(async (tpm) => {
    const access = { auth: { password: PASSWORD } };
    await tpm.nvWrite(index, MESSAGE, access);
    expect(await tpm.nvRead(index, access)).toEqual(MESSAGE);
    const wrong = { auth: { password: MESSAGE } };
    await expect(tpm.nvRead(index, wrong)).rejects.toMatchObject({
      data: { name: expect.stringContaining('AUTH') },
    });
  });
});

test('passwords: an index of nvDefine opens to tpm2_nvwrite and tpm2_nvread by its password only', async () => {
  const index = await defineByClient(9, authRead | authWrite, PASSWORD);
  const at = [hexHandle(index), '-C', hexHandle(index), '-P'];
  await shared.tool('nvwrite', ...at, 'of the index', '-i', 'message');
  await shared.tool('nvread', ...at, 'of the index', '-o', 'read');
  expect(await shared.read('read')).toEqual(MESSAGE);
  await expect(shared.tool('nvread', ...at, 'another', '-o', 'read')).rejects.toThrow('authorization');
});

test('locks: one of tpm2_nvwritelock stops nvWrite, one of NV_WriteLock stops tpm2_nvwrite', async () => {
  const [theirs, ours] = [
    await defineByTool(9, 'ownerread|ownerwrite|write_stclear'),
    await defineByClient(9, BY_OWNER | writeStClear),
  ];
  await shared.tool('nvwritelock', '-C', 'o', hexHandle(theirs));
  await shared.client(async (tpm) => {
    await expect(tpm.nvWrite(theirs, MESSAGE)).rejects.toMatchObject({ data: { name: 'NV_LOCKED' } });
    await tpm.run(NV_WriteLock, { handles: { authHandle: HANDLE.owner, nvIndex: ours } });
  });
  const written = shared.tool('nvwrite', '-C', 'o', hexHandle(ours), '-i', 'message');
  await expect(written).rejects.toThrow('NV access locked');
});
