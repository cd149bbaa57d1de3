import { ByteWriter, fromHex, sha256, toHex } from '@nemea/core';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listCommands, listHandles } from '../capability.ts';
import type { TpmChannel } from '../channel/channel.ts';
import { type Exchange, recordChannel } from '../channel/recording.ts';
import { openUnixChannel } from '../channel/unix.ts';
import { HANDLE } from '../command.ts';
import { openExecutor, type TpmIo } from '../executor.ts';
import { createPrimary, flush, readPublic } from '../object.ts';
import { RC } from '../structures/return-code.ts';
import { TEMPLATES } from '../structures/templates.ts';
import { startTestTpm, type TestTpm } from '../testing.ts';
import { attributesByCode, layoutOf } from './command-layout.ts';
import { ResourceManager } from './resource-manager.ts';

const AK = { hierarchy: 'endorsement', template: TEMPLATES.ak } as const;

let software: TestTpm;
let channel: TpmChannel;
let recording: Exchange[];
let manager: ResourceManager;
/** What a user of the manager sends through, and what the TPM itself says. */
let io: TpmIo;
let bare: TpmIo;
beforeEach(async () => {
  software = await startTestTpm();
  await software.tpm.close();
  recording = [];
  channel = recordChannel(await openUnixChannel(software.socketPath), recording);
  manager = await ResourceManager.open(channel);
  io = openExecutor(manager);
  bare = openExecutor(channel);
});
afterEach(async () => {
  await channel.close();
  await software.stop();
});

/** Attestation keys that differ: `unique` is part of what a primary key is made from. */
function numbered(index: number): typeof AK {
  const area = TEMPLATES.ak.slice(0, -4);
  const unique = sha256(Uint8Array.of(index));
  const template = new ByteWriter().bytes(area).u16(32).bytes(unique).u16(0).toBytes();
  return { hierarchy: 'endorsement', template };
}

async function startSession(): Promise<number> {
  const parameters = fromHex(`0010${'00'.repeat(16)}0000010010000b`);
  const handles = [HANDLE.null, HANDLE.null];
  return (await io.send({ name: 'StartAuthSession', code: 0x176, handles, parameters, returnsHandle: true }))
    .handle;
}

/** Makes the digest of a policy session say `pcr`. */
async function policyPcr(session: number, pcr: number): Promise<void> {
  const bitmap = new Uint8Array(3);
  bitmap[pcr >> 3] = 1 << (pcr & 7);
  const parameters = new ByteWriter().u16(0).u32(1).u16(0x000b).u8(3).bytes(bitmap).toBytes();
  await io.send({ name: 'PolicyPCR', code: 0x17f, handles: [session], parameters });
}

async function policyDigest(session: number): Promise<string> {
  const command = fromHex('80010000000e00000189').slice();
  const bytes = new ByteWriter().bytes(command).u32(session).toBytes();
  return toHex((await manager.transmit(bytes)).subarray(12));
}

