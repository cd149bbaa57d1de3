import { runCommitment } from '@nemea/attestation';
import { IMAGE, RELEASE } from '@nemea/attestation/testing';
import {
  encodeReleaseMessage,
  generateReceiverKey,
  openGrant,
  parseReleaseMessage,
  type ReleaseMessage,
  type ReleaseRequest,
  releaseBinding,
} from '@nemea/capsule';
import { fromHex, fromUtf8, sha256, toHex } from '@nemea/core';
import { type TaskOnLedger, taskAlpha, taskDrawSeed } from '@nemea/membership';
import { evidenceOf, NETWORK_ID, verifySignature } from '@nemea/membership/testing';
import { voteTypedData } from '@nemea/sdk';
import { beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { systemRandom } from '../adapters/clock/system-random.ts';
import { phaseResultCodec, signedPhaseResultCodec } from '../protocol.ts';
import { phaseResultDigest } from '../tasks/phase-result.ts';
import { accountBytes, network, silent, TestChain, type TestNode, testNode, testNodes } from '../testing.ts';
import { KeyAgent } from './key-agent.ts';

const nodes = testNodes(4);
const [executor, one, two, three] = nodes as [TestNode, TestNode, TestNode, TestNode];
const owner = testNode('owner');
const capsuleId = sha256(fromUtf8('capsule'));
const fileKey = sha256(fromUtf8('file key'));
const salt = sha256(fromUtf8('election salt'));
const runSalt = sha256(fromUtf8('run salt'));
const policyContract = fromHex(network.contracts.releasePolicy);
const PERMITTED = 0;

let chain: TestChain;
let agent: KeyAgent;
let task: TaskOnLedger;
let unwrapped: number;
let runKey: Awaited<ReturnType<typeof generateReceiverKey>>;

beforeEach(async () => {
  chain = new TestChain(nodes);
  chain.approve('release', RELEASE.digest);
  chain.approve('image', IMAGE.digest);
  task = chain.addTask('one', { capsuleIds: [capsuleId], imageDigest: IMAGE.digest });
  chain.answers.set('check', PERMITTED);
  unwrapped = 0;
  runKey = generateReceiverKey();
  agent = new KeyAgent({
    clock: systemClock,
    random: systemRandom,
    ledger: chain.ledgerOf(owner),
    logger: silent,
    verifySignature,
    capsule: (id) =>
      toHex(id) !== toHex(capsuleId)
        ? undefined
        : {
            capsuleId,
            policyContract,
            unwrapKey: async () => {
              unwrapped++;
              return fileKey.slice();
            },
          },
  });
});

async function ask(message: ReleaseMessage): Promise<ReleaseMessage> {
  return parseReleaseMessage(await agent.handle('peer', encodeReleaseMessage(message)));
}

async function nonceFor(taskId = task.taskId, id = capsuleId): Promise<Uint8Array> {
  const answer = await ask({ kind: 'hello', taskId, capsuleId: id });
  if (answer.kind !== 'nonce') throw new Error(`no nonce: ${JSON.stringify(answer)}`);
  return answer.nonce;
}

async function election(signers: readonly TestNode[], attempt = 1, of = executor): Promise<Uint8Array[]> {
  const vote = { type: 'Election', taskId: task.taskId, attempt, executor: of.account, salt } as const;
  return Promise.all(
    signers.map(async ({ signer }) => fromHex(await signer.signTypedData(voteTypedData(network, vote)))),
  );
}

/** A verifier's signed word about the executor before the run. */
function voucher(
  verifier: TestNode,
  change: { proof?: Uint8Array; executor?: string; verdict?: 'contraindicated'; startBlock?: number } = {},
): Uint8Array {
  const epochSeed = taskDrawSeed(chain.history, task.createdBlock) as Uint8Array;
  const alpha = taskAlpha({ networkId: NETWORK_ID, epochSeed }, 'verify', task.taskId, 1);
  const result = phaseResultCodec.encode({
    verifier: verifier.account,
    executor: executor.account,
    taskId: task.taskId,
    attempt: 1,
    phase: 'before',
    verdict: 'affirming',
    quoteDigest: sha256(),
    proof: verifier.prove(alpha).proof,
    startBlock: task.createdBlock,
    ...change,
  });
  const signature = verifier.sign(phaseResultDigest(NETWORK_ID, result));
  return signedPhaseResultCodec.encode({ result, signature });
}

const opening = () => ({ codeDigest: task.codeDigest, imageDigest: task.imageDigest, salt: runSalt });
const runEvent = () => ({
  pcr: 14 as const,
  kind: 'run' as const,
  digest: runCommitment({ taskId: task.taskId, ...opening() }),
  name: 'run',
});

/** An honest request but for what is changed; the nonce is fresh unless one is given. */
async function request(change: Partial<ReleaseRequest> = {}, log = [RELEASE, IMAGE, runEvent()]) {
  const nonce = change.nonce ?? (await nonceFor());
  const binding = releaseBinding({ runKey: runKey.publicKey, taskId: task.taskId, capsuleId });
  return ask({
    kind: 'request',
    taskId: task.taskId,
    capsuleId,
    attempt: 1,
    executor: accountBytes(executor),
    salt,
    election: await election([one, two, three]),
    runKey: runKey.publicKey,
    nonce,
    evidence: evidenceOf(executor, { challenge: nonce, binding }, log),
    runOpening: opening(),
    results: [voucher(one), voucher(two)],
    ...change,
  });
}

const codeOf = (answer: ReleaseMessage) => (answer.kind === 'refusal' ? answer.code : answer.kind);

test('an elected, measured, trusted and permitted run gets the key, and nobody else can open the grant', async () => {
  expect(agent.isRun('peer', task.taskId)).toBe(false);
  const answer = await request();
  expect(agent.isRun('peer', task.taskId)).toBe(true);
  expect(agent.isRun('other', task.taskId) || agent.isRun('peer', capsuleId)).toBe(false);
  if (answer.kind !== 'grant') throw new Error(`refused: ${codeOf(answer)}`);
  const terms = {
    taskId: task.taskId,
    capsuleId,
    attempt: 1,
    runKey: runKey.publicKey,
    policy: { chainId: network.chainId, contract: policyContract },
  };
  expect(toHex(openGrant(terms, answer.stanza, runKey.privateKey))).toBe(toHex(fileKey));
  const other = generateReceiverKey();
  const { stanza } = answer;
  expect(() => openGrant(terms, stanza, other.privateKey)).toThrow();
});

describe('no key is unwrapped, and the refusal says which check failed:', () => {
  const refused = async (answer: Promise<ReleaseMessage>, code: string) => {
    expect(codeOf(await answer)).toBe(code);
    expect(unwrapped).toBe(0);
  };

  test('CAPSULE_UNKNOWN for one that is not held here', async () => {
    await refused(ask({ kind: 'hello', taskId: task.taskId, capsuleId: sha256() }), 'CAPSULE_UNKNOWN');
  });

  test('NONCE_UNKNOWN for a nonce that was made up, used up, or given for something else', async () => {
    await refused(request({ nonce: sha256(fromUtf8('made up')) }), 'NONCE_UNKNOWN');
    await refused(request({ nonce: await nonceFor(sha256()) }), 'NONCE_UNKNOWN');
    const nonce = await nonceFor();
    await request({ nonce, salt: sha256() });
    await refused(request({ nonce }), 'NONCE_UNKNOWN');
  });

  test('TASK_INVALID for a task that is unknown, names other capsules, or is over', async () => {
    const unknown = sha256(fromUtf8('unknown'));
    await refused(request({ taskId: unknown, nonce: await nonceFor(unknown) }), 'TASK_INVALID');
    const other = chain.addTask('other');
    await refused(request({ taskId: other.taskId, nonce: await nonceFor(other.taskId) }), 'TASK_INVALID');
    chain.mine({ ...chain.at, type: 'task-ended', taskId: toHex(task.taskId), reason: 0 });
    await refused(request(), 'TASK_INVALID');
  });

  test('ELECTION_INVALID without more than two thirds of the weight', async () => {
    await refused(request({ election: await election([one, two]) }), 'ELECTION_INVALID');
    await refused(request({ election: await election([one, one, one, one]) }), 'ELECTION_INVALID');
    const strangers = [testNode('x'), testNode('y')];
    await refused(request({ election: await election([one, two, ...strangers]) }), 'ELECTION_INVALID');
  });

  test('ELECTION_INVALID for another executor, salt or attempt than was elected', async () => {
    await refused(request({ executor: accountBytes(one) }), 'ELECTION_INVALID');
    await refused(request({ salt: sha256() }), 'ELECTION_INVALID');
    await refused(request({ attempt: 2 }), 'ELECTION_INVALID');
  });

  test('ELECTION_INVALID for bytes that are no signature, and for more of them than there are members', async () => {
    const good = await election([one, two, three]);
    await refused(request({ election: [...good, new Uint8Array(65)] }), 'ELECTION_INVALID');
    await refused(request({ election: [...good, ...good] }), 'ELECTION_INVALID');
  });

  test('ELECTION_INVALID for an executor that has been passed over, or is no member', async () => {
    const taskId = toHex(task.taskId);
    const gone = testNode('gone');
    const signed = await election([one, two, three], 1, gone);
    await refused(request({ executor: accountBytes(gone), election: signed }), 'ELECTION_INVALID');
    chain.mine({ ...chain.at, type: 'executor-committed', taskId, attempt: 2, commitment: '0x' });
    await refused(request(), 'ELECTION_INVALID');
  });

  test('EVIDENCE_INVALID for bytes that are no evidence', async () => {
    await refused(request({ evidence: fromUtf8('garbage') }), 'EVIDENCE_INVALID');
  });

  test('EVIDENCE_REFUSED for another machine, another challenge, another run key', async () => {
    const nonce = await nonceFor();
    const binding = releaseBinding({ runKey: runKey.publicKey, taskId: task.taskId, capsuleId });
    const log = [RELEASE, IMAGE, runEvent()];
    const evidence = evidenceOf(one, { challenge: nonce, binding }, log);
    await refused(request({ nonce, evidence }), 'EVIDENCE_REFUSED');
    const stale = evidenceOf(executor, { challenge: sha256(), binding }, log);
    await refused(request({ evidence: stale }), 'EVIDENCE_REFUSED');
    await refused(request({ runKey: generateReceiverKey().publicKey }), 'EVIDENCE_REFUSED');
  });

  test('EVIDENCE_REFUSED for software that layer 1 does not approve', async () => {
    chain.approve('release', RELEASE.digest, false);
    await refused(request(), 'EVIDENCE_REFUSED');
  });

  test('RUN_NOT_MEASURED when the log holds no such run, or one of other code', async () => {
    await refused(request({}, [RELEASE, IMAGE]), 'RUN_NOT_MEASURED');
    await refused(request({ runOpening: { ...opening(), salt: sha256() } }), 'RUN_NOT_MEASURED');
    await refused(request({ runOpening: { ...opening(), codeDigest: sha256() } }), 'RUN_NOT_MEASURED');
  });

  test('RESULTS_INSUFFICIENT with fewer than two verifiers who vouch', async () => {
    for (const results of [
      [],
      [voucher(one)],
      [voucher(one), voucher(one)],
      [voucher(one), voucher(executor)],
      [voucher(one), voucher(testNode('stranger'))],
      [voucher(one), voucher(two, { verdict: 'contraindicated' })],
      [voucher(one), voucher(two, { executor: three.account })],
      [voucher(one), voucher(two, { proof: Uint8Array.of(1) })],
      [voucher(one), voucher(two, { startBlock: 0 })],
      [voucher(one), voucher({ ...two, sign: one.sign })],
    ]) {
      await refused(request({ results }), 'RESULTS_INSUFFICIENT');
    }
  });

  test('POLICY_REFUSED when the owner’s contract does', async () => {
    chain.answers.set('check', 7);
    await refused(request(), 'POLICY_REFUSED');
  });

  test('REQUEST_INVALID for a message of another kind, and for what a verifier never signed', async () => {
    await refused(ask({ kind: 'nonce', nonce: sha256() }), 'REQUEST_INVALID');
    await refused(request({ results: [fromUtf8('garbage')] }), 'REQUEST_INVALID');
    expect(codeOf(parseReleaseMessage(await agent.handle('peer', Uint8Array.of(0xff))))).toBe(
      'REQUEST_INVALID',
    );
  });

  test('AGENT_FAILED when layer 1 does not answer', async () => {
    chain.answers.delete('check');
    await refused(request(), 'AGENT_FAILED');
  });
});
