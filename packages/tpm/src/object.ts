import { type Authorization, HANDLE, isRefusal } from './command.ts';
import { FlushContext } from './commands/context.ts';
import { CreatePrimary, Load, ReadPublic } from './commands/object.ts';
import { run } from './commands/run.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import {
  type AnyPublicArea,
  encodePublicArea,
  nameOf,
  parseAnyPublicArea,
} from './structures/public-area.ts';
import { RC } from './structures/return-code.ts';

/** A key in the TPM: its handle, its TPMT_PUBLIC bytes, and the name computed from them. */
export interface TpmKey {
  readonly handle: number;
  readonly publicArea: Uint8Array;
  readonly name: Uint8Array;
}

/** A key that takes a place in the TPM until it is disposed of. That throws nothing, and may happen twice. */
export interface LoadedKey extends TpmKey, AsyncDisposable {}

/** Where a primary key belongs. Keys of `null` end with the next reset. */
export type Hierarchy = 'owner' | 'endorsement' | 'null';

/** A primary key: hierarchy, template, and what its maker adds. */
export interface PrimaryRequest {
  readonly hierarchy: Hierarchy;
  readonly template: Uint8Array;
  /** Of the hierarchy; the empty password when absent. */
  readonly auth?: Authorization | undefined;
}

/** TPM2_CreatePrimary of a key with an empty password. Takes one of the TPM's few object slots until flushed. */
export async function createPrimary(io: TpmIo, request: PrimaryRequest): Promise<TpmKey> {
  const { objectHandle, outPublic } = await run(io, CreatePrimary, {
    handles: { primaryHandle: HANDLE[request.hierarchy] },
    parameters: { inPublic: parseAnyPublicArea(request.template) },
    auth: [request.auth ?? 'password'],
  });
  return toKey(objectHandle, outPublic);
}

/** TPM2_ReadPublic: what is behind a handle. Throws `TPM_STRUCTURE_UNSUPPORTED` where its name is by a hash not known here. */
export async function readPublic(io: TpmIo, handle: number): Promise<TpmKey> {
  return toKey(handle, await readPublicArea(io, handle));
}

/** As `readPublic`, of any object that a TPM may hold. */
export async function readPublicArea(io: TpmIo, handle: number): Promise<AnyPublicArea> {
  const { outPublic } = await run(io, ReadPublic, { handles: { objectHandle: handle } });
  return outPublic;
}

/** The name is computed here, never taken from the TPM's answer. */
export function toKey(handle: number, area: AnyPublicArea): TpmKey {
  const publicArea = encodePublicArea(area);
  return { handle, publicArea, name: nameOf(publicArea) };
}

/** TPM2_FlushContext of a transient object or a session. */
export async function flush(io: TpmIo, handle: number): Promise<void> {
  await run(io, FlushContext, { parameters: { flushHandle: handle } });
}

/** As `flush`, for a session that a successful command may already have used up. */
export async function flushIfLoaded(io: TpmIo, handle: number): Promise<void> {
  try {
    await flush(io, handle);
  } catch (error) {
    if (!isRefusal(error, RC.handle)) throw error;
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
  const inPublic = parseAnyPublicArea(publicArea);
  const { objectHandle } = await run(io, Load, {
    handles: { parentHandle: parent },
    parameters: { inPrivate: privateArea, inPublic },
  });
  return await released(
    () => use(toKey(objectHandle, inPublic)),
    () => flush(io, objectHandle),
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
