import { fromHex, toHex } from '@nemea/core';
import { z } from 'zod';
import { ImaError } from './errors.ts';
import { bankBytes } from './hash.ts';
import { IMA_ENTRIES_MAX, PCR_MAX } from './limits.ts';
import { IMA_BANKS, type ImaBank, type PcrBanks } from './list.ts';

const STATE_VERSION = 1;

/**
 * Where an appraisal ended: enough to go on from there without hashing older entries again. Plain JSON. [IMA-14]
 * It is as trusted as the place it is kept in.
 */
export interface ImaState {
  readonly version: 1;
  /** How many entries are vouched for. */
  readonly entries: number;
  /** `alg:hex`; another one in a later list means that the machine was started anew. */
  readonly bootAggregate: string | null;
  /** Bank, PCR number, hex. */
  readonly pcrs: Readonly<Partial<Record<ImaBank, Readonly<Record<string, string>>>>>;
}

const pcrName = z.string().regex(/^(?:[0-9]|[12][0-9]|3[01])$/);
const stateSchema = z.strictObject({
  version: z.literal(STATE_VERSION),
  entries: z
    .int()
    .min(0)
    .max(IMA_ENTRIES_MAX * 16),
  bootAggregate: z.string().max(256).nullable(),
  pcrs: z.partialRecord(z.enum(IMA_BANKS), z.record(pcrName, z.string().regex(/^[0-9a-f]{40,128}$/))),
});

/** Reads a state from parsed JSON. Throws `IMA_STATE_INVALID`. */
export function parseImaState(value: unknown): ImaState {
  const parsed = stateSchema.safeParse(value);
  if (!parsed.success) throw new ImaError('IMA_STATE_INVALID', z.prettifyError(parsed.error));
  const { pcrs, ...rest } = parsed.data;
  for (const [bank, values] of Object.entries(pcrs)) {
    const digits = 2 * bankBytes(bank as ImaBank);
    if (Object.values(values ?? {}).some((hex) => hex.length !== digits)) {
      throw new ImaError('IMA_STATE_INVALID', `${bank}: want values of ${digits} hex digits`);
    }
  }
  return { ...rest, pcrs: pcrs as ImaState['pcrs'] };
}

export function pcrsToHex(pcrs: PcrBanks): ImaState['pcrs'] {
  return Object.fromEntries(
    [...pcrs].map(([bank, values]) => [
      bank,
      Object.fromEntries([...values].map(([pcr, value]) => [String(pcr), toHex(value)])),
    ]),
  );
}

export function pcrsOfState(state: ImaState, bank: ImaBank): ReadonlyMap<number, Uint8Array> {
  const values = new Map<number, Uint8Array>();
  for (const [name, hex] of Object.entries(state.pcrs[bank] ?? {})) {
    const pcr = Number(name);
    if (pcr > PCR_MAX) throw new ImaError('IMA_STATE_INVALID', `PCR ${name}`);
    values.set(pcr, fromHex(hex));
  }
  return values;
}
