import { toHex } from '@nemea/core';
import type { Vote } from '@nemea/membership';
import { requireQuorum } from './quorum.ts';
import { type Block, type Emitted, type LayerOneState, nodeOf, pay, Revert, take } from './state.ts';

const CREDIT_MAX = 10_000;
const CREDIT_GENESIS = 100;
const CREDIT_NEWCOMER = 1;
const SLASH_BPS = 5_000n;
const REWARD_BPS = 5_000n;
const BPS = 10_000n;

type VoteOf<T extends Vote['type']> = Extract<Vote, { type: T }>;

/** NodeRegistry.depositFor */
export function depositFor(state: LayerOneState, from: string, account: string, amount: bigint): Emitted[] {
  if (amount === 0n) throw new Revert('FieldInvalid', 'amount');
  take(state, from, amount);
  const node = nodeOf(state, account);
  node.deposit += amount;
  node.backers.add(from);
  return [{ type: 'deposit', account, deposit: node.deposit }];
}

/** NodeRegistry.admit */
export function admit(
  state: LayerOneState,
  vote: VoteOf<'Admission'>,
  signatures: readonly string[],
): Emitted[] {
  const { record, epoch } = vote;
  const { account } = record;
  if (state.genesisPending !== 0 && !state.genesis.includes(account))
    throw new Revert('AccountNotGenesis', account);
  const node = nodeOf(state, account);
  if (isMember(state, account)) throw new Revert('AlreadyAdmitted', account);
  if (node.deposit < state.depositMin) throw new Revert('DepositTooLow', `${node.deposit}`);
  if (record.owner !== account && !node.backers.has(record.owner))
    throw new Revert('OwnerNotBacking', record.owner);
  const ekId = toHex(record.ekId);
  const holder = state.ekHolders.get(ekId);
  if (holder !== undefined && isMember(state, holder.account)) {
    const held = state.nodes.get(holder.account)?.record;
    if (held !== undefined && toHex(held.ekId) === ekId) throw new Revert('EkTaken', ekId);
  }
  const suspendedUntil = Math.max(node.suspendedUntil, holder?.suspendedUntil ?? 0);
  if (epoch < suspendedUntil) throw new Revert('Suspended', `until ${suspendedUntil}`);
  requireQuorum(state, vote, signatures);
  bindKeys(state, account, toHex(record.peerKey), toHex(record.vrfX) + toHex(record.vrfY), ekId);
  const isFounding = state.genesisPending !== 0;
  node.record = record;
  node.status = 'active';
  node.admittedEpoch = epoch;
  node.suspendedUntil = 0;
  node.credit = isFounding ? CREDIT_GENESIS : CREDIT_NEWCOMER;
  node.weight = weightOf(node.credit);
  if (isFounding) state.genesisPending--;
  return [{ type: 'node-admitted', record, credit: node.credit, weight: node.weight }];
}

function bindKeys(
  state: LayerOneState,
  account: string,
  peerKey: string,
  vrfKey: string,
  ekId: string,
): void {
  const peerHolder = state.peerKeys.get(peerKey);
  if (peerHolder !== undefined && peerHolder !== account) throw new Revert('PeerKeyTaken', peerHolder);
  const vrfEk = state.vrfKeys.get(vrfKey);
  if (vrfEk !== undefined && vrfEk !== ekId) throw new Revert('VrfKeyTaken', vrfEk);
  state.peerKeys.set(peerKey, account);
  state.vrfKeys.set(vrfKey, ekId);
  state.ekHolders.set(ekId, { account, suspendedUntil: 0 });
}

/** NodeRegistry.evict */
export function evict(
  state: LayerOneState,
  vote: VoteOf<'Eviction'>,
  signatures: readonly string[],
): Emitted[] {
  if (state.genesisPending !== 0) throw new Revert('GenesisIncomplete', `${state.genesisPending}`);
  const node = nodeOf(state, vote.account);
  if (!isMember(state, vote.account)) throw new Revert('NodeNotMember', vote.account);
  if (vote.epoch < node.admittedEpoch) throw new Revert('EvictionStale', vote.account);
  requireQuorum(state, vote, signatures);
  state.reserve += node.deposit;
  node.deposit = 0n;
  node.credit = 0;
  node.weight = 0;
  node.status = 'evicted';
  node.suspendedUntil = Math.max(vote.epoch, state.epochLatest) + state.suspensionEpochs;
  if (node.record !== undefined) {
    const { suspendedUntil } = node;
    state.ekHolders.set(toHex(node.record.ekId), { account: vote.account, suspendedUntil });
  }
  return [{ type: 'node-evicted', account: vote.account, reason: vote.reason }];
}

