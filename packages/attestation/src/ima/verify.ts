import { bootAggregateText } from './boot-aggregate.ts';
import { badEntry, findBadEntries, type ImaBadEntry, sameBytes } from './check.ts';
import { ImaError } from './errors.ts';
import { bankBytes } from './hash.ts';
import type { ImaBank, ImaEntry, ImaList, PcrBanks } from './list.ts';
import { type BankReplay, extendBank, IMA_PCR, type ImaExtension, openBank, valuesOf } from './replay.ts';
import { type ImaState, pcrsOfState, pcrsToHex } from './state.ts';

export type ImaReason =
  | 'OK'
  /** No number of entries explains the quoted values: entries are missing, changed, or of another machine. */
  | 'PCR_MISMATCH'
  /** The quoted registers were never extended, so they vouch for no entry of this list. */
  | 'PCR_UNUSED'
  /** The list starts after the last entry of the state. */
  | 'LIST_GAP'
  /** The values explain the list, but some entries are bad. */
  | 'BAD_ENTRIES';

export interface VerifyImaOptions {
  /** Where the last look ended. */
  readonly state?: ImaState | undefined;
  /** Which way to extend to accept; both by default, the newer first. */
  readonly extensions?: readonly ImaExtension[];
}

export interface ImaVerification {
  readonly ok: boolean;
  readonly reason: ImaReason;
  /** Entries, counted from the kernel's first one, that the quoted values vouch for. */
  readonly matched: number;
  /** Positions in `list.entries` of what is newly vouched for: [from, to). Nothing else of the list is to be believed. */
  readonly from: number;
  readonly to: number;
  readonly extension: ImaExtension | null;
  /** The machine was started anew since `state`; everything is vouched for from the first entry on. */
  readonly restarted: boolean;
  readonly violations: number;
  readonly badEntries: readonly ImaBadEntry[];
  /** For the next look; null when this one failed. */
  readonly state: ImaState | null;
}

/**
 * Holds a list against quoted PCR values: finds the shortest run of entries that explains them in every quoted bank,
 * because a list goes on growing between quote and reading. Quoted values are those of a signature that the caller has
 * checked. Goes on from `state` when there is one. Throws `IMA_BANK_UNSUPPORTED`, `IMA_STATE_INVALID`. [IMA-13]
 */
export function verifyIma(list: ImaList, quoted: PcrBanks, options: VerifyImaOptions = {}): ImaVerification {
  assertQuoted(quoted);
  const { state, extensions = ['template', 'padded'] } = options;
  const first = list.entries[0]?.number ?? state?.entries ?? 0;
  if (first > (state?.entries ?? 0)) return refuse('LIST_GAP');
  if (state !== undefined && continues(list, first, state)) {
    const found = findMatch(list, quoted, state.extension, state.entries - first, state);
    if (found !== null) return accept(list, quoted, found, state, false);
  }
  if (first > 0) return refuse('PCR_MISMATCH');
  for (const extension of extensions) {
    const found = findMatch(list, quoted, extension, 0, undefined);
    if (found === null) continue;
    if (found.to === 0 && list.entries.length > 0) return refuse('PCR_UNUSED');
    return accept(list, quoted, found, undefined, state !== undefined);
  }
  return refuse('PCR_MISMATCH');
}

/** A bug of the caller, not bad input: nothing quoted would make every list match. */
function assertQuoted(quoted: PcrBanks): void {
  let values = 0;
  for (const [bank, registers] of quoted) {
    for (const value of registers.values()) {
      if (value.length !== bankBytes(bank)) {
        throw new ImaError('IMA_BANK_UNSUPPORTED', `${bank}: a quoted value of ${value.length} bytes`);
      }
      values++;
    }
  }
  if (values === 0) throw new ImaError('IMA_BANK_UNSUPPORTED', 'no quoted value');
}

/** A tail continues; a whole list does when it is of the same boot and not shorter than what was seen. */
function continues(list: ImaList, first: number, state: ImaState): boolean {
  if (first + list.entries.length < state.entries) return false;
  return first > 0 || state.entries === 0 || bootAggregateText(list) === state.bootAggregate;
}

