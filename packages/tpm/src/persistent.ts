import { bytesEqual } from '@nemea/core';
import { capabilities } from './capability.ts';
import { type Authorization, HANDLE } from './command.ts';
import { EvictControl } from './commands/context.ts';
import { run } from './commands/run.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { readPublic, type TpmKey } from './object.ts';

/** Who may store and remove: the owner, by its password; empty when absent. */
export interface PersistentOptions {
  readonly ownerAuth?: Authorization;
}

// TPM 2.0 Part 2, 7.5: above this the platform keeps its own.
const OWNER_HANDLES = { first: 0x81000000, last: 0x817fffff } as const;

/** The key at a persistent handle; `undefined` when there is none. Throws `TPM_ARGUMENT_INVALID` for another handle. */
export async function findPersistent(io: TpmIo, handle: number): Promise<TpmKey | undefined> {
  assertPersistent(handle);
  const [first] = await capabilities(io, 'handles', handle);
  return first === handle ? await readPublic(io, handle) : undefined;
}

/**
 * Makes a loaded key persistent (TPM2_EvictControl). The same key at that handle already is no fault; another one
 * throws `TPM_KEY_UNEXPECTED` and stays.
 */
export async function storePersistent(
  io: TpmIo,
  key: TpmKey,
  handle: number,
  options: PersistentOptions = {},
): Promise<TpmKey> {
  const found = await findPersistent(io, handle);
  if (found === undefined) await evict(io, key, handle, options);
  else assertName(found, key.name, handle);
  return { ...key, handle };
}

/** Removes the key of that name. None there is no fault; another one throws `TPM_KEY_UNEXPECTED` and stays. */
export async function removePersistent(
  io: TpmIo,
  handle: number,
  name: Uint8Array,
  options: PersistentOptions = {},
): Promise<void> {
  const found = await findPersistent(io, handle);
  if (found === undefined) return;
  assertName(found, name, handle);
  await evict(io, found, handle, options);
}

async function evict(
  io: TpmIo,
  object: TpmKey,
  persistentHandle: number,
  { ownerAuth }: PersistentOptions,
): Promise<void> {
  await run(io, EvictControl, {
    handles: { auth: HANDLE.owner, objectHandle: object },
    parameters: { persistentHandle },
    auth: [ownerAuth ?? 'password'],
  });
}

function assertName(found: TpmKey, name: Uint8Array, handle: number): void {
  if (bytesEqual(found.name, name)) return;
  throw new TpmError('TPM_KEY_UNEXPECTED', `another key is at 0x${handle.toString(16)}`);
}

function assertPersistent(handle: number): void {
  if (Number.isInteger(handle) && handle >= OWNER_HANDLES.first && handle <= OWNER_HANDLES.last) return;
  throw new TpmError(
    'TPM_ARGUMENT_INVALID',
    `persistent handle: got 0x${handle.toString(16)}, want 0x81000000 to 0x817fffff`,
  );
}
