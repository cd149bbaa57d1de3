import { type EquivocationLeaf, genesisRoster } from '@nemea/membership';
import { commitOf, equivocationOf, NETWORK_ID, testMembers } from '@nemea/membership/testing';
import { expect, test } from 'vitest';
import { checkEquivocation } from './equivocation.ts';
import { Lies } from './finding.ts';
import { reportOf } from './testing.ts';

const members = testMembers(2);
const [culprit, other] = members as [(typeof members)[0], (typeof members)[0]];
const rosters = {
  spans: [{ closedEpoch: 3, roster: genesisRoster(members.map(({ record }) => record)) }],
  exactEpoch: 3,
  epochsMatched: 3,
};

function liesOf(change: Partial<EquivocationLeaf> = {}, networkId = NETWORK_ID): readonly string[] {
  const lies = new Lies();
  const { first, second } = equivocationOf(culprit, 33);
  const leaf = { equivocator: culprit.account, epoch: 4, first, second, ...change };
  checkEquivocation({ report: reportOf({}), rosters, ledger: { networkId } }, lies, leaf);
  return lies.details;
}

test('a leaf of equivocation holds by the signatures in it alone [MEMB-43]', () => {
  expect(liesOf()).toEqual([]);
});

test('a leaf of equivocation that proves nothing, or against another, or elsewhere, is a lie of the quorum', () => {
  const harmless = equivocationOf(culprit, 33, [commitOf(33, 1), commitOf(33, 1)]);
  const untrue = [
    liesOf({ equivocator: other.account }),
    liesOf({ equivocator: `0x${'1'.repeat(40)}` }),
    liesOf({ first: harmless.first, second: harmless.second }),
    liesOf({ second: { ...harmless.second, payload: Uint8Array.of(99) } }),
    liesOf({}, new Uint8Array(32)),
  ];
  for (const lies of untrue) expect(lies).toEqual([expect.stringContaining('is not proven by its peer key')]);
});
