import { AttestationError } from '@nemea/attestation';
import { fromUtf8, sha256 } from '@nemea/core';
import {
  ATTESTORS_EXPECTED,
  answerDigest,
  attestAlpha,
  attestOutput,
  CHALLENGE_COMMANDS,
  challengeBinding,
  drawnFrom,
  initialState,
  phaseContext,
} from '@nemea/membership';
import { NETWORK_ID, verifySignature } from '@nemea/membership/testing';
import { requestTypedData } from '@nemea/sdk';
import { keccak256 } from 'viem';
import { beforeEach, describe, expect, test } from 'vitest';
import { peerIdOf } from '../peers/peer-id.ts';
import { answerCodec, type Challenge, challengeCodec } from '../protocol.ts';
import { network, TestChain, type TestNode, testContext, testNode, testNodes } from '../testing.ts';
import { ChallengeError, Target } from './target.ts';

const EPOCH = 2;
const nodes = testNodes(10);
const [self] = nodes as [TestNode];
const evidence = fromUtf8('evidence');
const taskId = sha256(fromUtf8('task'));
const phaseDigest = sha256(fromUtf8('state'));
let chain: TestChain;
let target: Target;

beforeEach(() => {
  chain = new TestChain(nodes);
  chain.mineTo(25);
  const verifier = nodes[1] as TestNode;
  target = new Target(testContext(self, chain, { collectEvidence: async () => evidence }), {
    isVerifier: (_task, attempt, account) => attempt === 1 && account === verifier.account,
    stateDigest: async (_task, _attempt, phase) => (phase === 'after' ? undefined : phaseDigest),
  });
});

function proofOf(attestor: TestNode, epoch = EPOCH): { beta: Uint8Array; proof: Uint8Array } {
  const epochSeed = chain.history.epochSeed(epoch) ?? new Uint8Array(32);
  return attestor.prove(attestAlpha({ networkId: NETWORK_ID, epochSeed }));
}

function attestors(isWanted: boolean): TestNode {
  const { roster } = initialState(NETWORK_ID, chain.history);
  const found = nodes.slice(1).find((node) => {
    const member = roster.get(node.account);
    const epochSeed = chain.history.epochSeed(EPOCH) ?? new Uint8Array(32);
    const output = attestOutput({ networkId: NETWORK_ID, epochSeed }, proofOf(node).beta, self.account);
    return member !== undefined && drawnFrom(roster, member, output, ATTESTORS_EXPECTED) === isWanted;
  });
  if (found === undefined) throw new Error('nobody is drawn so');
  return found;
}

async function challengeOf(
  attestor: TestNode,
  change: Partial<Challenge> = {},
  signer = attestor,
): Promise<Uint8Array> {
  const challenge = {
    epoch: EPOCH,
    attestor: attestor.account,
    target: self.account,
    command: 'epoch' as const,
    nonce: sha256(fromUtf8('nonce')),
    proof: proofOf(attestor).proof,
    task: null,
    ...change,
  };
  const signature = await signer.signer.signTypedData(
    requestTypedData(network, {
      ...challenge,
      command: CHALLENGE_COMMANDS[challenge.command],
      proofHash: keccak256(challenge.proof, 'bytes'),
    }),
  );
  return challengeCodec.encode({ ...challenge, signature, ...('signature' in change ? change : {}) });
}

const peerOf = (node: TestNode) => peerIdOf(node.record.peerKey);

async function codeOf(attestor: TestNode, message: Uint8Array, peer = peerOf(attestor)): Promise<string> {
  try {
    await target.answer(peer, message);
    return 'answered';
  } catch (error) {
    if (error instanceof ChallengeError) return error.code;
    throw error;
  }
}

test('a drawn attestor gets evidence that the target signed for this challenge and no other [ATT-12]', async () => {
  const attestor = attestors(true);
  const answer = answerCodec.parse(await target.answer(peerOf(attestor), await challengeOf(attestor)));
  const digest = (epoch: number) =>
    answerDigest({
      binding: challengeBinding({
        epoch,
        attestor: attestor.account,
        target: self.account,
        command: 'epoch',
      }),
      nonce: sha256(fromUtf8('nonce')),
      evidenceDigest: sha256(evidence),
    });
  expect(verifySignature(self.record.peerKey, digest(EPOCH), answer.signature)).toBe(true);
  expect(verifySignature(self.record.peerKey, digest(EPOCH + 1), answer.signature)).toBe(false);
});

