import { toHex } from '@nemea/core';
import type { NodeRecord, Vote } from '@nemea/membership';
import { requireQuorum } from './quorum.ts';
import {
  type Block,
  type Emitted,
  type LayerOneState,
  type MemberStatus,
  nodeOf,
  pay,
  Revert,
  take,
} from './state.ts';

const CREDIT_MAX = 10_000;
const CREDIT_GENESIS = 100;
const CREDIT_NEWCOMER = 1;
const ADMISSION_EPOCHS = 4;
const LEVEL_MAX = 3;
const ENDPOINT_BYTES_MAX = 512;
/** NodeStatus, as the contract numbers it. */
const STATUS = { none: 0, active: 1, evicted: 2, exiting: 3, left: 4 } as const satisfies Record<
  MemberStatus,
  number
>;
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
  requireAdmissible(state, vote);
  requireQuorum(state, vote, signatures);
  const { record, epoch } = vote;
  const node = nodeOf(state, record.account);
  bindKeys(state, record);
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

/** NodeRegistry.requireAdmissible */
export function requireAdmissible(state: LayerOneState, { record, epoch }: VoteOf<'Admission'>): void {
  requireWellFormed(record);
  const { account, owner } = record;
  if (state.genesisPending !== 0 && !state.genesis.includes(account))
    throw refusal('AccountNotGenesis', account);
  const node = nodeOf(state, account);
  if (isMember(state, account)) throw refusal('AlreadyAdmitted', account, STATUS[node.status]);
  if (node.deposit < state.depositMin)
    throw refusal('DepositTooLow', account, node.deposit, state.depositMin);
  if (owner !== account && !node.backers.has(owner)) throw refusal('OwnerNotBacking', account, owner);
  requireKeysFree(state, record);
  const ekId = toHex(record.ekId);
  const suspendedUntil = Math.max(node.suspendedUntil, state.ekHolders.get(ekId)?.suspendedUntil ?? 0);
  if (epoch < suspendedUntil) throw refusal('Suspended', account, record.ekId, epoch, suspendedUntil);
  if (state.epochLatest > epoch + ADMISSION_EPOCHS)
    throw refusal('AdmissionStale', account, epoch, state.epochLatest);
}

function requireWellFormed({ account, owner, endpoint, level, ...keys }: NodeRecord): void {
  const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
  const endpointBytes = new TextEncoder().encode(endpoint).length;
  if (BigInt(account) === 0n) throw refusal('FieldInvalid', 'account');
  if (BigInt(owner) === 0n) throw refusal('FieldInvalid', 'owner');
  if (isZero(keys.peerKey)) throw refusal('FieldInvalid', 'peerKey');
  if (isZero(keys.ekId)) throw refusal('FieldInvalid', 'ekId');
  if (isZero(keys.akX) || isZero(keys.akY)) throw refusal('FieldInvalid', 'ak');
  if (isZero(keys.vrfX) || isZero(keys.vrfY)) throw refusal('FieldInvalid', 'vrf');
  if (level === 0 || level > LEVEL_MAX) throw refusal('FieldInvalid', 'level');
  if (endpointBytes === 0 || endpointBytes > ENDPOINT_BYTES_MAX) throw refusal('FieldInvalid', 'endpoint');
}

function requireKeysFree(state: LayerOneState, record: NodeRecord): void {
  const { account, ekId, peerKey, vrfX, vrfY } = record;
  const holder = state.ekHolders.get(toHex(ekId))?.account;
  if (holder !== undefined && isMember(state, holder)) {
    const held = state.nodes.get(holder)?.record;
    if (held !== undefined && toHex(held.ekId) === toHex(ekId)) throw refusal('EkTaken', ekId, holder);
  }
  const peerHolder = state.peerKeys.get(toHex(peerKey));
  if (peerHolder !== undefined && peerHolder !== account) throw refusal('PeerKeyTaken', peerKey, peerHolder);
  const vrfEk = state.vrfKeys.get(vrfKeyOf(record));
  if (vrfEk !== undefined && vrfEk !== toHex(ekId)) throw refusal('VrfKeyTaken', vrfX, vrfY, `0x${vrfEk}`);
}

function bindKeys(state: LayerOneState, record: NodeRecord): void {
  const ekId = toHex(record.ekId);
  state.peerKeys.set(toHex(record.peerKey), record.account);
  state.vrfKeys.set(vrfKeyOf(record), ekId);
  state.ekHolders.set(ekId, { account: record.account, suspendedUntil: 0 });
}

const vrfKeyOf = ({ vrfX, vrfY }: NodeRecord): string => toHex(vrfX) + toHex(vrfY);

/** A Solidity error with its arguments, as a client decodes them. */
function refusal(name: string, ...values: readonly (string | number | bigint | Uint8Array)[]): Revert {
  const args = values.map((value) => (value instanceof Uint8Array ? `0x${toHex(value)}` : String(value)));
  return new Revert(name, args.join(', '), { data: { args } });
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
