import { ByteWriter, concatBytes } from '@nemea/core';
import { listHandles } from './capability.ts';
import { HANDLE, returnCodeOf } from './command.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { flush } from './object.ts';
import { invalid, parseWhole, readSized } from './structures/buffer.ts';
import { isFormatOne, RC } from './structures/return-code.ts';

const CLEAR = new ByteWriter().u16(0).toBytes();
const FORMAT_ONE_HIERARCHY = 0x05;
const RANDOM_BYTES_MAX = 4096;
const RANDOM_PIECE_BYTES = 32;

/** TPM2_Startup(CLEAR). A TPM that is already running, the normal case behind firmware or a kernel, is left as it is. */
export async function startup(io: TpmIo, timeoutMs: number): Promise<void> {
  try {
    await io.send({ name: 'startup', parameters: CLEAR }, { timeoutMs });
  } catch (error) {
    if (returnCodeOf(error) !== RC.initialize) throw error;
  }
}

/** TPM2_Shutdown(CLEAR): without it the clock's `safe` flag is false after the next start. */
export async function shutdown(io: TpmIo): Promise<void> {
  await io.send({ name: 'shutdown', parameters: CLEAR });
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
    await io.send({
      name: 'hierarchyControl',
      handles: [HANDLE.platform],
      authorizations: ['password'],
      parameters: new ByteWriter().u32(HANDLE.platform).u8(0).toBytes(),
    });
  } catch (error) {
    if (!isFormatOne(returnCodeOf(error) ?? RC.success, FORMAT_ONE_HIERARCHY)) throw error;
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
  const { parameters } = await io.send({
    name: 'getRandom',
    parameters: new ByteWriter().u16(length).toBytes(),
  });
  const piece = parseWhole('random bytes', parameters, (reader) => readSized(reader, 'random bytes', length));
  if (piece.length === 0) throw invalid(`random bytes: got none, want ${length}`);
  return piece;
}
