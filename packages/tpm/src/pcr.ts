import { isRefusal } from './command.ts';
import { PCR_Extend, PCR_Read } from './commands/pcr.ts';
import { run } from './commands/run.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { ALG, hashBytes, hex16 } from './structures/algorithms.ts';
import { invalid } from './structures/buffer.ts';
import {
  assertPcr,
  type PcrBankValues,
  type PcrChoice,
  type PcrSelection,
  type PcrValue,
  toSelections,
} from './structures/pcr-selection.ts';
import { RC } from './structures/return-code.ts';
import type { HashValue } from './structures/signature.ts';

/** One PCR of one bank. */
interface Slot {
  readonly hashAlg: number;
  readonly pcr: number;
}

const READS_MAX = 8;

/** SHA-256 PCR values in ascending order, each once. Throws as `pcrReadBanks` does. */
export async function pcrRead(io: TpmIo, pcrs: readonly number[]): Promise<PcrValue[]> {
  const [bank] = await pcrReadBanks(io, pcrs);
  return [...(bank?.values ?? [])];
}

/**
 * PCR values of several banks, each bank once, in the order of its first selection. One TPM2_PCR_Read returns at most 8,
 * so a long list takes several; the update counter shows whether all are of one moment, and the list is read again if
 * not. Throws `TPM_ALGORITHM_UNSUPPORTED` for a bank that the TPM does not keep, `TPM_RETRIES_EXHAUSTED`.
 */
export async function pcrReadBanks(io: TpmIo, choice: PcrChoice): Promise<PcrBankValues[]> {
  const wanted = slotsOf(toSelections(choice));
  for (let attempt = 0; attempt < READS_MAX; attempt++) {
    const values = await readOnce(io, wanted);
    if (values !== undefined) return byBank(wanted, values);
  }
  throw new TpmError('TPM_RETRIES_EXHAUSTED', `pcrs changed during each of ${READS_MAX} reads`);
}

/** Bank by bank, each slot once, in the order in which the TPM answers. */
function slotsOf(selections: readonly PcrSelection[]): Slot[] {
  const banks = new Map<number, Set<number>>();
  for (const { hashAlg, pcrs } of selections) {
    if (hashBytes(hashAlg) === undefined)
      throw new TpmError('TPM_ALGORITHM_UNSUPPORTED', `pcr bank: got ${hex16(hashAlg)}, want that of a hash`);
    const bank = banks.get(hashAlg) ?? new Set();
    banks.set(hashAlg, bank);
    for (const pcr of pcrs) {
      assertPcr(pcr);
      bank.add(pcr);
    }
  }
  return [...banks].flatMap(([hashAlg, pcrs]) =>
    [...pcrs].sort((a, b) => a - b).map((pcr) => ({ hashAlg, pcr })),
  );
}

/** The values of all slots, or undefined if a PCR changed meanwhile. */
async function readOnce(io: TpmIo, wanted: readonly Slot[]): Promise<Uint8Array[] | undefined> {
  const values: Uint8Array[] = [];
  let counter: number | undefined;
  while (values.length < wanted.length) {
    const page = await readPage(io, wanted.slice(values.length));
    if (counter !== undefined && counter !== page.counter) return undefined;
    counter = page.counter;
    values.push(...page.values);
  }
  return values;
}

/** The TPM answers the first slots that it has room for, and leaves out banks that it does not keep. */
async function readPage(
  io: TpmIo,
  wanted: readonly Slot[],
): Promise<{ counter: number; values: readonly Uint8Array[] }> {
  const { pcrUpdateCounter, pcrSelectionOut, pcrValues } = await readSelections(io, selectionsOf(wanted));
  const read = pcrSelectionOut.flatMap(({ hashAlg, pcrs }) => pcrs.map((pcr) => ({ hashAlg, pcr })));
  const first = wanted[0] as Slot;
  if (read[0]?.hashAlg !== first.hashAlg)
    throw new TpmError(
      'TPM_ALGORITHM_UNSUPPORTED',
      `the tpm keeps no pcr ${first.pcr} in the bank ${hex16(first.hashAlg)}`,
    );
  if (pcrValues.length !== read.length)
    throw invalid(`pcr digests: got ${pcrValues.length}, want ${read.length}`);
  const values = answered(wanted, read, pcrValues);
  return { counter: pcrUpdateCounter, values };
}

async function readSelections(io: TpmIo, pcrSelectionIn: readonly PcrSelection[]) {
  try {
    return await run(io, PCR_Read, { parameters: { pcrSelectionIn } });
  } catch (cause) {
    if (!isRefusal(cause, RC.hash)) throw cause;
    const banks = pcrSelectionIn.map(({ hashAlg }) => hex16(hashAlg)).join(', ');
    throw new TpmError('TPM_ALGORITHM_UNSUPPORTED', `the tpm does not know a hash of the banks ${banks}`, {
      cause,
    });
  }
}

/** The values up to a bank that is left out; the next page says that it is. */
function answered(wanted: readonly Slot[], read: readonly Slot[], values: readonly Uint8Array[]) {
  const missing = read.findIndex(({ hashAlg }, i) => hashAlg !== wanted[i]?.hashAlg);
  const count = missing < 0 ? read.length : missing;
  return values.slice(0, count).map((value, i) => {
    const { hashAlg, pcr } = wanted[i] as Slot;
    if (pcr !== read[i]?.pcr) throw invalid(`pcr: got ${read[i]?.pcr}, want ${pcr}`);
    if (value.length !== hashBytes(hashAlg))
      throw invalid(`pcr digest: got ${value.length} bytes, want ${hashBytes(hashAlg)}`);
    return value;
  });
}

function selectionsOf(slots: readonly Slot[]): PcrSelection[] {
  const banks = new Map<number, number[]>();
  for (const { hashAlg, pcr } of slots) banks.set(hashAlg, [...(banks.get(hashAlg) ?? []), pcr]);
  return [...banks].map(([hashAlg, pcrs]) => ({ hashAlg, pcrs }));
}

function byBank(slots: readonly Slot[], values: readonly Uint8Array[]): PcrBankValues[] {
  const banks = new Map<number, PcrValue[]>();
  for (const [i, { hashAlg, pcr }] of slots.entries()) {
    const bank = banks.get(hashAlg) ?? [];
    banks.set(hashAlg, bank);
    bank.push({ pcr, value: values[i] as Uint8Array });
  }
  return [...banks].map(([hashAlg, values]) => ({ hashAlg, values }));
}

/**
 * TPM2_PCR_Extend: value = H(value || digest), of the SHA-256 bank or of each bank for which a digest is given. The TPM
 * passes over digests of banks that it does not keep (TPM 2.0 Part 3, 22.2). Throws `TPM_ARGUMENT_INVALID`, for a list of
 * none too: it would succeed, and measure nothing.
 */
export async function pcrExtend(
  io: TpmIo,
  pcr: number,
  digest: Uint8Array | readonly HashValue[],
): Promise<void> {
  assertPcr(pcr);
  const digests = digest instanceof Uint8Array ? [{ hashAlg: ALG.sha256, digest }] : digest;
  if (digests.length === 0)
    throw new TpmError('TPM_ARGUMENT_INVALID', 'pcr digests: got none, want one or more');
  await run(io, PCR_Extend, { handles: { pcrHandle: pcr }, parameters: { digests } });
}
