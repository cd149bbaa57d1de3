import { PCR_Extend, PCR_Read } from './commands/pcr.ts';
import { run } from './commands/run.ts';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { ALG } from './structures/algorithms.ts';
import { invalid } from './structures/buffer.ts';
import { assertPcr } from './structures/pcr-selection.ts';

export interface PcrValue {
  readonly pcr: number;
  readonly value: Uint8Array;
}

const DIGEST_BYTES = 32;
const READS_MAX = 8;

/**
 * SHA-256 PCR values in ascending order. One TPM2_PCR_Read returns at most 8, so a long list takes several; the update
 * counter shows whether all are of one moment, and the list is read again if not.
 */
export async function pcrRead(io: TpmIo, pcrs: readonly number[]): Promise<PcrValue[]> {
  for (let attempt = 0; attempt < READS_MAX; attempt++) {
    const values = await readOnce(io, pcrs);
    if (values !== undefined) return values;
  }
  throw new TpmError('TPM_RETRIES_EXHAUSTED', `pcrs changed during each of ${READS_MAX} reads`);
}

async function readOnce(io: TpmIo, pcrs: readonly number[]): Promise<PcrValue[] | undefined> {
  for (const pcr of pcrs) assertPcr(pcr);
  const wanted = [...new Set(pcrs)].sort((a, b) => a - b);
  const values: PcrValue[] = [];
  let counter: number | undefined;
  while (values.length < wanted.length) {
    const page = await readPage(io, wanted.slice(values.length));
    if (counter !== undefined && counter !== page.counter) return undefined;
    counter = page.counter;
    values.push(...page.values);
  }
  return values;
}

async function readPage(
  io: TpmIo,
  pcrs: readonly number[],
): Promise<{ counter: number; values: PcrValue[] }> {
  const pcrSelectionIn = [{ hashAlg: ALG.sha256, pcrs }];
  const { pcrUpdateCounter, pcrSelectionOut, pcrValues } = await run(io, PCR_Read, {
    parameters: { pcrSelectionIn },
  });
  const read = pcrSelectionOut.flatMap((selection) => selection.pcrs);
  if (read.length === 0) throw new TpmError('TPM_ALGORITHM_UNSUPPORTED', 'the tpm has no sha-256 pcr bank');
  if (pcrValues.length !== read.length)
    throw invalid(`pcr digests: got ${pcrValues.length}, want ${read.length}`);
  const values = pcrValues.map((value, i) => {
    const pcr = pcrs[i];
    if (pcr === undefined || pcr !== read[i]) throw invalid(`pcr: got ${read[i]}, want ${pcr}`);
    if (value.length !== DIGEST_BYTES)
      throw invalid(`pcr digest: got ${value.length} bytes, want ${DIGEST_BYTES}`);
    return { pcr, value };
  });
  return { counter: pcrUpdateCounter, values };
}

/** TPM2_PCR_Extend of the SHA-256 bank: value = H(value || digest). */
export async function pcrExtend(io: TpmIo, pcr: number, digest: Uint8Array): Promise<void> {
  assertPcr(pcr);
  const digests = [{ hashAlg: ALG.sha256, digest }];
  await run(io, PCR_Extend, { handles: { pcrHandle: pcr }, parameters: { digests } });
}