/** NodeRegistry.requestExit */
export function requestExit(state: LayerOneState, account: string, block: Block): Emitted[] {
  if (state.genesisPending !== 0) throw new Revert('GenesisIncomplete', `${state.genesisPending}`);
  const node = nodeOf(state, account);
  if (node.status !== 'active') throw new Revert('NodeNotActive', account);
  node.weight = 0;
  node.status = 'exiting';
  node.suspendedUntil = state.epochLatest + 1;
  node.exitAvailableAtS = block.timestampS + state.exitDelayS;
  const { record, suspendedUntil } = node;
  if (record !== undefined) state.ekHolders.set(toHex(record.ekId), { account, suspendedUntil });
  return [{ type: 'weight', account, credit: 0, weight: 0 }];
}

/** NodeRegistry.withdraw */
export function withdraw(state: LayerOneState, account: string, block: Block): Emitted[] {
  const node = nodeOf(state, account);
  const { status, deposit } = node;
  const isExiting = status === 'exiting';
  if (status === 'active' || (isExiting && block.timestampS < node.exitAvailableAtS))
    throw new Revert('DepositLocked', `until ${node.exitAvailableAtS}`);
  if (deposit === 0n && !isExiting) throw new Revert('NothingToWithdraw', account);
  if (isExiting) node.status = 'left';
  node.deposit = 0n;
  pay(state, isExiting ? (node.record?.owner ?? account) : account, deposit);
  return [];
}

/** NodeRegistry.applyCredit, by the escrow. */
export function applyCredit(state: LayerOneState, account: string, delta: number): Emitted {
  const node = nodeOf(state, account);
  if (node.status !== 'active') throw new Revert('NodeNotActive', account);
  return setCredit(state, account, Math.min(CREDIT_MAX, Math.max(0, node.credit + delta)));
}

/** NodeRegistry.slash, by the disputes. */
export function slash(state: LayerOneState, account: string, reporter: string): Emitted[] {
  if (!isMember(state, account)) return [];
  const node = nodeOf(state, account);
  const forfeited = (node.deposit * SLASH_BPS) / BPS;
  const reward = (forfeited * REWARD_BPS) / BPS;
  node.deposit -= forfeited;
  state.reserve += forfeited - reward;
  pay(state, reporter, reward);
  if (node.status === 'active') return [setCredit(state, account, 0)];
  node.credit = 0;
  return [];
}

/** EpochLog.record */
export function recordEpoch(
  state: LayerOneState,
  vote: VoteOf<'EpochRecord'>,
  signatures: readonly string[],
  block: Block,
): Emitted[] {
  if (vote.epoch <= state.epochLatest) throw new Revert('EpochNotRising', `${vote.epoch}`);
  if (vote.boundaryBlock < state.boundaryBlock || vote.boundaryBlock > block.number)
    throw new Revert('BoundaryBlockInvalid', `${vote.boundaryBlock}`);
  requireQuorum(state, vote, signatures);
  state.epochLatest = vote.epoch;
  state.boundaryBlock = vote.boundaryBlock;
  state.creditRoot = toHex(vote.creditRoot);
  return [{ type: 'epoch', epoch: vote.epoch }];
}

export function isMember(state: LayerOneState, account: string): boolean {
  const status = state.nodes.get(account)?.status;
  return status === 'active' || status === 'exiting';
}

function setCredit(state: LayerOneState, account: string, credit: number): Emitted {
  const node = nodeOf(state, account);
  node.credit = credit;
  node.weight = weightOf(credit);
  return { type: 'weight', account, credit, weight: node.weight };
}

/** Concave, and never below 1; the contract's own formula, written here a second time on purpose. */
function weightOf(credit: number): number {
  let root = 0;
  while ((root + 1) * (root + 1) <= credit) root++;
  return Math.max(1, root);
}
