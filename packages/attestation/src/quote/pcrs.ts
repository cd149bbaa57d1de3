import { bytesEqual } from '@nemea/core';
import type { PcrBankValues, PcrSelection, QuoteAttest } from '@nemea/tpm/structures';
import { AttestationError } from '../errors.ts';
import { algorithmById, BANKS, idOfBank } from '../eventlog/algorithms.ts';
import type { QuotedPcr } from '../eventlog/model.ts';
import { type QuoteRefusal, refusal } from './refusal.ts';

/** Another selection than was asked for, or one that names a bank twice. Banks without a PCR do not count, nor does order. */
export function refuseSelection(
  quote: QuoteAttest,
  wanted: readonly PcrSelection[] | undefined,
): QuoteRefusal | null {
  const quoted = selectedPcrs(quote.pcrSelections);
  if (quoted === null) return refusal('PCR_SELECTION_WRONG', 'a bank is quoted twice');
  if (wanted === undefined) return null;
  const expected = selectedPcrs(wanted);
  const isSame =
    expected !== null &&
    expected.size === quoted.size &&
    [...expected].every(([hashAlg, pcrs]) => pcrs === quoted.get(hashAlg));
  if (isSame) return null;
  const [got, want] = [describeSelection(quote.pcrSelections), describeSelection(wanted)];
  return refusal('PCR_SELECTION_WRONG', `got ${got}, want ${want}`);
}

/** The PCRs of each bank as the bits of a number; null when a bank stands there twice. */
function selectedPcrs(selections: readonly PcrSelection[]): ReadonlyMap<number, number> | null {
  const banks = new Map<number, number>();
  for (const { hashAlg, pcrs } of selections) {
    if (pcrs.length === 0) continue;
    if (banks.has(hashAlg)) return null;
    let bits = 0;
    for (const pcr of pcrs) bits |= 1 << pcr;
    banks.set(hashAlg, bits);
  }
  return banks;
}

/**
 * Values that are not the quoted ones: there must be exactly one for each quoted PCR, none besides, and together, in the
 * order of the selection, they have the quoted digest (TPM 2.0 Part 1, 17.6.2) by the signature's hash [QUO-6].
 */
export function refusePcrs(
  quote: QuoteAttest,
  signatureHashAlg: number,
  pcrs: readonly QuotedPcr[],
): QuoteRefusal | null {
  const values: Uint8Array[] = [];
  for (const selection of quote.pcrSelections) {
    const bank = algorithmById(selection.hashAlg);
    for (const pcr of selection.pcrs) {
      const given = pcrs.find((it) => it.pcr === pcr && it.bank === bank?.bank);
      if (given === undefined || given.value.length !== bank?.digestBytes) {
        const name = `PCR ${bankName(selection.hashAlg)}:${pcr}`;
        return refusal(
          'PCR_LIST_WRONG',
          given === undefined ? `no value of ${name}` : `${name} has another length`,
        );
      }
      values.push(given.value);
    }
  }
  if (pcrs.length !== values.length) {
    return refusal('PCR_LIST_WRONG', `got ${pcrs.length} values, want the ${values.length} that are quoted`);
  }
  const digest = algorithmById(signatureHashAlg)?.hash(...values);
  if (digest !== undefined && bytesEqual(digest, quote.pcrDigest)) return null;
  return refusal('PCR_DIGEST_WRONG', 'the PCR values are not the quoted ones');
}

/** Values as the TPM client reads them, by bank. Throws `PCRS_INVALID` for a bank of no known hash. */
export function quotedPcrs(banks: readonly PcrBankValues[]): QuotedPcr[] {
  return banks.flatMap(({ hashAlg, values }) => {
    const bank = algorithmById(hashAlg)?.bank;
    if (bank === undefined) throw new AttestationError('PCRS_INVALID', `got bank ${bankName(hashAlg)}`);
    return values.map(({ pcr, value }) => ({ bank, pcr, value }));
  });
}

/** As tpm2-tools write it: `sha256:0,1,7+sha1:0`. */
export function describeSelection(selections: readonly PcrSelection[]): string {
  return (
    selections.map(({ hashAlg, pcrs }) => `${bankName(hashAlg)}:${pcrs.join(',')}`).join('+') || 'nothing'
  );
}

/** `sha256` and kin, or the algorithm's number in hex. */
export function bankName(hashAlg: number): string {
  return algorithmById(hashAlg)?.bank ?? `0x${hashAlg.toString(16).padStart(4, '0')}`;
}

const PCR_MAX = 23;

/** The inverse of `describeSelection`, ranges such as `0-7` included. Throws `PCRS_INVALID`. */
export function parseSelection(text: string): PcrSelection[] {
  return text.split('+').map((part) => {
    const [name = '', list, ...more] = part.split(':');
    const bank = BANKS.find((it) => it === name);
    if (bank === undefined || list === undefined || more.length > 0) {
      throw new AttestationError(
        'PCRS_INVALID',
        `got PCRs ${part}, want a bank and numbers such as sha256:0-7,14`,
      );
    }
    const pcrs = new Set(list.split(',').flatMap(parseRange));
    return { hashAlg: idOfBank(bank), pcrs: [...pcrs].sort((a, b) => a - b) };
  });
}

function parseRange(text: string): number[] {
  const match = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(text);
  const first = Number(match?.[1] ?? Number.NaN);
  const last = Number(match?.[2] ?? match?.[1] ?? Number.NaN);
  if (!(first <= last && last <= PCR_MAX)) {
    throw new AttestationError(
      'PCRS_INVALID',
      `got PCR ${text}, want 0 to ${PCR_MAX}, or a range such as 0-7`,
    );
  }
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