test('a verifier gets evidence bound to the phase and the state that is claimed in it [ATT-11]', async () => {
  const verifier = nodes[1] as TestNode;
  const task = { taskId, attempt: 1 };
  const message = await challengeOf(verifier, { command: 'before', task });
  const answer = answerCodec.parse(await target.answer(peerOf(verifier), message));
  expect(answer.stateDigest).toEqual(phaseDigest);
  const binding = challengeBinding({
    epoch: EPOCH,
    attestor: verifier.account,
    target: self.account,
    command: 'before',
    context: phaseContext({ ...task, stateDigest: phaseDigest }),
  });
  const digest = answerDigest({
    binding,
    nonce: sha256(fromUtf8('nonce')),
    evidenceDigest: sha256(evidence),
  });
  expect(verifySignature(self.record.peerKey, digest, answer.signature)).toBe(true);
});

describe('a challenge is dropped, with the reason as its code [ATT-10]:', () => {
  test('from another peer than it names, or from a stranger', async () => {
    const attestor = attestors(true);
    const message = await challengeOf(attestor);
    expect(await codeOf(attestor, message, peerOf(testNode('other')))).toBe('CHALLENGE_SENDER_MISMATCH');
    const stranger = testNode('stranger');
    expect(await codeOf(stranger, await challengeOf(stranger))).toBe('CHALLENGE_SENDER_MISMATCH');
  });

  test('for another target', async () => {
    const attestor = attestors(true);
    const message = await challengeOf(attestor, { target: attestor.account });
    expect(await codeOf(attestor, message)).toBe('CHALLENGE_TARGET_WRONG');
  });

  test('signed by another account, or by nobody [ATT-9]', async () => {
    const attestor = attestors(true);
    expect(await codeOf(attestor, await challengeOf(attestor, {}, testNode('other')))).toBe(
      'CHALLENGE_SIGNATURE_INVALID',
    );
    const unsigned = await challengeOf(attestor, { signature: `0x${'00'.repeat(65)}` });
    expect(await codeOf(attestor, unsigned)).toBe('CHALLENGE_SIGNATURE_INVALID');
    expect(chain.submitted).toEqual([]);
  });

  test('of an epoch that is past or to come', async () => {
    const attestor = attestors(true);
    for (const epoch of [0, 3, 9]) {
      expect(await codeOf(attestor, await challengeOf(attestor, { epoch }))).toBe('CHALLENGE_EPOCH_WRONG');
    }
  });

  test('without being drawn', async () => {
    const attestor = attestors(false);
    expect(await codeOf(attestor, await challengeOf(attestor))).toBe('CHALLENGE_NOT_DRAWN');
    expect(chain.submitted).toEqual([]);
  });

  test('with a false proof, which is reported to layer 1, once', async () => {
    const attestor = attestors(true);
    const { proof } = proofOf(attestor, EPOCH - 1);
    const message = await challengeOf(attestor, { proof });
    expect(await codeOf(attestor, message)).toBe('CHALLENGE_VRF_FALSE');
    expect(await codeOf(attestor, message)).toBe('CHALLENGE_VRF_FALSE');
    expect(chain.submitted).toMatchObject([{ contract: 'disputes', functionName: 'report' }]);
  });

  test('about a task that its sender does not verify, or that this node does not run', async () => {
    const [, verifier, other] = nodes as [TestNode, TestNode, TestNode];
    const task = { taskId, attempt: 1 };
    expect(await codeOf(other, await challengeOf(other, { command: 'before', task }))).toBe(
      'CHALLENGE_NOT_DRAWN',
    );
    expect(await codeOf(verifier, await challengeOf(verifier, { command: 'before' }))).toBe(
      'CHALLENGE_NOT_DRAWN',
    );
    expect(await codeOf(verifier, await challengeOf(verifier, { command: 'after', task }))).toBe(
      'CHALLENGE_TASK_UNKNOWN',
    );
  });

  test('more often than a draw allows; another task is another draw', async () => {
    const attestor = attestors(true);
    const message = await challengeOf(attestor);
    for (let time = 0; time < 4; time++) expect(await codeOf(attestor, message)).toBe('answered');
    expect(await codeOf(attestor, message)).toBe('CHALLENGE_TOO_OFTEN');
    const verifier = nodes[1] as TestNode;
    for (let n = 0; n < 6; n++) {
      const task = { taskId: sha256(Uint8Array.of(n)), attempt: 1 };
      expect(await codeOf(verifier, await challengeOf(verifier, { command: 'before', task }))).toBe(
        'answered',
      );
    }
  });
});

test('an evidence that cannot be had is an error of its own', async () => {
  const attestor = attestors(true);
  const broken = new Target(
    testContext(self, chain, {
      collectEvidence: () => Promise.reject(new AttestationError('EVIDENCE_INVALID', 'no TPM')),
    }),
    { isVerifier: () => false, stateDigest: async () => undefined },
  );
  await expect(broken.answer(peerOf(attestor), await challengeOf(attestor))).rejects.toThrow('no TPM');
});
