import { CodedError, fromHex, toUtf8 } from '@nemea/core';
import type { PcrSelection } from '@nemea/tpm/structures';
import { z } from 'zod';
import { AttestationError } from '../errors.ts';
import { algorithmById, algorithmOf, BANKS } from '../eventlog/algorithms.ts';
import type { QuotedPcr } from '../eventlog/model.ts';

export const PCR_FILE_BYTES_MAX = 1 << 16;
const PCR_MAX = 23;
const JSON_START = 0x7b;

// TPML_PCR_SELECTION and TPML_DIGEST as a C compiler lays them out, little-endian.
const BANKS_MAX = 16;
const SELECTION_BYTES = 8;
const SELECTIONS_BYTES = 4 + BANKS_MAX * SELECTION_BYTES;
const DIGESTS_PER_LIST = 8;
const DIGEST_BYTES = 2 + 64;
const LIST_BYTES = 4 + DIGESTS_PER_LIST * DIGEST_BYTES;

const bankSchema = z.enum(BANKS);
const jsonSchema = z.partialRecord(bankSchema, z.record(z.string().regex(/^(?:\d|1\d|2[0-3])$/), z.string()));

/**
 * The PCR values that stand beside a quote: JSON `{"sha256": {"0": HEX}}`, or what `tpm2_quote --pcr` writes, as
 * `serialized` or as bare `values`, which are told apart by their length and belong to the quote's own `selections`.
 * Throws `PCRS_INVALID`. Says nothing about truth: only a quote does.
 */
export function parsePcrFile(file: Uint8Array, selections: readonly PcrSelection[]): QuotedPcr[] {
  if (file.length > PCR_FILE_BYTES_MAX) {
    throw invalid(`got ${file.length} bytes, want at most ${PCR_FILE_BYTES_MAX}`);
  }
  if (file[0] === JSON_START) return parseJson(file);
  const valuesBytes = placesOf(selections).reduce((sum, { bank }) => sum + algorithmOf(bank).digestBytes, 0);
  return file.length === valuesBytes ? parseValues(file, selections) : parseSerialized(file);
}

function parseJson(file: Uint8Array): QuotedPcr[] {
  try {
    const banks = jsonSchema.parse(JSON.parse(toUtf8(file)));
    return Object.entries(banks).flatMap(([name, values]) => {
      const bank = bankSchema.parse(name);
      return Object.entries(values ?? {}).map(([pcr, hex]) =>
        sized({ bank, pcr: Number(pcr), value: fromHex(hex) }),
      );
    });
  } catch (cause) {
    if (cause instanceof AttestationError) throw cause;
    const isForeign =
      cause instanceof SyntaxError || cause instanceof z.ZodError || cause instanceof CodedError;
    if (!isForeign) throw cause;
    throw invalid(`want JSON such as {"sha256": {"0": HEX}}: ${cause.message}`, cause);
  }
}

function sized(pcr: QuotedPcr): QuotedPcr {
  const { digestBytes } = algorithmOf(pcr.bank);
  if (pcr.value.length === digestBytes) return pcr;
  throw invalid(`${pcr.bank}:${pcr.pcr}: got ${pcr.value.length} bytes, want ${digestBytes}`);
}

/** Nothing but the digests, one after another. */
function parseValues(file: Uint8Array, selections: readonly PcrSelection[]): QuotedPcr[] {
  let offset = 0;
  return placesOf(selections).map(({ bank, pcr }) => {
    const start = offset;
    offset += algorithmOf(bank).digestBytes;
    return { bank, pcr, value: file.slice(start, offset) };
  });
}

function parseSerialized(file: Uint8Array): QuotedPcr[] {
  const lists = (file.length - SELECTIONS_BYTES - 4) / LIST_BYTES;
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  if (lists < 0 || !Number.isInteger(lists) || view.getUint32(SELECTIONS_BYTES, true) !== lists) {
    throw invalid(`${file.length} bytes are neither JSON nor written by tpm2_quote for this selection`);
  }
  const places = placesOf(readSelections(view));
  const values: Uint8Array[] = [];
  for (let list = 0; list < lists; list++) {
    const start = SELECTIONS_BYTES + 4 + list * LIST_BYTES;
    const count = view.getUint32(start, true);
    if (count > DIGESTS_PER_LIST) throw invalid(`got ${count} digests in one list, want at most 8`);
    for (let i = 0; i < count; i++) {
      const at = start + 4 + i * DIGEST_BYTES;
      const bytes = view.getUint16(at, true);
      if (bytes > DIGEST_BYTES - 2) throw invalid(`got a digest of ${bytes} bytes`);
      values.push(file.slice(at + 2, at + 2 + bytes));
    }
  }
  if (values.length !== places.length)
    throw invalid(`got ${values.length} digests for ${places.length} PCRs`);
  return places.map((place, i) => sized({ ...place, value: values[i] as Uint8Array }));
}

function readSelections(view: DataView): PcrSelection[] {
  const count = view.getUint32(0, true);
  if (count > BANKS_MAX) throw invalid(`got ${count} banks, want at most ${BANKS_MAX}`);
  return Array.from({ length: count }, (_, i) => {
    const at = 4 + i * SELECTION_BYTES;
    const bitmap = view.getUint32(at + 3, true);
    const pcrs = Array.from({ length: 32 }, (_unused, pcr) => pcr).filter((pcr) => (bitmap >>> pcr) & 1);
    return { hashAlg: view.getUint16(at, true), pcrs };
  });
}

/** Every selected PCR, in the order of the digest. */
function placesOf(selections: readonly PcrSelection[]): Omit<QuotedPcr, 'value'>[] {
  return selections.flatMap(({ hashAlg, pcrs }) => {
    const bank = algorithmById(hashAlg)?.bank;
    if (pcrs.length === 0) return [];
    if (bank === undefined) throw invalid(`bank 0x${hashAlg.toString(16)} is not known`);
    if (pcrs.some((pcr) => pcr > PCR_MAX)) throw invalid(`want PCR 0 to ${PCR_MAX}`);
    return pcrs.map((pcr) => ({ bank, pcr }));
  });
}

function invalid(message: string, cause?: unknown): AttestationError {
  return new AttestationError('PCRS_INVALID', `pcr file: ${message}`, { cause });
}
