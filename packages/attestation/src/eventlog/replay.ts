import { algorithmOf, type Bank } from './algorithms.ts';
import { EVENT_TYPE } from './event-types.ts';
import type { EventLog, RawEvent } from './model.ts';

/** Locality indicator of _TPM_Hash_Start, from which PCR 0 starts after an H-CRTM (TPM 2.0 Part 1, 34.3). */
const HCRTM_LOCALITY = 4;
const REGISTER_MAX = 23;

/**
 * Register values by bank, from the digests alone: what the log says, not what is true. Only registers that the log
 * extends are there; one with a digest missing in a bank is left out of that bank. [LOG-8]
 */
export function replayEventLog(log: EventLog): ReadonlyMap<Bank, ReadonlyMap<number, Uint8Array>> {
  return new Map(log.banks.map((bank) => [bank, replayBank(log, bank)]));
}

export function replayBank(log: EventLog, bank: Bank): Map<number, Uint8Array> {
  const { hash } = algorithmOf(bank);
  const values = new Map<number, Uint8Array>();
  const incomplete = new Set<number>();
  for (const event of log.events) {
    if (!isExtended(event)) continue;
    const digest = event.digests[bank];
    if (digest === undefined) incomplete.add(event.pcr);
    else values.set(event.pcr, hash(values.get(event.pcr) ?? extendedValue(log, bank, event.pcr), digest));
  }
  for (const pcr of incomplete) values.delete(pcr);
  return values;
}

/** No-action events only inform, and an NV index is no register. [LOG-6] [LOG-7] */
export function isExtended({ type, pcr }: RawEvent): boolean {
  return type !== EVENT_TYPE.EV_NO_ACTION && pcr <= REGISTER_MAX;
}

/**
 * What the first event of a register extends. Nobody can extend PCR 17 to 22 before a dynamic launch, which sets them to
 * zeros: TCG PC Client Platform TPM Profile, 4.6. [LOG-9]
 */
function extendedValue(log: EventLog, bank: Bank, pcr: number): Uint8Array {
  const value = initialValue(log, bank, pcr);
  return isDynamic(log, pcr) ? value.fill(0) : value;
}

/** The value after TPM2_Startup(CLEAR), and for as long as nothing extends it: TPM Profile, 4.6. [LOG-9] */
export function initialValue(log: EventLog, bank: Bank, pcr: number): Uint8Array {
  const value = new Uint8Array(algorithmOf(bank).digestBytes);
  if (log.registers === 'cc') return value;
  if (isDynamic(log, pcr)) return value.fill(0xff);
  // After an H-CRTM, TPM2_Startup leaves PCR 0 alone, whichever locality it comes from (TPM 2.0 Part 1, 34.3).
  if (pcr === 0) value[value.length - 1] = startsWithHcrtm(log) ? HCRTM_LOCALITY : (log.startupLocality ?? 0);
  return value;
}

function isDynamic({ registers }: EventLog, pcr: number): boolean {
  return registers === 'pcr' && pcr >= 17 && pcr <= 22;
}

function startsWithHcrtm(log: EventLog): boolean {
  const first = log.events.find((event) => event.pcr === 0 && isExtended(event));
  return first?.type === EVENT_TYPE.EV_EFI_HCRTM_EVENT;
}
