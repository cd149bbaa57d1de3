import { toHex } from '@nemea/core';
import type { Ledger, MinedTransaction } from '../client/ledger.ts';
import { LedgerError } from '../ledger/history.ts';
import type { ContractName } from '../ledger/network.ts';
import type { Lies } from './finding.ts';
import type { Report } from './report.ts';
import type { RosterReplay } from './roster-replay.ts';

/** What every check works on: the report under suspicion, layer 1, and the rosters redone from both. */
export interface Inquiry {
  readonly report: Report;
  readonly ledger: Ledger;
  readonly rosters: RosterReplay;
}

/** How the report calls an account; the account itself when it does not know it. */
export function nameOf(report: Pick<Report, 'nodes'>, account: string): string {
  return report.nodes.find((node) => node.account === account)?.name ?? account;
}

/** The transaction that the report names, if layer 1 has it and it was sent to this contract. */
export async function minedTo(
  { ledger }: Pick<Inquiry, 'ledger'>,
  lies: Lies,
  contract: ContractName,
  txHash: string,
): Promise<MinedTransaction | undefined> {
  const mined = await ledger.mined(txHash);
  if (mined === undefined) {
    lies.add(`transaction ${txHash} is not on layer 1`);
    return undefined;
  }
  const address = ledger.network.contracts[contract].toLowerCase();
  if (!lies.unlessEqual(`receiver of transaction ${txHash}`, mined.to, address)) return undefined;
  if (!lies.unless(mined.isSuccess, `transaction ${txHash} was reverted`)) return undefined;
  return mined;
}

/** Reads a contract; undefined when the contract refuses, as it does for what it does not know. */
export async function readKnown<T>(
  ledger: Ledger,
  contract: ContractName,
  functionName: string,
  args: readonly unknown[] = [],
): Promise<T | undefined> {
  try {
    return await ledger.read<T>(contract, functionName, args);
  } catch (error) {
    if (error instanceof LedgerError && REFUSALS.has(error.code)) return undefined;
    throw error;
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['LEDGER_REVERTED', 'LEDGER_CONTRACT_MISSING']);

export function hex0x(bytes: Uint8Array): `0x${string}` {
  return `0x${toHex(bytes)}`;
}

/** Enough of an identifier for a person to tell it from others. */
export function short(id: string): string {
  return id.length <= 14 ? id : `${id.slice(0, 10)}..`;
}
