import { beforeEach, describe, expect, test } from 'vitest';
import { contractAbis } from '../client/ledger.ts';
import { Lies } from './finding.ts';
import { reportOf, signVote, TestChain, type TestNode, testNode, txOf } from './testing.ts';
import { checkCertificate, decodeCall } from './vote-certificate.ts';

const [a, b, c, d, stranger] = [1, 2, 3, 4, 5].map(testNode) as [
  TestNode,
  TestNode,
  TestNode,
  TestNode,
  TestNode,
];
const VERDICT = { disputeId: `0x${'07'.repeat(32)}`, guilty: true } as const;
const TX = txOf('verdict');

let chain: TestChain;

beforeEach(() => {
  chain = new TestChain([a, b, c, d]);
});

/** Lies about a certificate by these members, with the event that its transaction left. */
async function liesAbout(
  signers: readonly TestNode[],
  message: object = VERDICT,
): Promise<readonly string[]> {
  const signatures = await signVote(signers, 'DisputeVerdict', message);
  return liesAboutSignatures(signatures);
}

async function liesAboutSignatures(signatures: readonly `0x${string}`[]): Promise<readonly string[]> {
  const mined = chain.call('disputes', TX, 'resolve', [VERDICT, signatures]);
  chain.mine({ ...chain.at(TX), type: 'dispute-resolved', disputeId: '07'.repeat(32), guilty: true });
  const lies = new Lies();
  const report = reportOf({});
  await checkCertificate({ report, ledger: chain.ledger }, lies, {
    type: 'DisputeVerdict',
    message: VERDICT,
    signatures,
    mined,
  });
  return lies.details;
}

describe('a quorum certificate', () => {
  test('of more than two thirds of the weight holds', async () => {
    expect(await liesAbout([a, b, c])).toEqual([]);
  });

  test('of less is a lie', async () => {
    expect(await liesAbout([a, b])).toEqual(['certificate weighs 20 of 40, want more than two thirds']);
  });

  test('of exactly two thirds is a lie', async () => {
    chain.mine({ ...chain.at(txOf('evict')), type: 'node-evicted', account: d.account, reason: 1 });
    expect(await liesAbout([a, b])).toEqual(['certificate weighs 20 of 30, want more than two thirds']);
  });

  test('counts weights as they were when layer 1 took it, not as they became', async () => {
    chain.mine({ ...chain.at(txOf('pay')), type: 'weight', account: a.account, credit: 3600, weight: 60 });
    expect(await liesAbout([a, b])).toEqual([]);
    chain.mine({ ...chain.at(txOf('cut')), type: 'weight', account: a.account, credit: 1, weight: 1 });
    expect(chain.history.votersBefore(TX)?.get(a.account)).toBe(60);
  });

  test('signed by a stranger is a lie, however many members signed beside', async () => {
    const lies = await liesAbout([a, b, c, stranger]);
    expect(lies).toEqual([`certificate is signed by ${stranger.account}, who had no vote`]);
  });

  test('signed by an evicted member is a lie', async () => {
    chain.mine({ ...chain.at(txOf('evict')), type: 'node-evicted', account: d.account, reason: 1 });
    expect(await liesAbout([a, b, c, d])).toEqual([`certificate is signed by ${d.account}, who had no vote`]);
  });

  test('that holds one signature twice is a lie', async () => {
    const [one, two] = (await signVote([a, b], 'DisputeVerdict', VERDICT)) as [`0x${string}`, `0x${string}`];
    expect(await liesAboutSignatures([one, two, two])).toContain('certificate counts a signer twice');
  });

  test('over another message is signed by nobody known', async () => {
    const lies = await liesAbout([a, b, c], { ...VERDICT, guilty: false });
    expect(lies.filter((lie) => lie.endsWith('who had no vote'))).toHaveLength(3);
  });

  test('with bytes that are no signature is a lie', async () => {
    const signatures = await signVote([a, b, c], 'DisputeVerdict', VERDICT);
    const lies = await liesAboutSignatures([...signatures, `0x${'00'.repeat(65)}`]);
    expect(lies).toContain('certificate holds bytes that are no signature');
  });

  test('whose transaction left no event is a lie', async () => {
    const signatures = await signVote([a, b, c], 'DisputeVerdict', VERDICT);
    const mined = chain.call('disputes', TX, 'resolve', [VERDICT, signatures]);
    const lies = new Lies();
    await checkCertificate({ report: reportOf({}), ledger: chain.ledger }, lies, {
      type: 'DisputeVerdict',
      message: VERDICT,
      signatures,
      mined,
    });
    expect(lies.details).toEqual([`transaction ${TX} left no event on layer 1`]);
  });
});

describe('before genesis is complete', () => {
  test('each genesis account weighs one, whatever is registered already', () => {
    const founding = new TestChain([a, b, c]);
    expect([...(founding.history.votersBefore(txOf(`admit ${c.account}`))?.values() ?? [])]).toEqual([
      1, 1, 1,
    ]);
  });
});

describe('calldata', () => {
  test('of another interface decodes to nothing', () => {
    const mined = chain.call('disputes', TX, 'resolve', [VERDICT, []]);
    expect(decodeCall(contractAbis.disputes, mined)?.functionName).toBe('resolve');
    expect(decodeCall(contractAbis.epochLog, mined)).toBeUndefined();
    expect(decodeCall(contractAbis.disputes, { ...mined, input: '0x' })).toBeUndefined();
    expect(decodeCall(contractAbis.disputes, { ...mined, input: mined.input.slice(0, 80) })).toBeUndefined();
  });
});
