import { fromHex, sha256, toHex } from '@nemea/core';
import { ADMISSION_EPOCHS, membersInOrder, type Vote } from '@nemea/membership';
import { type Ledger, LedgerError, type LedgerEvent, voteDigest, voteTypedData } from '@nemea/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { voteMessageCodec } from './protocol.ts';
import { network, overlayOf, TestChain, type TestNode, testContext, testNode, testNodes } from './testing.ts';
import { Votes } from './votes.ts';

const nodes = testNodes(4);
const disputeId = sha256();
const vote: Vote = { type: 'DisputeVerdict', disputeId, guilty: false };
const digest = fromHex(voteDigest(network, vote));

let chain: TestChain;
let sent: number;
let submitted: { by: string; signatures: readonly string[] }[];
let refusals: number;
let open: Votes[];

beforeEach(() => {
  vi.useFakeTimers();
  chain = new TestChain(nodes);
  [sent, refusals, submitted, open] = [0, 0, [], []];
});

afterEach(() => {
  for (const votes of open) votes.close();
  vi.useRealTimers();
});

function votesOf(node: TestNode, receipts: Vote['type'][] = []): Votes {
  const ledger: Ledger = {
    ...chain.ledgerOf(node),
    submitVote: async (_vote, signatures) => {
      if (refusals-- > 0) throw new LedgerError('LEDGER_REVERTED', 'too early');
      submitted.push({ by: node.account, signatures });
      return { txHash: '0x', block: 1, gasUsed: 1 };
    },
  };
  const overlay = { ...overlayOf(async () => new Uint8Array(0)), send: () => void sent++ };
  const votes = new Votes(testContext(node, chain, { ledger, overlay: () => overlay }), ({ type }) => {
    receipts.push(type);
  });
  open.push(votes);
  return votes;
}

const signatureOf = (node: TestNode) => node.signer.signTypedData(voteTypedData(network, vote));
const messageOf = async (node: TestNode, of = digest) =>
  voteMessageCodec.encode({ digest: of, signature: await signatureOf(node) });

/** Members in the order in which they submit this vote. */
function inTurn(): TestNode[] {
  const order = membersInOrder(testContext(nodes[0] as TestNode, chain).state().roster);
  const turn = Number(BigInt(voteDigest(network, vote)) % BigInt(order.length));
  return order.map((_, index) => {
    const account = order[(turn + index) % order.length]?.account;
    return nodes.find((node) => node.account === account) as TestNode;
  });
}

async function castBy(node: TestNode, receipts?: Vote['type'][]): Promise<Votes> {
  const votes = votesOf(node, receipts);
  for (const other of nodes) {
    if (other !== node) votes.receive(other.account, await messageOf(other));
  }
  await votes.cast(vote);
  return votes;
}

test('a vote is signed once, and sent to every other member', async () => {
  const votes = votesOf(nodes[0] as TestNode);
  await votes.cast(vote);
  await votes.cast(vote);
  expect(sent).toBe(nodes.length - 1);
});

test('a signature is sent again until layer 1 shows the result: one that was lost would keep a task in escrow [MEMB-34]', async () => {
  const votes = votesOf(nodes[0] as TestNode);
  await votes.cast(vote);
  await vi.advanceTimersByTimeAsync(13_000);
  expect(sent).toBe(3 * (nodes.length - 1));
  chain.mine({ ...chain.at, type: 'dispute-resolved', disputeId: toHex(disputeId), guilty: false });
  await vi.advanceTimersByTimeAsync(200_000);
  expect(sent).toBe(3 * (nodes.length - 1));
  expect(vi.getTimerCount()).toBe(0);
});

