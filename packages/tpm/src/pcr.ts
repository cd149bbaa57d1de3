import { ByteWriter } from '@nemea/core';
import { TpmError } from './errors.ts';
import type { TpmIo } from './executor.ts';
import { ALG } from './structures/algorithms.ts';
import { invalid, parseWhole, readSized } from './structures/buffer.ts';
import { assertPcr, encodePcrSelection, tpmlPcrSelection } from './structures/pcr-selection.ts';

export interface PcrValue {
  readonly pcr: number;
  readonly value: Uint8Array;
}

const DIGEST_BYTES = 32;
const READS_MAX = 8;
// TPML_DIGEST holds at most 8 (TPM 2.0 Part 2, 10.9.5).
const DIGESTS_MAX = 8;

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
  const { parameters } = await io.send({ name: 'pcrRead', parameters: encodePcrSelection(pcrs) });
  return parseWhole('pcr values', parameters, (reader) => {
    const counter = reader.u32();
    const read = tpmlPcrSelection.read(reader).flatMap((selection) => selection.pcrs);
    const count = reader.u32();
    if (count > DIGESTS_MAX || count !== read.length)
      throw invalid(`pcr digests: got ${count}, want ${read.length}`);
    if (count === 0) throw new TpmError('TPM_ALGORITHM_UNSUPPORTED', 'the tpm has no sha-256 pcr bank');
    const values = read.map((pcr, i) => {
      if (pcr !== pcrs[i]) throw invalid(`pcr: got ${pcr}, want ${pcrs[i]}`);
      const value = readSized(reader, 'pcr digest', DIGEST_BYTES);
      if (value.length !== DIGEST_BYTES)
        throw invalid(`pcr digest: got ${value.length} bytes, want ${DIGEST_BYTES}`);
      return { pcr, value };
    });
    return { counter, values };
  });
}

/** TPM2_PCR_Extend of the SHA-256 bank: value = H(value || digest). */
export async function pcrExtend(io: TpmIo, pcr: number, digest: Uint8Array): Promise<void> {
  assertPcr(pcr);
  if (digest.length !== DIGEST_BYTES) {
    throw new TpmError(
      'TPM_ARGUMENT_INVALID',
      `pcr digest: got ${digest.length} bytes, want ${DIGEST_BYTES}`,
    );
  }
  await io.send({
    name: 'pcrExtend',
    handles: [pcr],
    authorizations: ['password'],
    parameters: new ByteWriter().u32(1).u16(ALG.sha256).bytes(digest).toBytes(),
  });
}
