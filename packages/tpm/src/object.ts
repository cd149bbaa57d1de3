import { ByteWriter } from '@nemea/core';
import { HANDLE, returnCodeOf } from './command.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { parseWhole, readSized, STRUCTURE_BYTES_MAX, writeSized } from './structures/buffer.ts';
import { nameOf } from './structures/public-area.ts';
import { isFormatOne } from './structures/return-code.ts';

/** A key in the TPM: its handle, its TPMT_PUBLIC bytes, and the name computed from them. */
export interface TpmKey {
  readonly handle: number;
  readonly publicArea: Uint8Array;
  readonly name: Uint8Array;
}

/** A key that takes a place in the TPM until it is disposed of. That throws nothing, and may happen twice. */
export interface LoadedKey extends TpmKey, AsyncDisposable {}

export type Hierarchy = 'owner' | 'endorsement' | 'null';

export interface PrimaryRequest {
  readonly hierarchy: Hierarchy;
  readonly template: Uint8Array;
}

const FORMAT_ONE_HANDLE = 0x0b;

/** TPM2_CreatePrimary with an empty password. Takes one of the TPM's few object slots until flushed. */
export async function createPrimary(io: TpmIo, request: PrimaryRequest): Promise<TpmKey> {
  const parameters = new ByteWriter();
  // TPM2B_SENSITIVE_CREATE: empty password, no data.
  parameters.u16(4).u16(0).u16(0);
  writeSized(parameters, request.template);
  parameters.u16(0).u32(0);
  const response = await io.send({
    name: 'createPrimary',
    handles: [HANDLE[request.hierarchy]],
    authorizations: ['password'],
    parameters: parameters.toBytes(),
    returnsHandle: true,
  });
  return toKey(response.handle, readFirstSized(response.parameters, 'public area'));
}

/** TPM2_ReadPublic: what is behind a handle. */
export async function readPublic(io: TpmIo, handle: number): Promise<TpmKey> {
  const response = await io.send({ name: 'readPublic', handles: [handle] });
  return toKey(handle, readFirstSized(response.parameters, 'public area'));
}

function toKey(handle: number, publicArea: Uint8Array): TpmKey {
  return { handle, publicArea, name: nameOf(publicArea) };
}

/** The leading TPM2B of a response whose rest (creation data, tickets) is not needed. */
export function readFirstSized(parameters: Uint8Array, name: string): Uint8Array {
  return parseWhole(name, parameters, (reader) => {
    const value = readSized(reader, name, STRUCTURE_BYTES_MAX);
    reader.bytes(reader.remaining);
    return value;
  });
}

/** TPM2_FlushContext of a transient object or a session. */
export async function flush(io: TpmIo, handle: number): Promise<void> {
  await io.send({ name: 'flushContext', parameters: new ByteWriter().u32(handle).toBytes() });
}

/** As `flush`, for a session that a successful command may already have used up. */
export async function flushIfLoaded(io: TpmIo, handle: number): Promise<void> {
  try {
    await flush(io, handle);
  } catch (error) {
    if (!isFormatOne(returnCodeOf(error) ?? 0, FORMAT_ONE_HANDLE)) throw error;
  }
}

/** Holds a primary key for the length of `use`. */
export async function withPrimary<T>(
  io: TpmIo,
  request: PrimaryRequest,
  use: (key: TpmKey) => Promise<T>,
): Promise<T> {
  const key = await createPrimary(io, request);
  return await released(
    () => use(key),
    () => flush(io, key.handle),
  );
}

export interface LoadedBlob {
  readonly parent: TpmKey;
  readonly privateArea: Uint8Array;
  readonly publicArea: Uint8Array;
}

/** TPM2_Load, held for the length of `use`. */
export async function withLoaded<T>(
  io: TpmIo,
  { parent, privateArea, publicArea }: LoadedBlob,
  use: (object: TpmKey) => Promise<T>,
): Promise<T> {
  const { handle } = await io.send({
    name: 'load',
    handles: [parent],
    authorizations: ['password'],
    parameters: writeSized(writeSized(new ByteWriter(), privateArea), publicArea).toBytes(),
    returnsHandle: true,
  });
  return await released(
    () => use(toKey(handle, publicArea)),
    () => flush(io, handle),
  );
}

/** Runs `use`, then `release` whatever came of it. The error of `use` is the one reported. */
export async function released<T>(use: () => Promise<T>, release: () => Promise<void>): Promise<T> {
  let value: T;
  try {
    value = await use();
  } catch (error) {
    if (!isChannelError(error)) await release();
    throw error;
  }
  await release();
  return value;
}

// On a dead channel there is nothing left to release, and trying would hide why it died.
function isChannelError(error: unknown): boolean {
  return error instanceof TpmError && error.code.startsWith('TPM_CHANNEL_');
}
