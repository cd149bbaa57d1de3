import { bootAggregateText } from './boot-aggregate.ts';
import { badEntry, findBadEntries, type ImaBadEntry, sameBytes } from './check.ts';
import { ImaError } from './errors.ts';
import { bankBytes } from './hash.ts';
import type { ImaBank, ImaEntry, ImaList, PcrBanks } from './list.ts';
import {
  type BankReplay,
  extendBank,
  IMA_EXTENSIONS,
  IMA_PCR,
  type ImaExtension,
  openBank,
  valuesOf,
} from './replay.ts';
import { type ImaState, pcrsOfState, pcrsToHex } from './state.ts';

/** Why a list is not, or not wholly, vouched for. */
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

/** Where to begin, and how banks may have been extended. */
export interface VerifyImaOptions {
  /** Where the last look ended. */
  readonly state?: ImaState | undefined;
  /** Which ways to extend to accept, bank by bank; all by default. */
  readonly extensions?: readonly ImaExtension[];
}

/** How much of a list a quote vouches for. */
export interface ImaVerification {
  readonly ok: boolean;
  readonly reason: ImaReason;
  /** Entries, counted from the kernel's first one, that the quoted values vouch for. */
  readonly matched: number;
  /** Positions in `list.entries` of what is newly vouched for: [from, to). Nothing else of the list is to be believed. */
  readonly from: number;
  readonly to: number;
  /** How each quoted bank was extended; empty when nothing matched. */
  readonly extensions: Readonly<Partial<Record<ImaBank, ImaExtension>>>;
  /**
   * There was a state and it did not fit, because the machine was started anew or another bank was quoted: everything is
   * vouched for from the first entry on.
   */
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
  const { state, extensions = IMA_EXTENSIONS } = options;
  const first = list.entries[0]?.number ?? state?.entries ?? 0;
  if (first > (state?.entries ?? 0)) return refuse('LIST_GAP');
  if (state !== undefined && continues(list, first, state)) {
    const found = findMatch(list, quoted, extensions, state.entries - first, state);
    if (found !== null) return accept(list, quoted, found, state, false);
  }
  if (first > 0) return refuse('PCR_MISMATCH');
  const found = findMatch(list, quoted, extensions, 0, undefined);
  if (found === null) return refuse('PCR_MISMATCH');
  if (found.to === 0 && list.entries.length > 0) return refuse('PCR_UNUSED');
  return accept(list, quoted, found, undefined, state !== undefined);
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

/** The registers of a bank, once for each way that it may have been extended in. */
type BankCandidates = readonly BankReplay[];

interface Match {
  readonly from: number;
  readonly to: number;
  /** One of each bank: the one that matched. */
  readonly banks: readonly BankReplay[];
}

/**
 * The first position after which every quoted register holds its quoted value; null when there is none. Nearly all
 * machines extend all banks in the first way, so the others are tried, each bank for itself, only when that fails.
 */
function findMatch(
  list: ImaList,
  quoted: PcrBanks,
  extensions: readonly ImaExtension[],
  from: number,
  state: ImaState | undefined,
): Match | null {
  for (const ways of [extensions.slice(0, 1), extensions]) {
    const match = replayUntil(list, quoted, openBanks(list, quoted, ways, state), from);
    if (match !== null) return match;
  }
  return null;
}

/** No candidate of a bank that the state does not know: then nothing matches, and the caller starts anew. */
function openBanks(
  list: ImaList,
  quoted: PcrBanks,
  extensions: readonly ImaExtension[],
  state: ImaState | undefined,
): BankCandidates[] {
  return [...quoted.keys()].map((bank) => {
    if (state !== undefined && state.pcrs[bank] === undefined) return [];
    const values = state === undefined ? undefined : pcrsOfState(state, bank);
    if (bank === 'sha1') return [openBank(bank, list, 'template', values)];
    return extensions.map((extension) => openBank(bank, list, extension, values));
  });
}

function replayUntil(
  list: ImaList,
  quoted: PcrBanks,
  candidates: readonly BankCandidates[],
  from: number,
): Match | null {
  if (candidates.some((ways) => ways.length === 0)) return null;
  for (let to = from; ; to++) {
    const banks = candidates.map((ways) => ways.find((replay) => holds(replay, quoted)));
    if (banks.every((bank) => bank !== undefined)) return { from, to, banks };
    const entry = list.entries[to];
    if (entry === undefined) return null;
    for (const ways of candidates) for (const replay of ways) extendBank(replay, entry);
  }
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
  const { from, to } = match;
  const entries = list.entries.slice(from, to);
  const badEntries = [...findBadEntries(list, from, to), ...notQuoted(entries, quoted)];
  badEntries.sort((a, b) => a.number - b.number);
  const extensions = Object.fromEntries(match.banks.map(({ bank, extension }) => [bank, extension]));
  const matched = (list.entries[0]?.number ?? before?.entries ?? 0) + to;
  return {
    ok: badEntries.length === 0,
    reason: badEntries.length === 0 ? 'OK' : 'BAD_ENTRIES',
    matched,
    from,
    to,
    extensions,
    restarted,
    violations: entries.filter(({ violation }) => violation).length,
    badEntries,
    state: {
      version: 1,
      entries: matched,
      bootAggregate: before?.entries ? before.bootAggregate : bootAggregateText(list),
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
    extensions: {},
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
