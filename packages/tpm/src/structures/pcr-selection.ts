import { concatBytes, sha256 } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { ALG } from './algorithms.ts';
import { invalid } from './buffer.ts';
import { type Codec, encode, list, u16 } from './codec.ts';

/** TPMS_PCR_SELECTION (TPM 2.0 Part 2, 10.6.2): a bank and its PCR numbers, ascending. */
export interface PcrSelection {
  readonly hashAlg: number;
  readonly pcrs: readonly number[];
}

/** Which PCRs: bare numbers are those of the SHA-256 bank. */
export type PcrChoice = readonly number[] | readonly PcrSelection[];

export interface PcrValue {
  readonly pcr: number;
  readonly value: Uint8Array;
}

/** PCRs of one bank, ascending. */
export interface PcrBankValues {
  readonly hashAlg: number;
  readonly values: readonly PcrValue[];
}

/** TPM2_NUM_PCR_BANKS: more than any TPM has hash algorithms. */
export const PCR_BANKS_MAX = 16;
/** What is written. Others are read: profiles other than the PC Client's have TPMs of fewer or more PCRs. */
const BITMAP_BYTES = 3;
const BITMAP_BYTES_MAX = 4;
const PCR_COUNT = 8 * BITMAP_BYTES;

/** TPMS_PCR_SELECT. Order and repetition of the numbers do not matter. */
export const tpmsPcrSelect: Codec<readonly number[]> = {
  read(reader) {
    const size = reader.u8();
    if (size < 1 || size > BITMAP_BYTES_MAX)
      throw invalid(`pcr bitmap: got ${size} bytes, want 1 to ${BITMAP_BYTES_MAX}`);
    const bitmap = reader.bytes(size);
    const pcrs: number[] = [];
    for (let pcr = 0; pcr < 8 * size; pcr++) {
      if (((bitmap[pcr >> 3] as number) >> (pcr & 7)) & 1) pcrs.push(pcr);
    }
    return pcrs;
  },
  write(writer, pcrs) {
    const bitmap = new Uint8Array(BITMAP_BYTES);
    for (const pcr of pcrs) {
      assertPcr(pcr);
      bitmap[pcr >> 3] = (bitmap[pcr >> 3] as number) | (1 << (pcr & 7));
    }
    writer.u8(BITMAP_BYTES).bytes(bitmap);
  },
};

export const tpmsPcrSelection: Codec<PcrSelection> = {
  read: (reader) => ({ hashAlg: reader.u16(), pcrs: tpmsPcrSelect.read(reader) }),
  write(writer, { hashAlg, pcrs }) {
    u16.write(writer, hashAlg);
    tpmsPcrSelect.write(writer, pcrs);
  },
};

/** TPML_PCR_SELECTION. */
export const tpmlPcrSelection = list('pcr selection', tpmsPcrSelection, PCR_BANKS_MAX);

/** TPML_PCR_SELECTION of one SHA-256 bank. */
export function encodePcrSelection(pcrs: readonly number[]): Uint8Array {
  return encode(tpmlPcrSelection, [{ hashAlg: ALG.sha256, pcrs }]);
}

/** A choice as TPML_PCR_SELECTION has it. */
export function toSelections(choice: PcrChoice): readonly PcrSelection[] {
  const numbers = choice.filter((entry) => typeof entry === 'number');
  if (numbers.length === 0 && choice.length > 0) return choice.filter((entry) => typeof entry === 'object');
  if (numbers.length < choice.length)
    throw new TpmError('TPM_ARGUMENT_INVALID', 'pcrs: got numbers and banks, want either');
  return [{ hashAlg: ALG.sha256, pcrs: numbers }];
}

/** Refuses what is not a PCR number. Throws `TPM_ARGUMENT_INVALID`. */
export function assertPcr(pcr: number): void {
  if (!Number.isInteger(pcr) || pcr < 0 || pcr >= PCR_COUNT) {
    throw new TpmError('TPM_ARGUMENT_INVALID', `pcr: got ${pcr}, want 0 to ${PCR_COUNT - 1}`);
  }
}

/** Digest of PCR values in ascending PCR order, as TPM2_Quote and TPM2_PolicyPCR compute it with SHA-256. */
export function pcrDigest(values: readonly Uint8Array[]): Uint8Array {
  return sha256(concatBytes(...values));
}
