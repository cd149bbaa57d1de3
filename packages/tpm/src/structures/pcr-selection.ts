import { concatBytes, sha256 } from '@nemea/core';
import { TpmError } from '../errors.ts';
import { ALG } from './algorithms.ts';
import { invalid } from './buffer.ts';
import { type Codec, encode, list, u16 } from './codec.ts';

/** TPMS_PCR_SELECT (TPM 2.0 Part 2, 10.6.1): PCR numbers, ascending. */
export interface PcrSelect {
  readonly pcrs: readonly number[];
  /** 1 to 4; 3 when absent, which is all 24 PCRs of a PC. Other platforms have other TPMs. */
  readonly bitmapBytes?: number;
}

/** TPMS_PCR_SELECTION (TPM 2.0 Part 2, 10.6.2): the same of a bank. */
export interface PcrSelection extends PcrSelect {
  readonly hashAlg: number;
}

/** Which PCRs: bare numbers are those of the SHA-256 bank. */
export type PcrChoice = readonly number[] | readonly PcrSelection[];

/** One register of a bank that the context names. */
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
const BITMAP_BYTES = 3;
const BITMAP_BYTES_MAX = 4;
const PCR_COUNT = 8 * BITMAP_BYTES;

/** TPMS_PCR_SELECT. Order and repetition of the numbers do not matter. */
export const tpmsPcrSelect: Codec<PcrSelect> = {
  read(reader) {
    const size = reader.u8();
    if (size < 1 || size > BITMAP_BYTES_MAX)
      throw invalid(`pcr bitmap: got ${size} bytes, want 1 to ${BITMAP_BYTES_MAX}`);
    const bitmap = reader.bytes(size);
    const pcrs: number[] = [];
    for (let pcr = 0; pcr < 8 * size; pcr++) {
      if (((bitmap[pcr >> 3] as number) >> (pcr & 7)) & 1) pcrs.push(pcr);
    }
    return size === BITMAP_BYTES ? { pcrs } : { pcrs, bitmapBytes: size };
  },
  write(writer, { pcrs, bitmapBytes = BITMAP_BYTES }) {
    if (!Number.isInteger(bitmapBytes) || bitmapBytes < 1 || bitmapBytes > BITMAP_BYTES_MAX)
      throw new TpmError(
        'TPM_ARGUMENT_INVALID',
        `pcr bitmap: got ${bitmapBytes} bytes, want 1 to ${BITMAP_BYTES_MAX}`,
      );
    const bitmap = new Uint8Array(bitmapBytes);
    for (const pcr of pcrs) {
      assertPcr(pcr, 8 * bitmap.length);
      bitmap[pcr >> 3] = (bitmap[pcr >> 3] as number) | (1 << (pcr & 7));
    }
    writer.u8(bitmap.length).bytes(bitmap);
  },
};

export const tpmsPcrSelection: Codec<PcrSelection> = {
  read: (reader) => ({ hashAlg: reader.u16(), ...tpmsPcrSelect.read(reader) }),
  write(writer, { hashAlg, ...select }) {
    u16.write(writer, hashAlg);
    tpmsPcrSelect.write(writer, select);
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
export function assertPcr(pcr: number, count: number = PCR_COUNT): void {
  if (!Number.isInteger(pcr) || pcr < 0 || pcr >= count) {
    throw new TpmError('TPM_ARGUMENT_INVALID', `pcr: got ${pcr}, want 0 to ${count - 1}`);
  }
}

/** Digest of PCR values in ascending PCR order, as TPM2_Quote and TPM2_PolicyPCR compute it with SHA-256. */
export function pcrDigest(values: readonly Uint8Array[]): Uint8Array {
  return sha256(concatBytes(...values));
}
