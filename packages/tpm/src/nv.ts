import { concatBytes } from '@nemea/core';
import { type Attestation, assertQualifying, attestation } from './attestation.ts';
import { type Authorization, HANDLE } from './command.ts';
import {
  NV_Certify,
  NV_DefineSpace,
  NV_Extend,
  NV_Increment,
  NV_Read,
  NV_ReadPublic,
  NV_UndefineSpace,
  NV_Write,
} from './commands/nv.ts';
import { run } from './commands/run.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import type { TpmKey } from './object.ts';
import { ALG, NV_ATTRIBUTE } from './structures/algorithms.ts';
import { invalid } from './structures/buffer.ts';
import type { NvPublic } from './structures/context.ts';

/** What a new index is. Without `attributes` and `authPolicy`: ordinary data, for the owner to write and to read. */
export interface NvDefinition {
  readonly index: number;
  readonly dataSize: number;
  /** TPMA_NV, see `NV_ATTRIBUTE`. */
  readonly attributes?: number;
  readonly authPolicy?: Uint8Array;
  /** The password of the index itself. */
  readonly password?: Uint8Array;
}

/** How an index is reached: by its own authorization where its attributes allow that, else by the owner's. */
export interface NvAccess {
  /** Default: the empty password. */
  readonly auth?: Authorization;
}

/** Which contents of which index are certified, by which key, over what. */
export interface NvCertifyRequest extends NvAccess {
  readonly index: number;
  readonly qualifyingData: Uint8Array;
}

const NV_BYTES_MAX = 16_384;
// Every TPM reads and writes at least this much at once (TCG PC Client profile, TPM_PT_NV_BUFFER_MAX).
const PIECE_BYTES = 512;
const COUNTER_BYTES = 8;
const EMPTY = new Uint8Array(0);
const { ownerRead, ownerWrite, authRead, authWrite } = NV_ATTRIBUTE;

/** TPM2_NV_DefineSpace by the owner. */
export async function nvDefine(io: TpmIo, definition: NvDefinition, access: NvAccess = {}): Promise<void> {
  const { index, dataSize, attributes = ownerRead | ownerWrite, authPolicy = EMPTY } = definition;
  await run(io, NV_DefineSpace, {
    handles: { authHandle: HANDLE.owner },
    parameters: {
      auth: definition.password ?? EMPTY,
      publicInfo: { nvIndex: index, nameAlg: ALG.sha256, attributes: attributes >>> 0, authPolicy, dataSize },
    },
    ...authOf(access),
  });
}

/** TPM2_NV_UndefineSpace by the owner. */
export async function nvUndefine(io: TpmIo, index: number, access: NvAccess = {}): Promise<void> {
  await run(io, NV_UndefineSpace, {
    handles: { authHandle: HANDLE.owner, nvIndex: index },
    ...authOf(access),
  });
}

/** TPMS_NV_PUBLIC of an index, and the name that the TPM computes from it. */
export async function nvReadPublic(io: TpmIo, index: number): Promise<NvPublic & { name: Uint8Array }> {
  const { nvPublic, nvName } = await run(io, NV_ReadPublic, { handles: { nvIndex: index } });
  if (nvPublic.dataSize > NV_BYTES_MAX)
    throw invalid(`nv contents: got ${nvPublic.dataSize} bytes, want at most ${NV_BYTES_MAX}`);
  return { ...nvPublic, name: nvName };
}

/** The contents of an index, whole. */
export async function nvRead(io: TpmIo, index: number, access: NvAccess = {}): Promise<Uint8Array> {
  const nvPublic = await nvReadPublic(io, index);
  const handles = handlesFor(nvPublic, authRead);
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < nvPublic.dataSize; offset += PIECE_BYTES) {
    const size = Math.min(PIECE_BYTES, nvPublic.dataSize - offset);
    const { data } = await run(io, NV_Read, { handles, parameters: { size, offset }, ...authOf(access) });
    if (data.length !== size) throw invalid(`nv contents: got ${data.length} bytes, want ${size}`);
    pieces.push(data);
  }
  return concatBytes(...pieces);
}

/** Writes `data` from the start of an index. */
export async function nvWrite(
  io: TpmIo,
  index: number,
  data: Uint8Array,
  access: NvAccess = {},
): Promise<void> {
  const nvPublic = await nvReadPublic(io, index);
  if (data.length > nvPublic.dataSize)
    throw new TpmError(
      'TPM_ARGUMENT_INVALID',
      `nv contents: got ${data.length} bytes, want at most ${nvPublic.dataSize}`,
    );
  const handles = handlesFor(nvPublic, authWrite);
  for (let offset = 0; offset < data.length; offset += PIECE_BYTES) {
    const piece = data.slice(offset, offset + PIECE_BYTES);
    await run(io, NV_Write, { handles, parameters: { data: piece, offset }, ...authOf(access) });
  }
}

/** TPM2_NV_Increment of a counter; its value after that. */
export async function nvIncrement(io: TpmIo, index: number, access: NvAccess = {}): Promise<bigint> {
  const handles = handlesFor(await nvReadPublic(io, index), authWrite);
  await run(io, NV_Increment, { handles, ...authOf(access) });
  return await nvReadCounter(io, index, access);
}

/** The value of a counter. The TPM refuses one that was never incremented: `NV_UNINITIALIZED`. */
export async function nvReadCounter(io: TpmIo, index: number, access: NvAccess = {}): Promise<bigint> {
  const value = await nvRead(io, index, access);
  if (value.length !== COUNTER_BYTES) throw invalid(`nv counter: got ${value.length} bytes, want 8`);
  return new DataView(value.buffer, value.byteOffset).getBigUint64(0);
}

/** TPM2_NV_Extend of an index of type extend: contents = H(contents || data). */
export async function nvExtend(
  io: TpmIo,
  index: number,
  data: Uint8Array,
  access: NvAccess = {},
): Promise<void> {
  const handles = handlesFor(await nvReadPublic(io, index), authWrite);
  await run(io, NV_Extend, { handles, parameters: { data }, ...authOf(access) });
}

/** TPM2_NV_Certify: `ak` states what the first bytes of the index are, all of them if they fit into one statement. */
export async function nvCertify(io: TpmIo, ak: TpmKey, request: NvCertifyRequest): Promise<Attestation> {
  assertQualifying(request.qualifyingData);
  const nvPublic = await nvReadPublic(io, request.index);
  const { certifyInfo, signature } = await run(io, NV_Certify, {
    handles: { signHandle: ak, ...handlesFor(nvPublic, authRead) },
    parameters: {
      qualifyingData: request.qualifyingData,
      size: Math.min(nvPublic.dataSize, PIECE_BYTES),
    },
    auth: ['password', request.auth ?? 'password'],
  });
  return attestation(certifyInfo, signature);
}

/** How an index is named in a command. */
export interface IndexHandles {
  readonly authHandle: number;
  readonly nvIndex: number;
}

/** The handles for reading an index. */
export async function nvHandles(io: TpmIo, index: number): Promise<IndexHandles> {
  return handlesFor(await nvReadPublic(io, index), authRead);
}

/** By number, because an index's first write changes its name. */
function handlesFor({ nvIndex, attributes }: NvPublic, byItself: number): IndexHandles {
  return { authHandle: attributes & byItself ? nvIndex : HANDLE.owner, nvIndex };
}

function authOf({ auth }: NvAccess): { auth?: readonly Authorization[] } {
  return auth === undefined ? {} : { auth: [auth] };
}