interface Match {
  readonly extension: ImaExtension;
  readonly from: number;
  readonly to: number;
  readonly banks: readonly BankReplay[];
}

/** The first position after which every quoted register holds its quoted value; null when there is none. */
function findMatch(
  list: ImaList,
  quoted: PcrBanks,
  extension: ImaExtension,
  from: number,
  state: ImaState | undefined,
): Match | null {
  const banks: BankReplay[] = [];
  for (const bank of quoted.keys()) {
    const values = state === undefined ? undefined : pcrsOfState(state, bank);
    if (values?.size === 0) return null; // this bank was not quoted before
    banks.push(openBank(bank, list, extension, values));
  }
  const matches = (): boolean => banks.every((bank) => holds(bank, quoted));
  if (matches()) return { extension, from, to: from, banks };
  for (let i = from; i < list.entries.length; i++) {
    let hit = true;
    for (const bank of banks) {
      const entry = list.entries[i] as ImaEntry;
      const block = extendBank(bank, entry);
      const want = quoted.get(bank.bank)?.get(entry.pcr);
      // Most entries fail at the first byte of one register; only a hit is worth looking at the others.
      if (want !== undefined && block[0] !== want[0]) hit = false;
    }
    if (hit && matches()) return { extension, from, to: i + 1, banks };
  }
  return null;
}

function holds(replay: BankReplay, quoted: PcrBanks): boolean {
  for (const [pcr, want] of quoted.get(replay.bank) ?? []) {
    const block = replay.blocks.get(pcr);
    const value = block?.subarray(0, replay.bytes) ?? new Uint8Array(replay.bytes);
    if (!sameBytes(value, want)) return false;
  }
  return true;
}

function accept(
  list: ImaList,
  quoted: PcrBanks,
  match: Match,
  before: ImaState | undefined,
  restarted: boolean,
): ImaVerification {
  const { from, to, extension } = match;
  const entries = list.entries.slice(from, to);
  const badEntries = [...findBadEntries(list, from, to), ...notQuoted(entries, quoted)];
  badEntries.sort((a, b) => a.number - b.number);
  const matched = (list.entries[0]?.number ?? before?.entries ?? 0) + to;
  return {
    ok: badEntries.length === 0,
    reason: badEntries.length === 0 ? 'OK' : 'BAD_ENTRIES',
    matched,
    from,
    to,
    extension,
    restarted,
    violations: entries.filter(({ violation }) => violation).length,
    badEntries,
    state: {
      version: 1,
      entries: matched,
      bootAggregate: before?.entries ? before.bootAggregate : bootAggregateText(list),
      extension,
      pcrs: pcrsToHex(new Map(match.banks.map((bank) => [bank.bank, valuesOf(bank)]))),
    },
  };
}

function notQuoted(entries: readonly ImaEntry[], quoted: PcrBanks): ImaBadEntry[] {
  const vouched = (pcr: number): boolean => [...quoted.values()].some((registers) => registers.has(pcr));
  const pcrs = new Set(entries.map(({ pcr }) => pcr));
  const unvouched = new Set([...pcrs].filter((pcr) => !vouched(pcr)));
  if (unvouched.size === 0) return [];
  return entries.filter(({ pcr }) => unvouched.has(pcr)).map((entry) => badEntry(entry, 'PCR_NOT_QUOTED'));
}

function refuse(reason: ImaReason): ImaVerification {
  return {
    ok: false,
    reason,
    matched: 0,
    from: 0,
    to: 0,
    extension: null,
    restarted: false,
    violations: 0,
    badEntries: [],
    state: null,
  };
}

/** Quoted values of PCR 10 alone, as most quotes have them. */
export function quotedPcr10(values: Readonly<Partial<Record<ImaBank, Uint8Array>>>): PcrBanks {
  const banks = new Map<ImaBank, ReadonlyMap<number, Uint8Array>>();
  for (const [bank, value] of Object.entries(values)) {
    if (value !== undefined) banks.set(bank as ImaBank, new Map([[IMA_PCR, value]]));
  }
  return banks;
}
