import { ByteWriter, concatBytes } from '@nemea/core';
import { type HandleRef, returnCodeOf } from '../command.ts';
import { NV_ReadPublic } from '../commands/nv.ts';
import { ReadPublic } from '../commands/object.ts';
import { run } from '../commands/run.ts';
import type { TpmIo } from '../executor.ts';
import { ALG, digestOf } from '../structures/algorithms.ts';
import { encode } from '../structures/codec.ts';
import { tpmsNvPublic } from '../structures/context.ts';
import { encodePublicArea } from '../structures/public-area.ts';
import { RC } from '../structures/return-code.ts';

const HANDLE_TYPE_NV = 0x01;
const HANDLE_TYPES_OBJECT: ReadonlySet<number> = new Set([0x80, 0x81]);

/**
 * The name that a command's digest gives a handle (TPM 2.0 Part 1, 16). PCRs, hierarchies and sessions are named by
 * the handle. Of keys and NV indexes the TPM is asked, unauthenticated: who must not be misled about which object a
 * handle holds gives the name that it expects.
 */
export async function nameOfHandle(io: TpmIo, reference: HandleRef): Promise<Uint8Array> {
  if (typeof reference !== 'number') {
    return reference.name ?? (await nameOfHandle(io, reference.handle));
  }
  const handleType = reference >>> 24;
  if (handleType === HANDLE_TYPE_NV) return await nvName(io, reference);
  if (HANDLE_TYPES_OBJECT.has(handleType)) return await objectName(io, reference);
  return new ByteWriter().u32(reference).toBytes();
}

async function objectName(io: TpmIo, handle: number): Promise<Uint8Array> {
  try {
    const { outPublic } = await run(io, ReadPublic, { handles: { objectHandle: handle } });
    return nameOfArea(outPublic.nameAlg, encodePublicArea(outPublic));
  } catch (error) {
    // A hash sequence has no public area, and the empty name.
    if (returnCodeOf(error) !== RC.sequence) throw error;
    return new Uint8Array(0);
  }
}

async function nvName(io: TpmIo, index: number): Promise<Uint8Array> {
  const { nvPublic } = await run(io, NV_ReadPublic, { handles: { nvIndex: index } });
  return nameOfArea(nvPublic.nameAlg, encode(tpmsNvPublic, nvPublic));
}

function nameOfArea(nameAlg: number, area: Uint8Array): Uint8Array {
  if (nameAlg === ALG.null) return new Uint8Array(0);
  return concatBytes(new ByteWriter().u16(nameAlg).toBytes(), digestOf(nameAlg, area));
}