describe('objects', () => {
  it('are fifty at once on a TPM of three slots, each still the one it was', async () => {
    const keys = [];
    for (let i = 0; i < 50; i++) keys.push(await createPrimary(io, numbered(i)));
    expect(new Set(keys.map(({ handle }) => handle)).size).toBe(50);
    expect(new Set(keys.map(({ name }) => toHex(name))).size).toBe(50);
    for (const key of [...keys, ...keys.toReversed()]) {
      expect(toHex((await readPublic(io, key.handle)).name)).toBe(toHex(key.name));
    }
    expect(await listHandles(io, 'transient')).toEqual(keys.map(({ handle }) => handle));
    expect((await listHandles(bare, 'transient')).length).toBeLessThanOrEqual(3);
    for (const { handle } of keys) await flush(io, handle);
    expect(await listHandles(io, 'transient')).toEqual([]);
    expect(await listHandles(bare, 'transient')).toEqual([]);
  });

  it('are loaded together when one command needs several', async () => {
    const keys = [];
    for (let i = 0; i < 5; i++) keys.push(await createPrimary(io, numbered(i)));
    for (const object of keys) {
      for (const signer of keys) {
        const certified = await io.send({
          name: 'Certify',
          code: 0x148,
          handles: [object.handle, signer.handle],
          authorizations: ['password', 'password'],
          parameters: fromHex('00000010'),
        });
        expect(toHex(certified.parameters)).toContain(toHex(object.name));
      }
    }
  });

  it('make way for what a command needs inside the TPM', async () => {
    const srk = await createPrimary(io, { hierarchy: 'endorsement', template: TEMPLATES.srk });
    for (let i = 0; i < 3; i++) await createPrimary(io, numbered(i));
    const template = new ByteWriter().u16(TEMPLATES.ak.length).bytes(TEMPLATES.ak).toBytes();
    const created = await io.send({
      name: 'Create',
      code: 0x153,
      handles: [srk.handle],
      authorizations: ['password'],
      parameters: new ByteWriter().bytes(fromHex('000400000000')).bytes(template).u16(0).u32(0).toBytes(),
    });
    expect(created.parameters.length).toBeGreaterThan(100);
  });

  it('never share a handle with one that is gone', async () => {
    const first = await createPrimary(io, AK);
    await flush(io, first.handle);
    const second = await createPrimary(io, numbered(1));
    expect(second.handle).not.toBe(first.handle);
    const stale = readPublic(io, first.handle);
    await expect(stale).rejects.toMatchObject({ data: { returnCode: RC.referenceH0 } });
    await expect(flush(io, first.handle)).rejects.toMatchObject({ data: { returnCode: 0x1cb } });
  });

  it('are forgotten when the TPM flushed them itself', async () => {
    const lost = await createPrimary(io, { hierarchy: 'owner', template: TEMPLATES.ak });
    // TPM2_Clear by lockout, empty password.
    const clear = fromHex('80020000001b000001264000000a0000000940000009000000 0000'.replace(' ', ''));
    const response = await manager.transmit(clear);
    expect(toHex(response.subarray(6, 10))).toBe('00000000');
    expect(await listHandles(bare, 'transient')).toEqual([]);
    const next = await createPrimary(io, numbered(1));
    // The TPM gave the same slot again; the old handle must not mean the new key.
    await expect(readPublic(io, lost.handle)).rejects.toMatchObject({ code: 'TPM_RETURN_CODE' });
    expect(toHex((await readPublic(io, next.handle)).name)).toBe(toHex(next.name));
  });

  it('keep the state of a hash sequence while it is swapped out', async () => {
    const begin = new ByteWriter().bytes(fromHex('80010000000e000001860000000b')).toBytes();
    const started = await manager.transmit(begin);
    const sequence = new DataView(started.buffer, started.byteOffset).getUint32(10);
    for (let piece = 0; piece < 4; piece++) {
      await crowdOut();
      const update = sequenceCommand(0x15c, sequence, Uint8Array.of(piece));
      expect(returnCode(await manager.transmit(update))).toBe(RC.success);
    }
    await crowdOut();
    const completed = await manager.transmit(sequenceCommand(0x13e, sequence, Uint8Array.of(4), HANDLE.null));
    expect(returnCode(completed)).toBe(RC.success);
    expect(toHex(completed)).toContain(toHex(sha256(Uint8Array.of(0, 1, 2, 3, 4))));
    // TPM2_SequenceComplete flushed it.
    expect(await listHandles(io, 'transient')).toEqual([]);
    expect(await listHandles(bare, 'transient')).toEqual([]);

    async function crowdOut(): Promise<void> {
      const keys = [];
      for (let i = 0; i < 3; i++) keys.push(await createPrimary(io, numbered(i)));
      for (const { handle } of keys) await flush(io, handle);
    }
  });

  it('are refused beyond a limit', async () => {
    for (let i = 0; i < 1024; i++) await createPrimary(io, AK);
    await expect(createPrimary(io, AK)).rejects.toMatchObject({ data: { returnCode: RC.objectHandles } });
  });

  it('are all gone after the TPM starts anew', async () => {
    const key = await createPrimary(io, AK);
    await software.kill();
    await software.restart();
    await expect(readPublic(io, key.handle)).rejects.toMatchObject({ code: 'TPM_CHANNEL_FAILED' });
    expect(manager.isOpen).toBe(false);
  });
});

