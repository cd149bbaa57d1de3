import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConfiguration } from '@nemea/consensus';
import { fromHex, fromUtf8, merkleProof, sha256, toHex, verifyMerkleProof } from '@nemea/core';
import { vrfPublicKey as vrfPublicKeyOf } from '@nemea/vrf';
import { describe, expect, test } from 'vitest';
import { CREDIT_GENESIS, CREDIT_NEWCOMER } from './credit.ts';
import {
  accountOf,
  conflictsWith,
  creditLeaf,
  creditRoot,
  genesisRoster,
  membersInOrder,
  ROSTER_MAX,
  replicasOf,
  rosterRoot,
  vrfPublicKey,
  weightTotal,
  withCredit,
  withMember,
  withoutLeavers,
  withoutMember,
} from './roster.ts';
import { testMember, testMembers } from './testing.ts';

const members = testMembers(5);
const roster = genesisRoster(members.map(({ record }) => record));
const newcomer = testMember('newcomer');

interface CreditVector {
  readonly what: string;
  readonly root: string;
  readonly account: string;
  readonly epoch: number;
  readonly credit: number;
  readonly proof: readonly string[];
}
const file = join(import.meta.dirname, '..', '..', '..', 'vectors', 'credit', 'merkle.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
  proofs: readonly CreditVector[];
  forgeries: readonly CreditVector[];
};

describe('a credit leaf', () => {
  const holds = ({ root, account, epoch, credit, proof }: CreditVector) =>
    verifyMerkleProof(fromHex(root), creditLeaf(account, epoch, credit), proof.map(fromHex));

  test.each(vectors.proofs)('is proven as in the contract: $what', (vector) => {
    expect(holds(vector)).toBe(true);
  });

  test.each(vectors.forgeries)('is not proven by a forgery: $what', (vector) => {
    expect(holds(vector)).toBe(false);
  });
});

test('every member can prove its credit under the root of an epoch', () => {
  const changed = withCredit(roster, (members[2] as { account: string }).account, 4_711);
  const root = creditRoot(changed, 9);
  const inOrder = membersInOrder(changed);
  const leaves = inOrder.map((member) => creditLeaf(member.account, 9, member.credit));
  for (const index of inOrder.keys()) {
    expect(verifyMerkleProof(root, leaves[index] as Uint8Array, merkleProof(leaves, index))).toBe(true);
  }
  expect(toHex(creditRoot(changed, 10))).not.toBe(toHex(root));
});

test('the roots depend on who the members are, their keys and weights, and not on the order they came in', () => {
  const reversed = genesisRoster(members.toReversed().map(({ record }) => record));
  expect(toHex(rosterRoot(reversed))).toBe(toHex(rosterRoot(roster)));
  expect(toHex(creditRoot(reversed, 1))).toBe(toHex(creditRoot(roster, 1)));
  const [first] = membersInOrder(roster) as [ReturnType<typeof membersInOrder>[0]];
  const others = [
    withMember(roster, newcomer.record, 1),
    withoutMember(roster, first.account),
    withCredit(roster, first.account, CREDIT_GENESIS * 4),
    new Map(roster).set(first.account, { ...first, peerKey: sha256(fromUtf8('other key')) }),
  ];
  for (const other of others) expect(toHex(rosterRoot(other))).not.toBe(toHex(rosterRoot(roster)));
});

test('genesis members and newcomers start with their credit and weight', () => {
  const grown = withMember(roster, newcomer.record, 3);
  expect(grown.get(newcomer.account)).toMatchObject({ credit: CREDIT_NEWCOMER, admittedEpoch: 3 });
  expect(weightTotal(roster)).toBe(members.length * 10);
  expect(weightTotal(grown)).toBe(members.length * 10 + 1);
  expect(
    replicasOf(grown)
      .map(({ weight }) => weight)
      .sort(),
  ).toEqual([1, 10, 10, 10, 10, 10]);
});

test('changing who is not there changes nothing', () => {
  expect(withCredit(roster, newcomer.account, 5)).toBe(roster);
  expect(withoutMember(roster, newcomer.account)).toEqual(roster);
});

test('who took its stake away is gone, but for the last who could: consensus needs somebody [MEMB-21]', () => {
  const [leaver] = members as [ReturnType<typeof testMember>];
  expect(withoutLeavers(roster, new Set([leaver.account, newcomer.account]), 2).size).toBe(
    members.length - 1,
  );
  expect(withoutLeavers(roster, new Set(), 2)).toBe(roster);
  expect(withoutLeavers(roster, new Set(roster.keys()), 2)).toBe(roster);
});

test('who came back in the epoch that closes, or later, is not one of those that left by its first block [MEMB-21]', () => {
  const grown = withMember(roster, newcomer.record, 3);
  const left = new Set([newcomer.account]);
  expect(withoutLeavers(grown, left, 2)).toBe(grown);
  expect(withoutLeavers(grown, left, 3)).toBe(grown);
  expect(withoutLeavers(grown, left, 4).has(newcomer.account)).toBe(false);
});

test('a record conflicts with a member whose account or any of whose keys it has [MEMB-6]', () => {
  const [member] = members as [ReturnType<typeof testMember>];
  expect(conflictsWith(roster, newcomer.record)).toBe(false);
  for (const field of ['account', 'peerKey', 'ekId', 'akX', 'vrfX'] as const) {
    expect(conflictsWith(roster, { ...newcomer.record, [field]: member.record[field] })).toBe(true);
  }
});

test('the VRF key is compressed as the prover publishes it, odd or even', () => {
  const names = Array.from({ length: 8 }, (_, index) => `key ${index}`);
  const prefixes = names.map((name) => {
    const compressed = vrfPublicKey(testMember(name).record);
    expect(toHex(compressed)).toBe(toHex(vrfPublicKeyOf(sha256(fromUtf8(`vrf ${name}`)))));
    return compressed[0];
  });
  expect(new Set(prefixes)).toEqual(new Set([2, 3]));
});

test('consensus takes as many members as a roster may have, and no more', () => {
  const replicas = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      id: `member ${index}`,
      publicKey: sha256(Uint8Array.of(index, index >> 8)),
      weight: 1,
    }));
  expect(() => createConfiguration(replicas(ROSTER_MAX))).not.toThrow();
  expect(() => createConfiguration(replicas(ROSTER_MAX + 1))).toThrow('want 1 to 128');
});

test('an account is written in lower case', () => {
  expect(accountOf(`0x${'AB'.repeat(20)}`)).toBe(`0x${'ab'.repeat(20)}`);
});
