import { ByteWriter, concatBytes } from '@nemea/core';
import { type HandleRef, returnCodeOf } from '../command.ts';
import type { TpmIo } from '../executor.ts';
import { readFirstSized } from '../object.ts';
import { ALG, digestOf } from '../structures/algorithms.ts';
import { parseWhole } from '../structures/buffer.ts';
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
    const { parameters } = await io.send({ name: 'readPublic', handles: [handle] });
    // TPMT_PUBLIC: type, then nameAlg.
    return nameOfArea(readFirstSized(parameters, 'public area'), 2);
  } catch (error) {
    // A hash sequence has no public area, and the empty name.
    if (returnCodeOf(error) !== RC.sequence) throw error;
    return new Uint8Array(0);
  }
}

async function nvName(io: TpmIo, index: number): Promise<Uint8Array> {
  const { parameters } = await io.send({ name: 'nvReadPublic', handles: [index] });
  // TPMS_NV_PUBLIC: index, then nameAlg.
  return nameOfArea(readFirstSized(parameters, 'nv public area'), 4);
}

function nameOfArea(area: Uint8Array, nameAlgOffset: number): Uint8Array {
  const nameAlg = parseWhole('public area', area, (reader) => {
    reader.bytes(nameAlgOffset);
    const algorithm = reader.u16();
    reader.bytes(reader.remaining);
    return algorithm;
  });
  if (nameAlg === ALG.null) return new Uint8Array(0);
  return concatBytes(new ByteWriter().u16(nameAlg).toBytes(), digestOf(nameAlg, area));
}
