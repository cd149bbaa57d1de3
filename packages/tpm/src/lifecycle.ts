import { concatBytes } from '@nemea/core';
import { listHandles } from './capability.ts';
import { HANDLE, isRefusal, returnCodeOf } from './command.ts';
import { HierarchyControl } from './commands/hierarchy.ts';
import { GetRandom } from './commands/random.ts';
import { run } from './commands/run.ts';
import { Shutdown, STARTUP, Startup } from './commands/startup.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { flush } from './object.ts';
import { invalid } from './structures/buffer.ts';
import { RC } from './structures/return-code.ts';

const RANDOM_BYTES_MAX = 4096;
const RANDOM_PIECE_BYTES = 32;

/** TPM2_Startup(CLEAR). A TPM that is already running, the normal case behind firmware or a kernel, is left as it is. */
export async function startup(io: TpmIo, timeoutMs: number): Promise<void> {
  try {
    await run(io, Startup, { parameters: { startupType: STARTUP.clear } }, { timeoutMs });
  } catch (error) {
    if (returnCodeOf(error) !== RC.initialize) throw error;
  }
}

/** TPM2_Shutdown(CLEAR): without it the clock's `safe` flag is false after the next start. */
export async function shutdown(io: TpmIo): Promise<void> {
  await run(io, Shutdown, { parameters: { shutdownType: STARTUP.clear } });
}

/** Flushes what an earlier client left behind: a software TPM keeps it after the client is gone, and has 3 slots. */
export async function flushLeftovers(io: TpmIo): Promise<void> {
  for (const range of ['transient', 'loadedSession', 'savedSession'] as const) {
    for (const handle of await listHandles(io, range)) await flush(io, handle);
  }
}

/**
 * Disables the platform hierarchy until the next start: its empty password could set the clock. A protection of this
 * host's own TPM only; a remote verifier sees nothing of it.
 */
export async function lockPlatform(io: TpmIo): Promise<void> {
  try {
    await run(io, HierarchyControl, {
      handles: { authHandle: HANDLE.platform },
      parameters: { enable: HANDLE.platform, state: false },
    });
  } catch (error) {
    // Disabled already: by the firmware, or by an earlier call since the start.
    if (!isRefusal(error, RC.hierarchy)) throw error;
  }
}

/** TPM2_GetRandom, in pieces that any TPM can return. */
export async function getRandom(io: TpmIo, length: number): Promise<Uint8Array> {
  if (!Number.isInteger(length) || length < 0 || length > RANDOM_BYTES_MAX) {
    throw new TpmError('TPM_ARGUMENT_INVALID', `random bytes: got ${length}, want 0 to ${RANDOM_BYTES_MAX}`);
  }
  const pieces: Uint8Array[] = [];
  let missing = length;
  while (missing > 0) {
    const piece = await randomPiece(io, Math.min(missing, RANDOM_PIECE_BYTES));
    pieces.push(piece);
    missing -= piece.length;
  }
  return concatBytes(...pieces);
}

async function randomPiece(io: TpmIo, length: number): Promise<Uint8Array> {
  const { randomBytes } = await run(io, GetRandom, { parameters: { bytesRequested: length } });
  if (randomBytes.length === 0 || randomBytes.length > length)
    throw invalid(`random bytes: got ${randomBytes.length}, want 1 to ${length}`);
  return randomBytes;
}