describe('the records of epochs that layer 1 has not taken [MEMB-35]', () => {
  const recordOf = (epoch: number): Vote => ({
    type: 'EpochRecord',
    epoch,
    seed: disputeId,
    rosterRoot: disputeId,
    attestationRoot: disputeId,
    creditRoot: disputeId,
    admissions: 0,
    evictions: 0,
    policyVersion: 1,
    boundaryBlock: 10 * epoch,
  });
  const sign = (node: TestNode, of: Vote) => node.signer.signTypedData(voteTypedData(network, of));

  test('go there in their order, whichever has its signatures first: of one that is passed over nothing can be redone', async () => {
    const taken: number[] = [];
    const [self, ...others] = nodes as [TestNode, ...TestNode[]];
    const ledger: Ledger = {
      ...chain.ledgerOf(self),
      submitVote: async (of) => {
        if (of.type === 'EpochRecord') taken.push(of.epoch);
        if (of.type === 'EpochRecord') chain.mine({ ...chain.at, type: 'epoch', epoch: of.epoch });
        return { txHash: '0x', block: 1, gasUsed: 1 };
      },
    };
    const overlay = overlayOf(async () => new Uint8Array(0));
    const votes = new Votes(testContext(self, chain, { ledger, overlay: () => overlay }), () => undefined);
    open.push(votes);
    for (const epoch of [2, 3]) await votes.cast(recordOf(epoch));
    for (const epoch of [3, 2]) {
      for (const other of others) {
        const of = recordOf(epoch);
        const digest = fromHex(voteDigest(network, of));
        votes.receive(other.account, voteMessageCodec.encode({ digest, signature: await sign(other, of) }));
      }
      await vi.advanceTimersByTimeAsync(30_000);
      expect(taken).toEqual(epoch === 3 ? [] : [2, 3]);
    }
  });
});

