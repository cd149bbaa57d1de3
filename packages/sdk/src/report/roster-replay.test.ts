import { hashDomain, merkleRoot, toHex } from '@nemea/core';
import {
  CREDIT_TASK_EXECUTED,
  CREDIT_TASK_VERIFIED,
  creditRoot,
  type EpochLeaf,
  encodeEpochLeaf,
  genesisRoster,
  type Roster,
  rosterRoot,
  settleCredit,
  withCredit,
  withMember,
  withoutMember,
} from '@nemea/membership';
import { beforeEach, describe, expect, test } from 'vitest';
import { hex0x } from './inquiry.ts';
import { replayRosters } from './roster-replay.ts';
import { reportOf, TestChain, type TestNode, testNode, txOf } from './testing.ts';

const [a, b, c, d] = [1, 2, 3, 4].map(testNode) as [TestNode, TestNode, TestNode, TestNode];

/** The members' side: what they did, and what they signed for. */
let roster: Roster;
let chain: TestChain;
let epochs: { epoch: number; txHash: string; gasUsed: number; leaves: string[] }[];

beforeEach(() => {
  chain = new TestChain([a, b, c]);
  roster = genesisRoster(chain.history.genesisRecords());
  epochs = [];
});

function leaf(epoch: number, attestor: TestNode, target: TestNode): EpochLeaf {
  return {
    epoch,
    attestor: attestor.account,
    target: target.account,
    verdict: 'affirming',
    quoteDigest: new Uint8Array(32),
    nonce: hashDomain('test/nonce', Uint8Array.of(epoch)),
    evidenceDigest: new Uint8Array(32),
    answerSignature: new Uint8Array(64),
  };
}

/** Closes an epoch as the members do, and records it. */
function close(
  epoch: number,
  leaves: EpochLeaf[],
  counted: { admissions?: number; evictions?: number } = {},
): void {
  const { networkId } = chain.ledger;
  roster = settleCredit(roster, leaves, { networkId, epochSeed: new Uint8Array(32) });
  const encoded = leaves.map(encodeEpochLeaf);
  const txHash = txOf(`epoch ${epoch}`);
  const record = {
    epoch: BigInt(epoch),
    seed: hex0x(new Uint8Array(32)),
    rosterRoot: hex0x(rosterRoot(roster)),
    attestationRoot: hex0x(merkleRoot(encoded)),
    creditRoot: hex0x(creditRoot(roster, epoch)),
    admissions: counted.admissions ?? 0,
    evictions: counted.evictions ?? 0,
    policyVersion: 0n,
    boundaryBlock: 0n,
  };
  chain.call('epochLog', txHash, 'record', [record, []]);
  chain.mine({ ...chain.at(txHash), type: 'epoch', epoch });
  epochs.push({ epoch, txHash, gasUsed: 0, leaves: encoded.map(toHex) });
}

function settle(executor: TestNode, verifier: TestNode): void {
  const txHash = txOf('settle');
  const taskId = hex0x(new Uint8Array(32));
  const certificateDigest = hex0x(new Uint8Array(32));
  const settlement = {
    taskId,
    attempt: 1,
    executor: executor.account,
    salt: taskId,
    verifiers: [verifier.account],
    certificateDigest,
  };
  chain.call('taskEscrow', txHash, 'settle', [settlement, []]);
  chain.mine({
    ...chain.at(txHash),
    type: 'task-settled',
    taskId: taskId.slice(2),
    executor: executor.account,
    certificateDigest: certificateDigest.slice(2),
  });
}

function paid(before: Roster, node: TestNode, credit: number): Roster {
  return withCredit(before, node.account, (before.get(node.account)?.credit ?? 0) + credit);
}

const replay = () => replayRosters(reportOf({ epochs }), chain.ledger);

