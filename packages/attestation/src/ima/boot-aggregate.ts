import { bytesEqual, concatBytes, toHex } from '@nemea/core';
import { canonicalHashName, hashByName } from './hash.ts';
import type { ImaDigest, ImaEntry, ImaList, PcrBanks } from './list.ts';

/** The name of the first entry of every boot. */
export const BOOT_AGGREGATE = 'boot_aggregate';

/** PCRs 0-7, and with 8 and 9 in banks other than SHA-1 since Linux 5.8 (ima_calc_boot_aggregate_tfm). */
const RANGES = [8, 10] as const;

/** Whether the list began on this firmware. */
export interface BootAggregateCheck {
  readonly ok: boolean;
  readonly reason: 'OK' | 'NO_BOOT_AGGREGATE' | 'PCRS_MISSING' | 'MISMATCH';
  /** How many PCRs, from PCR 0, the aggregate covers; null unless it matched. */
  readonly pcrCount: number | null;
}

/** The first boot_aggregate of a list; the kernel writes one at each start, kexec included. */
export function findBootAggregate(list: ImaList): ImaEntry | null {
  return list.entries.find(isBootAggregate) ?? null;
}

export function isBootAggregate({ fields }: ImaEntry): boolean {
  return fields.kind === 'file' && fields.path === BOOT_AGGREGATE;
}

/** As `alg:hex`, which names a boot with this firmware. */
export function bootAggregateText(list: ImaList): string | null {
  const entry = findBootAggregate(list);
  if (entry === null || entry.fields.kind !== 'file') return null;
  return `${entry.fields.digest.algorithm}:${toHex(entry.fields.digest.value)}`;
}

/**
 * Does an entry's boot_aggregate come from these PCR values? Ties the measurement list to the firmware's event log.
 * [IMA-15]
 */
export function checkBootAggregate(digest: ImaDigest, pcrs: PcrBanks): BootAggregateCheck {
  const name = canonicalHashName(digest.algorithm);
  const bank = [...pcrs.keys()].find((candidate) => canonicalHashName(candidate) === name);
  const values = bank === undefined ? undefined : pcrs.get(bank);
  if (values === undefined) return refuse('PCRS_MISSING');
  let isWhole = true;
  for (const pcrCount of RANGES) {
    if (pcrCount > 8 && name === 'sha1') break;
    const parts = Array.from({ length: pcrCount }, (_, pcr) => values.get(pcr));
    const aggregate = parts.every((part) => part !== undefined)
      ? hashByName(name, concatBytes(...parts))
      : null;
    // Without PCR 8 and 9, PCR 0 to 7 alone cannot refute an aggregate that may cover all ten.
    if (aggregate === null) isWhole = false;
    else if (bytesEqual(aggregate, digest.value)) return { ok: true, reason: 'OK', pcrCount };
  }
  return refuse(isWhole ? 'MISMATCH' : 'PCRS_MISSING');
}

function refuse(reason: BootAggregateCheck['reason']): BootAggregateCheck {
  return { ok: false, reason, pcrCount: null };
}