describe('a vote of an earlier life', () => {
  const { record } = testNode('newcomer');
  const admitted = (): LedgerEvent => ({ ...chain.at, type: 'node-admitted', record, credit: 10, weight: 1 });

  test('on the admission of a member that had left is cast: its first admission was another vote’s', async () => {
    chain.mine(admitted());
    chain.mineTo(25);
    const votes = votesOf(nodes[0] as TestNode);
    const again: Vote = { type: 'Admission', record, epoch: chain.history.epochOf(25) };
    await votes.recast(again);
    expect(sent).toBe(nodes.length - 1);
    chain.mine(admitted());
    await vi.advanceTimersByTimeAsync(200_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('on an admission is given up when its certificate is too old for layer 1 [MEMB-15]', async () => {
    const epoch = 2;
    const votes = votesOf(nodes[0] as TestNode);
    chain.mine({ ...chain.at, type: 'epoch', epoch: epoch + ADMISSION_EPOCHS });
    await votes.recast({ type: 'Admission', record, epoch });
    expect(sent).toBe(nodes.length - 1);
    chain.mine({ ...chain.at, type: 'epoch', epoch: epoch + ADMISSION_EPOCHS + 1 });
    await vi.advanceTimersByTimeAsync(200_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that layer 1 has taken is not cast once more, whatever came after it', async () => {
    const evidenceDigest = sha256();
    chain.mineTo(11);
    chain.mine(admitted());
    chain.mineTo(25);
    chain.mine({ ...chain.at, type: 'node-evicted', account: record.account, reason: 1 });
    const votes = votesOf(nodes[0] as TestNode);
    await votes.recast({ type: 'Admission', record, epoch: chain.history.epochOf(11) });
    await votes.recast({
      type: 'Eviction',
      account: record.account,
      epoch: chain.history.epochOf(11),
      evidenceDigest,
      reason: 1,
    });
    expect(sent).toBe(0);
  });
});

describe('a certificate [MEMB-34]', () => {
  test('needs more than two thirds of the weight that layer 1 gives', async () => {
    const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
    const votes = votesOf(one);
    await votes.cast(vote);
    votes.receive('two', await messageOf(two));
    expect(await votes.certificate(vote)).toBeUndefined();
    const weight = (account: string, value: number) =>
      ({ ...chain.at, type: 'weight', account, credit: value * value, weight: value }) as const;
    chain.mine(weight(one.account, 30), weight(two.account, 30));
    expect(await votes.certificate(vote)).toHaveLength(2);
    chain.mine(weight(one.account, 1), weight(two.account, 1));
    votes.receive('three', await messageOf(three));
    expect(await votes.certificate(vote)).toBeUndefined();
  });

  test('holds no signature of who left, and is sorted by signer', async () => {
    const votes = await castBy(nodes[0] as TestNode);
    const gone = nodes[3] as TestNode;
    chain.mine({ ...chain.at, type: 'node-evicted', account: gone.account, reason: 1 });
    const staying = nodes.slice(0, 3).sort((a, b) => (a.account < b.account ? -1 : 1));
    expect(await votes.certificate(vote)).toEqual(await Promise.all(staying.map(signatureOf)));
  });

  test('is not lost to a peer that floods this node with signatures of votes that nobody casts', async () => {
    const [one, two, three, flooder] = nodes as [TestNode, TestNode, TestNode, TestNode];
    const votes = votesOf(one);
    votes.receive(two.account, await messageOf(two));
    votes.receive(three.account, await messageOf(three));
    for (let n = 0; n < 5_000; n++) {
      const other = sha256(Uint8Array.of(n, n >> 8));
      votes.receive(
        flooder.account,
        voteMessageCodec.encode({ digest: other, signature: `0x${'ab'.repeat(65)}` }),
      );
    }
    await votes.cast(vote);
    expect(await votes.certificate(vote)).toHaveLength(3);
  });
});

describe('members submit [MEMB-35]', () => {
  test('in turn: the first at once, the next only when layer 1 still shows nothing', async () => {
    const [first, second] = inTurn() as [TestNode, TestNode];
    const receipts: Vote['type'][] = [];
    await castBy(first, receipts);
    await castBy(second);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(submitted.map(({ by }) => by)).toEqual([first.account]);
    expect(receipts).toEqual(['DisputeVerdict']);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(submitted.map(({ by }) => by)).toEqual([first.account, second.account]);
  });

  test('nothing once layer 1 shows the result', async () => {
    const [first, second] = inTurn() as [TestNode, TestNode];
    await castBy(first);
    await castBy(second);
    await vi.advanceTimersByTimeAsync(500);
    const id = voteHex();
    chain.mine({ ...chain.at, type: 'dispute-resolved', disputeId: id, guilty: false });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(submitted).toHaveLength(1);
  });

  test('again when layer 1 refuses, and not for ever', async () => {
    refusals = 2;
    const [first] = inTurn() as [TestNode];
    await castBy(first);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(submitted).toHaveLength(1);
    refusals = Number.POSITIVE_INFINITY;
    await castBy(first);
    await vi.advanceTimersByTimeAsync(25 * 60 * 60_000);
    const left = vi.getTimerCount();
    expect(left).toBe(0);
  });

  test('as soon as the signatures suffice', async () => {
    const [first, ...others] = inTurn() as [TestNode, ...TestNode[]];
    const votes = votesOf(first);
    await votes.cast(vote);
    await vi.advanceTimersByTimeAsync(500);
    expect(submitted).toEqual([]);
    for (const other of others) votes.receive(other.account, await messageOf(other));
    await vi.advanceTimersByTimeAsync(500);
    expect(submitted).toHaveLength(1);
    expect(submitted[0]?.signatures).toHaveLength(3);
  });

  test('nothing after they were closed', async () => {
    const [, second] = inTurn() as [TestNode, TestNode];
    const votes = await castBy(second);
    votes.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(submitted).toEqual([]);
  });

  test('nothing when they are no members', async () => {
    await castBy(testNode('stranger'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(submitted).toEqual([]);
  });
});

function voteHex(): string {
  return Buffer.from(disputeId).toString('hex');
}
