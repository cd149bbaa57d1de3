import { HANDLE } from './command.ts';
import { Hash, HashSequenceStart, SequenceComplete, SequenceUpdate } from './commands/hash.ts';
import { run } from './commands/run.ts';
import type { TpmIo } from './executor.ts';
import type { Ticket } from './structures/object.ts';

/** Data of any length, and what to hash it by. */
export interface HashRequest {
  readonly hashAlg: number;
  readonly data: Uint8Array;
  /** Whose ticket to give. Default: the null hierarchy, and so no ticket that is worth anything. */
  readonly hierarchy?: number;
}

/** A digest, and the TPM's ticket for it. */
export interface HashResult {
  readonly digest: Uint8Array;
  /** The TPM's note that the data did not begin like a statement of its own: with it a restricted key signs `digest`. */
  readonly ticket: Ticket;
}

// Every TPM takes at least this much at once (TCG PC Client profile, TPM_PT_INPUT_BUFFER).
const PIECE_BYTES = 1024;

/** A digest made by the TPM, of data of any length. */
export async function hash(io: TpmIo, request: HashRequest): Promise<HashResult> {
  const { hashAlg, data, hierarchy = HANDLE.null } = request;
  if (data.length > PIECE_BYTES) return await hashInPieces(io, { hashAlg, data, hierarchy });
  const { outHash, validation } = await run(io, Hash, { parameters: { data, hashAlg, hierarchy } });
  return { digest: outHash, ticket: validation };
}

async function hashInPieces(
  io: TpmIo,
  { hashAlg, data, hierarchy }: Required<HashRequest>,
): Promise<HashResult> {
  const { sequenceHandle } = await run(io, HashSequenceStart, { parameters: { hashAlg } });
  const handles = { sequenceHandle };
  const isLast = (offset: number) => data.length - offset <= PIECE_BYTES;
  let offset = 0;
  const update = async () => {
    for (; !isLast(offset); offset += PIECE_BYTES) {
      const buffer = data.slice(offset, offset + PIECE_BYTES);
      await run(io, SequenceUpdate, { handles, parameters: { buffer } });
    }
    return await run(io, SequenceComplete, {
      handles,
      parameters: { buffer: data.slice(offset), hierarchy },
    });
  };
  const { result, validation } = await update();
  return { digest: result, ticket: validation };
}