describe('sessions', () => {
  it('are ten at once on a TPM of three slots, each with its own digest', async () => {
    const sessions: number[] = [];
    for (let i = 0; i < 10; i++) {
      const session = await startSession();
      sessions.push(session);
      await policyPcr(session, i);
    }
    const digests = [];
    for (const session of sessions) digests.push(await policyDigest(session));
    expect(new Set(digests).size).toBe(10);
    for (const [index, session] of sessions.toReversed().entries()) {
      expect(await policyDigest(session)).toBe(digests.at(-1 - index));
    }
    for (const session of sessions) await flush(io, session);
    expect(await listHandles(bare, 'loadedSession')).toEqual([]);
    expect(await listHandles(bare, 'savedSession')).toEqual([]);
  });

  it('may lie unused while others are saved many hundred times', async () => {
    const idle = await startSession();
    await policyPcr(idle, 1);
    const digest = await policyDigest(idle);
    const busy: number[] = [];
    for (let i = 0; i < 4; i++) busy.push(await startSession());
    for (let round = 0; round < 150; round++) {
      for (const session of busy) await policyDigest(session);
    }
    // Saved when it made way, and again each time the TPM was about to lose count of how long ago.
    const saves = recording.filter(({ command }) => toHex(command) === `80010000000e00000162${hex32(idle)}`);
    expect(saves.length).toBeGreaterThan(2);
    expect(await policyDigest(idle)).toBe(digest);
  });

  it('may be saved and loaded by their user', async () => {
    const session = await startSession();
    await policyPcr(session, 3);
    const digest = await policyDigest(session);
    const { parameters } = await io.send({ name: 'ContextSave', code: 0x162, handles: [session] });
    for (let i = 0; i < 4; i++) await startSession();
    await io.send({ name: 'ContextLoad', code: 0x161, parameters, returnsHandle: true });
    expect(await policyDigest(session)).toBe(digest);
  });
});

describe('a transaction', () => {
  it('flushes what failed work made, and keeps what was there before', async () => {
    const kept = await createPrimary(io, AK);
    const failing = manager.transaction(async () => {
      await createPrimary(io, numbered(1));
      await startSession();
      throw new Error('no more');
    });
    await expect(failing).rejects.toThrow('no more');
    expect(await listHandles(bare, 'transient')).toHaveLength(1);
    expect(await listHandles(bare, 'loadedSession')).toEqual([]);
    expect(toHex((await readPublic(io, kept.handle)).name)).toBe(toHex(kept.name));
  });

  it('keeps what successful work made', async () => {
    const key = await manager.transaction(() => createPrimary(io, AK));
    await manager.transaction(() => readPublic(io, key.handle));
    expect(toHex((await readPublic(io, key.handle)).name)).toBe(toHex(key.name));
  });
});

describe('the layout of a command', () => {
  it('is found in any bytes without a throw, and names only what is in them', async () => {
    const commands = attributesByCode(await listCommands(bare));
    const codes = fc.constantFrom(...commands.keys());
    const tag = fc.constantFrom(0x8001, 0x8002);
    fc.assert(
      fc.property(tag, codes, fc.uint8Array({ maxLength: 80 }), (tag, code, body) => {
        const command = new ByteWriter()
          .u16(tag)
          .u32(10 + body.length)
          .u32(code)
          .bytes(body)
          .toBytes();
        const layout = layoutOf(command, commands);
        const words = (layout?.handles.length ?? 0) + (layout?.sessions.length ?? 0);
        expect(4 * words).toBeLessThanOrEqual(body.length);
        expect(layout?.sessions.length ?? 0).toBeLessThanOrEqual(3);
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => void layoutOf(bytes, commands)));
  });

  it('tells handles from sessions, and which sessions go on', async () => {
    const commands = attributesByCode(await listCommands(bare));
    // TPM2_Certify of 0x80000001 by 0x80000002: password, then a policy session that continues.
    const areas = '40000009 0000 00 0000 03000000 0000 01 0000'.replaceAll(' ', '');
    const command = fromHex(`8002000000300000014880000001800000020000 0012${areas}00000010`.replace(' ', ''));
    expect(layoutOf(command, commands)).toEqual({
      code: 0x148,
      handles: [0x80000001, 0x80000002],
      sessions: [
        { handle: 0x40000009, continues: false },
        { handle: 0x03000000, continues: true },
      ],
      returnsHandle: false,
      flushes: false,
    });
  });
});

function hex32(value: number): string {
  return toHex(new ByteWriter().u32(value).toBytes());
}

function returnCode(response: Uint8Array): number {
  return new DataView(response.buffer, response.byteOffset).getUint32(6);
}

/** TPM2_SequenceUpdate or TPM2_SequenceComplete, empty password. */
function sequenceCommand(code: number, sequence: number, data: Uint8Array, hierarchy?: number): Uint8Array {
  const body = new ByteWriter().u32(sequence).u32(9).bytes(fromHex('400000090000000000'));
  body.u16(data.length).bytes(data);
  if (hierarchy !== undefined) body.u32(hierarchy);
  const bytes = body.toBytes();
  return new ByteWriter()
    .u16(0x8002)
    .u32(10 + bytes.length)
    .u32(code)
    .bytes(bytes)
    .toBytes();
}
