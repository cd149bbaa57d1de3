import { compareBytes, encodeCbor, fromHex, hashDomain, merkleRoot, toHex } from '@nemea/core';
import { CREDIT_GENESIS, CREDIT_NEWCOMER, weightOf } from './credit.ts';
import type { NodeRecord } from './operation.ts';
import { capByOwner } from './owner-cap.ts';
import { CONFIDENCE_NEW } from './standing.ts';

/** Members at most: as many as a configuration of the consensus takes [CONS-1] [MEMB-6]. */
export const ROSTER_MAX = 128;
/** Genesis members were admitted before the first epoch: they may draw in all of them. */
const GENESIS_EPOCH = -1;

/** A member in good standing. `account` is the lower-case layer-1 address and the consensus id. */
export interface Member extends NodeRecord {
  readonly credit: number;
  readonly admittedEpoch: number;
  /** See `confidenceAfterEpoch`. */
  readonly confidence: number;
}

const NEW = { confidence: CONFIDENCE_NEW };

/** Members by account. Every order that matters is by account, never by insertion. */
export type Roster = ReadonlyMap<string, Member>;

export function genesisRoster(records: readonly NodeRecord[]): Roster {
  const roster = new Map<string, Member>();
  for (const record of records) {
    roster.set(record.account, { ...record, ...NEW, credit: CREDIT_GENESIS, admittedEpoch: GENESIS_EPOCH });
  }
  return roster;
}

export function withMember(roster: Roster, record: NodeRecord, epoch: number): Roster {
  return new Map(roster).set(record.account, {
    ...record,
    ...NEW,
    credit: CREDIT_NEWCOMER,
    admittedEpoch: epoch,
  });
}

/**
 * Who gave up membership by the first block of an epoch, and takes its deposit along, has no say, no draw and no work here
 * any more once it closes [MEMB-21]. Who was registered again in that epoch or later has come back since.
 */
export function withoutLeavers(roster: Roster, leavers: ReadonlySet<string>, epoch: number): Roster {
  const staying = new Map(
    [...roster].filter(([account, { admittedEpoch }]) => !leavers.has(account) || admittedEpoch >= epoch),
  );
  // Consensus cannot go on without anybody: when all leave, the network ends as it is.
  return staying.size === 0 || staying.size === roster.size ? roster : staying;
}

export function withoutMember(roster: Roster, account: string): Roster {
  const next = new Map(roster);
  next.delete(account);
  return next;
}

export function withCredit(roster: Roster, account: string, credit: number): Roster {
  const member = roster.get(account);
  return member === undefined ? roster : new Map(roster).set(account, { ...member, credit });
}

export function membersInOrder(roster: Roster): Member[] {
  return [...roster.values()].sort((a, b) => (a.account < b.account ? -1 : 1));
}

/** A roster never changes once it is made, so its total is counted once. */
const totals = new WeakMap<Roster, number>();

export function weightTotal(roster: Roster): number {
  const known = totals.get(roster);
  if (known !== undefined) return known;
  let total = 0;
  for (const member of roster.values()) total += weightOf(member.credit);
  totals.set(roster, total);
  return total;
}

/** What members weigh in draws and juries, by account: their weights with the cap on owners [MEMB-39]. */
const juries = new WeakMap<Roster, { byAccount: ReadonlyMap<string, number>; total: number }>();

function juryWeights(roster: Roster): { byAccount: ReadonlyMap<string, number>; total: number } {
  const known = juries.get(roster);
  if (known !== undefined) return known;
  const members = membersInOrder(roster);
  const capped = capByOwner(members.map(({ owner, credit }) => ({ owner, weight: weightOf(credit) })));
  const byAccount = new Map(members.map(({ account }, i) => [account, capped[i] as number]));
  const counted = { byAccount, total: capped.reduce((sum, weight) => sum + weight, 0) };
  juries.set(roster, counted);
  return counted;
}

/** A member's weight in draws and juries; 0 for who is no member. Quorums count `weightOf` instead. */
export function juryWeightOf(roster: Roster, account: string): number {
  return juryWeights(roster).byAccount.get(account) ?? 0;
}

export function juryWeightTotal(roster: Roster): number {
  return juryWeights(roster).total;
}

/** Replicas of the consensus that this roster gives. */
export function replicasOf(roster: Roster): { id: string; publicKey: Uint8Array; weight: number }[] {
  return membersInOrder(roster).map((member) => ({
    id: member.account,
    publicKey: member.peerKey,
    weight: weightOf(member.credit),
  }));
}

/** Compressed SEC1 form of a member's VRF key. */
export function vrfPublicKey(record: NodeRecord): Uint8Array {
  const compressed = new Uint8Array(33);
  compressed[0] = ((record.vrfY[31] as number) & 1) === 1 ? 3 : 2;
  compressed.set(record.vrfX, 1);
  return compressed;
}

/** Leaf of the credit tree as the contract packs it: account (20) | epoch (u64) | credit (u32). */
export function creditLeaf(account: string, epoch: number, credit: number): Uint8Array {
  const leaf = new Uint8Array(32);
  leaf.set(fromHex(account), 0);
  const view = new DataView(leaf.buffer);
  view.setBigUint64(20, BigInt(epoch));
  view.setUint32(28, credit);
  return leaf;
}

export function creditRoot(roster: Roster, epoch: number): Uint8Array {
  return merkleRoot(membersInOrder(roster).map((member) => creditLeaf(member.account, epoch, member.credit)));
}

/** Commitment to who the members are, with which keys and weights. */
export function rosterRoot(roster: Roster): Uint8Array {
  return merkleRoot(
    membersInOrder(roster).map((member) =>
      hashDomain(
        'nemea/roster-leaf/1',
        fromHex(member.account),
        member.peerKey,
        Uint8Array.of(weightOf(member.credit)),
      ),
    ),
  );
}

/**
 * Identity of a candidacy: a hash over the whole record, so that what judges saw is what is admitted. A key or level
 * that it left out could be exchanged by whoever orders the application first [MEMB-11].
 */
export function candidateId(record: NodeRecord, applicationDigest: Uint8Array): Uint8Array {
  return hashDomain('nemea/candidate/1', encodeCbor({ ...record }), applicationDigest);
}

/** Whether a record shares an account, peer key, EK or VRF key with a member. One TPM, one member [MEMB-6]. */
export function conflictsWith(roster: Roster, record: NodeRecord): boolean {
  for (const member of roster.values()) {
    if (
      member.account === record.account ||
      compareBytes(member.peerKey, record.peerKey) === 0 ||
      compareBytes(member.ekId, record.ekId) === 0 ||
      compareBytes(member.akX, record.akX) === 0 ||
      compareBytes(member.vrfX, record.vrfX) === 0
    ) {
      return true;
    }
  }
  return false;
}

export function accountOf(hex: string): string {
  return `0x${toHex(fromHex(hex))}`;
}