describe('a replay', () => {
  test('of epochs alone ends where the members ended', async () => {
    close(1, [leaf(1, a, b), leaf(1, b, c)]);
    close(2, [leaf(2, c, a)]);
    const { spans, exactEpoch, epochsMatched, stopped } = await replay();
    expect({ exactEpoch, epochsMatched, stopped }).toEqual({
      exactEpoch: 2,
      epochsMatched: 2,
      stopped: undefined,
    });
    expect(spans.at(-1)?.roster).toEqual(roster);
  });

  test('counts a newcomer from the epoch that counted it', async () => {
    close(1, [leaf(1, a, b)]);
    const txHash = txOf(`admit ${d.account}`);
    const admission = { ...d.record, ...hexRecord(d), epoch: 1n };
    chain.call('nodeRegistry', txHash, 'admit', [admission, []]);
    chain.mine(chain.admitted(d, 1, 1));
    roster = withMember(roster, d.record, chain.history.epochOf(chain.history.head));
    close(2, [leaf(2, a, d)], { admissions: 1 });
    const { spans, stopped } = await replay();
    expect(stopped).toBeUndefined();
    expect(spans.at(-1)?.roster).toEqual(roster);
  });

  test('takes the credit of who missed an update as the leaves say [MEMB-37]', async () => {
    close(1, [leaf(1, a, b)]);
    close(2, [leaf(2, a, b), { outdated: c.account, epoch: 2, evidenceDigest: new Uint8Array(32) }]);
    const { spans, exactEpoch } = await replay();
    expect(exactEpoch).toBe(2);
    expect(spans.at(-1)?.roster.get(c.account)?.credit).toBe(0);
  });

  test('takes all credit of who contradicted itself as the leaves say [MEMB-43]', async () => {
    const signed = { payload: Uint8Array.of(1), signature: new Uint8Array(64) };
    close(1, [leaf(1, a, b), { equivocator: c.account, epoch: 1, first: signed, second: signed }]);
    close(2, [leaf(2, a, b)]);
    const { spans, exactEpoch } = await replay();
    expect(exactEpoch).toBe(2);
    expect(spans.at(-1)?.roster.get(c.account)?.credit).toBe(0);
  });

  test('finds by itself between which epochs a settlement was counted', async () => {
    close(1, [leaf(1, a, b)]);
    settle(a, b);
    close(2, [leaf(2, a, b)]);
    roster = paid(paid(roster, a, CREDIT_TASK_EXECUTED), b, CREDIT_TASK_VERIFIED);
    close(3, [leaf(3, b, a)]);
    const { spans, exactEpoch } = await replay();
    expect(exactEpoch).toBe(3);
    expect(spans.at(-1)?.roster).toEqual(roster);
  });

  test('drops who was evicted, and keeps the roster before it', async () => {
    close(1, [leaf(1, a, b)]);
    roster = withoutMember(roster, c.account);
    chain.mine({ ...chain.at(txOf('evict')), type: 'node-evicted', account: c.account, reason: 1 });
    close(2, [leaf(2, a, b)], { evictions: 1 });
    const { spans, stopped } = await replay();
    expect(stopped).toBeUndefined();
    expect(spans.at(-1)?.roster.has(c.account)).toBe(false);
    expect(spans.some(({ closedEpoch, roster: held }) => closedEpoch === 1 && held.has(c.account))).toBe(
      true,
    );
  });

  test('counts who was evicted and registered again in one epoch as the newcomer that it is', async () => {
    close(1, [leaf(1, a, b)]);
    chain.mine({ ...chain.at(txOf('evict')), type: 'node-evicted', account: c.account, reason: 1 });
    const again = { ...c, record: { ...c.record } };
    chain.mine(chain.admitted(again, 1, 1));
    const epoch = chain.history.epochOf(chain.history.head);
    roster = withMember(withoutMember(roster, c.account), c.record, epoch);
    close(2, [leaf(2, a, b)], { admissions: 1, evictions: 1 });
    const { spans, stopped } = await replay();
    expect(stopped).toBeUndefined();
    expect(spans.at(-1)?.roster).toEqual(roster);
  });

  test('does not look at epochs after the report was made', async () => {
    close(1, [leaf(1, a, b)]);
    close(2, [leaf(2, b, a)]);
    epochs.pop();
    expect(await replay()).toMatchObject({ exactEpoch: 1, epochsMatched: 1 });
  });

  test('stops at an epoch that the report does not hold as the quorum signed it', async () => {
    close(1, [leaf(1, a, b)]);
    close(2, [leaf(2, b, a)]);
    close(3, [leaf(3, b, a)]);
    epochs[1]?.leaves.pop();
    expect(await replay()).toMatchObject({
      exactEpoch: 1,
      stopped: 'the report does not hold the attestations of epoch 2',
    });
  });

  test('stops where the quorum signed for credit that the rules do not give', async () => {
    close(1, [leaf(1, a, b)]);
    roster = paid(roster, c, 1_000);
    close(2, [leaf(2, b, a)]);
    expect(await replay()).toMatchObject({
      exactEpoch: 1,
      stopped: 'the roots of epoch 2 do not follow from the record',
    });
  });
});

function hexRecord({ record }: TestNode) {
  const { peerKey, ekId, akX, akY, vrfX, vrfY } = record;
  return {
    peerKey: hex0x(peerKey),
    ekId: hex0x(ekId),
    akX: hex0x(akX),
    akY: hex0x(akY),
    vrfX: hex0x(vrfX),
    vrfY: hex0x(vrfY),
  };
}
