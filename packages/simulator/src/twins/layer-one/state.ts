import { CodedError } from '@nemea/core';
import type { NodeRecord, TaskOnLedger } from '@nemea/membership';
import type { LedgerEvent, Network } from '@nemea/sdk';
import type { CapsuleOnContract, ReleaseRuleOnContract } from './capsules.ts';

/** What a contract answers with instead of doing what it was told: the name of its Solidity error. */
export class Revert extends CodedError<string> {}

export type MemberStatus = 'none' | 'active' | 'exiting' | 'left' | 'evicted';

export interface NodeState {
  status: MemberStatus;
  record: NodeRecord | undefined;
  deposit: bigint;
  /** Who has paid into the deposit. */
  readonly backers: Set<string>;
  credit: number;
  weight: number;
  admittedEpoch: number;
  suspendedUntil: number;
  /** When an exiting node gets its deposit back. */
  exitAvailableAtS: number;
}

export interface TaskOnContract {
  readonly task: TaskOnLedger;
  readonly createdAtS: number;
  state: 'created' | 'elected' | 'settled' | 'failed' | 'refunded';
  attempt: number;
  commitment: string;
}

export interface DisputeOnContract {
  readonly reporter: string;
  readonly accused: string;
  state: 'open' | 'guilty' | 'dismissed';
}

/** The contracts' state, as far as nodes depend on it. Money is conserved: the sum over all holders never changes. */
export interface LayerOneState {
  readonly network: Network;
  readonly genesis: readonly string[];
  genesisPending: number;
  readonly depositMin: bigint;
  readonly graceS: number;
  readonly exitDelayS: number;
  readonly suspensionEpochs: number;
  reserve: bigint;
  readonly balances: Map<string, bigint>;
  readonly nodes: Map<string, NodeState>;
  readonly ekHolders: Map<string, { account: string; suspendedUntil: number }>;
  readonly peerKeys: Map<string, string>;
  readonly vrfKeys: Map<string, string>;
  epochLatest: number;
  boundaryBlock: number;
  /** Hex; of the latest epoch. */
  creditRoot: string;
  readonly policies: Map<string, Set<string>>;
  readonly tasks: Map<string, TaskOnContract>;
  readonly taskNonces: Map<string, number>;
  readonly capsules: Map<string, CapsuleOnContract>;
  readonly rules: Map<string, ReleaseRuleOnContract>;
  /** How much a contract may take, by `holder spender`. */
  readonly allowances: Map<string, bigint>;
  readonly disputes: Map<string, DisputeOnContract>;
}

/** Where and when a transaction runs. */
export interface Block {
  readonly number: number;
  readonly timestampS: number;
}

export interface Transaction {
  readonly from: string;
  readonly contract: string;
  readonly functionName: string;
  readonly args: readonly unknown[];
}

/** An event before it is in a block. */
export type Emitted = LedgerEvent extends infer E
  ? E extends LedgerEvent
    ? Omit<E, 'block' | 'txHash'>
    : never
  : never;

export function nodeOf(state: LayerOneState, account: string): NodeState {
  const known = state.nodes.get(account);
  if (known !== undefined) return known;
  const fresh: NodeState = {
    status: 'none',
    record: undefined,
    deposit: 0n,
    backers: new Set(),
    credit: 0,
    weight: 0,
    admittedEpoch: 0,
    suspendedUntil: 0,
    exitAvailableAtS: 0,
  };
  state.nodes.set(account, fresh);
  return fresh;
}

/** All money there is, wherever it lies. */
export function moneyTotal(state: LayerOneState): bigint {
  let total = state.reserve;
  for (const balance of state.balances.values()) total += balance;
  for (const node of state.nodes.values()) total += node.deposit;
  for (const { task, state: at } of state.tasks.values()) {
    if (at === 'created' || at === 'elected') total += task.fee;
  }
  return total;
}

export function pay(state: LayerOneState, account: string, amount: bigint): void {
  state.balances.set(account, (state.balances.get(account) ?? 0n) + amount);
}

export function take(state: LayerOneState, account: string, amount: bigint): void {
  const balance = state.balances.get(account) ?? 0n;
  if (balance < amount) throw new Revert('ERC20InsufficientBalance', `${account} has ${balance}`);
  state.balances.set(account, balance - amount);
}

export function allowanceOf(state: LayerOneState, holder: string, spender: string): bigint {
  return state.allowances.get(`${holder} ${spender}`) ?? 0n;
}

/** ERC20.approve */
export function approve(state: LayerOneState, holder: string, spender: string, amount: bigint): void {
  state.allowances.set(`${holder} ${spender}`, amount);
}

/** ERC20.transferFrom, to a contract that was allowed it. */
export function takeAllowed(state: LayerOneState, holder: string, spender: string, amount: bigint): void {
  const allowed = allowanceOf(state, holder, spender);
  if (allowed < amount) throw new Revert('ERC20InsufficientAllowance', `${spender} may take ${allowed}`);
  take(state, holder, amount);
  approve(state, holder, spender, allowed - amount);
}
