import { fromHex, hashDomain, toHex } from '@nemea/core';
import { type EpochLeaf, type Member, type NodeRecord, settleCredit } from '@nemea/membership';
import { testMembers } from '@nemea/membership/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Account, creditsAfter, type Report } from './credit-rules.ts';

const EPOCH = 5;
const RECORDS = testMembers(9).map(({ record }) => record);
const networkId = new Uint8Array(32).fill(1);
const epochSeed = new Uint8Array(32).fill(2);
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const toNumber = (value: Uint8Array): bigint => BigInt(`0x${toHex(value)}`);
const place = (account: string): bigint =>
  toNumber(hashDomain('nemea/ring/1', networkId, epochSeed, fromHex(account)));

test('the rules of the checker and those of the product give everybody the same credit', () => {
  const member = fc.record({
    credit: fc.oneof(fc.nat(4), fc.nat(300), fc.integer({ min: 9_900, max: 10_000 })),
    admittedEpoch: fc.integer({ min: -1, max: EPOCH + 1 }),
    beta: fc.option(bytes(32)),
    /** What it says of each member in turn, where it says anything. */
    results: fc.array(fc.option(fc.boolean()), { minLength: 9, maxLength: 9 }),
  });
  // With ten owners the cap on owners would count, which the checker does not have.
  fc.assert(
    fc.property(fc.array(member, { minLength: 1, maxLength: 9 }), (given) => {
      const roster = new Map<string, Member>();
      const accounts = new Map<string, Account>();
      const names = RECORDS.map(({ account }) => account);
      for (const [index, { credit, admittedEpoch }] of given.entries()) {
        const standing = { credit, admittedEpoch };
        roster.set(names[index] as string, { ...(RECORDS[index] as NodeRecord), ...standing, confidence: 8 });
        accounts.set(names[index] as string, standing);
      }
      const leaves: EpochLeaf[] = [];
      const reports = new Map<string, Report>();
      for (const [index, { beta, results }] of given.entries()) {
        const attestor = names[index] as string;
        if (beta === null) continue;
        leaves.push({ attestor, epoch: EPOCH, beta, proof: new Uint8Array(0) });
        const said = new Map<string, boolean>();
        for (const [about, affirms] of results.slice(0, given.length).entries()) {
          const target = names[about] as string;
          if (affirms === null || about === index || (given[about]?.admittedEpoch ?? EPOCH) >= EPOCH)
            continue;
          said.set(target, affirms);
          leaves.push(resultOf(attestor, target, affirms));
        }
        reports.set(attestor, { beta: toNumber(beta), results: said });
      }
      const settled = settleCredit(roster, leaves, { networkId, epochSeed });
      const want = [...settled].map(([account, { credit }]) => [account, credit]);
      expect([...creditsAfter(accounts, { epoch: EPOCH, reports, place })]).toEqual(want);
    }),
  );
});

function resultOf(attestor: string, target: string, affirms: boolean): EpochLeaf {
  const empty = new Uint8Array(0);
  const verdict = affirms ? 'affirming' : 'contraindicated';
  const digests = { nonce: empty, evidenceDigest: empty, quoteDigest: empty, answerSignature: empty };
  return { attestor, target, epoch: EPOCH, verdict, ...digests };
}
