import { ByteWriter } from '@nemea/core';
import { invalid, parseWhole, readSized, writeSized } from './structures/buffer.ts';
import { assertPcr } from './structures/pcr-selection.ts';

/**
 * A sealed secret at rest: magic, PCR list, then the TPM's private and public areas. The PCR list only says which
 * policy to satisfy; the policy itself is inside the public area, so a changed list gives a refusal, not a secret.
 */
export interface SealedBlob {
  /** Ascending; empty when no PCR policy guards the secret. */
  readonly pcrs: readonly number[];
  readonly privateArea: Uint8Array;
  readonly publicArea: Uint8Array;
}

// "NSB1"
const MAGIC = 0x4e534231;
const PCRS_MAX = 24;
const AREA_BYTES_MAX = 1024;

export function encodeSealedBlob(blob: SealedBlob): Uint8Array {
  const writer = new ByteWriter().u32(MAGIC).u8(blob.pcrs.length).bytes(Uint8Array.from(blob.pcrs));
  return writeSized(writeSized(writer, blob.privateArea), blob.publicArea).toBytes();
}

/** Throws `TPM_STRUCTURE_INVALID`. */
export function parseSealedBlob(bytes: Uint8Array): SealedBlob {
  return parseWhole('sealed blob', bytes, (reader) => {
    const magic = reader.u32();
    if (magic !== MAGIC)
      throw invalid(`sealed blob magic: got 0x${magic.toString(16)}, want 0x${MAGIC.toString(16)}`);
    const count = reader.u8();
    if (count > PCRS_MAX) throw invalid(`sealed blob pcrs: got ${count}, want at most ${PCRS_MAX}`);
    const pcrs = [...reader.bytes(count)];
    for (const [i, pcr] of pcrs.entries()) {
      if (pcr >= PCRS_MAX || pcr <= (pcrs[i - 1] ?? -1))
        throw invalid(`sealed blob pcr list: got ${pcrs.join(', ')}`);
    }
    return {
      pcrs,
      privateArea: readSized(reader, 'private area', AREA_BYTES_MAX),
      publicArea: readSized(reader, 'public area', AREA_BYTES_MAX),
    };
  });
}

/** The list a blob may carry: ascending, without repetition. Throws `TPM_ARGUMENT_INVALID`. */
export function canonicalPcrs(pcrs: readonly number[]): number[] {
  for (const pcr of pcrs) assertPcr(pcr);
  return [...new Set(pcrs)].sort((a, b) => a - b);
}
