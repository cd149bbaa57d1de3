import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  appraise,
  collectEvidence,
  encodeEvidence,
  parseEvidence,
  toAssuranceLevel,
} from '@nemea/attestation';
import { mintVerified, sha256, toHex } from '@nemea/core';
import {
  akPublicArea,
  answerDigest,
  applyOperation,
  attestAlpha,
  CHALLENGE_COMMANDS,
  challengeBinding,
  initialState,
  judgingPolicy,
  type Member,
} from '@nemea/membership';
import { NETWORK_ID } from '@nemea/membership/testing';
import { keccak256 } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { initDevice, openDevice, type TpmDevice } from '../adapters/device/device.ts';
import { recordOf } from '../admission/candidate.ts';
import type { NodeContext } from '../context.ts';
import { answerCodec, type Challenge, challengeCodec } from '../protocol.ts';
import { overlayOf, TestChain, type TestNode, testContext } from '../testing.ts';
import { type Attested, challengeMember } from './attestor.ts';
import { Target } from './target.ts';

// Real TPMs, keys, evidence and judging; only the wire and layer 1 are in memory, so that a liar can sit on them.
const EPOCH = 2;

let dir: string;
let [attestor, target]: TpmDevice[] = [];
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'nemea-challenge-'));
  [attestor, target] = await Promise.all(
    ['attestor', 'target'].map(async (name) => {
      const options = {
        dir: join(dir, name),
        name,
        caDir: join(dir, 'ca'),
        ports: { overlay: 1, reception: 2 },
      };
      await initDevice({ ...options, tpm: { kind: 'swtpm' } });
      return openDevice(options.dir);
    }),
  );
});
afterAll(async () => {
  await Promise.all([attestor?.close(), target?.close()]);
  rmSync(dir, { recursive: true, force: true });
});

let field: ReturnType<typeof openField>;
beforeEach(() => {
  field = openField(attestor as TpmDevice, target as TpmDevice);
});

/** The release of the one that is asked is approved in the block after `approvedAfter`; members have agreed on `agreedBlock`. */
function openField(asking: TpmDevice, asked: TpmDevice, { approvedAfter = 0, agreedBlock = 0 } = {}) {
  const [askingNode, askedNode] = [nodeOf(asking), nodeOf(asked)];
  const chain = new TestChain([askingNode, askedNode]);
  chain.mineTo(approvedAfter);
  chain.approve('release', asked.release.digest);
  chain.mineTo(25);
  const state = initialState(NETWORK_ID, chain.history);
  const member = state.roster.get(asked.account) as Member;
  const answering = new Target(contextOf(asked, askedNode, chain, { agreedBlock }), {
    stateDigest: async () => undefined,
    isVerifier: () => false,
  });
  return {
    chain,
    member,
    signRequest: chain.ledgerOf(askingNode).signRequest,
    answer: (message: Uint8Array, peer = asking.peerId) => answering.answer(peer, message),
    /** The attestor's side of one challenge, over a wire that may change what is answered. */
    ask: async (
      wire: (message: Uint8Array) => Promise<Uint8Array>,
      proof?: Uint8Array,
    ): Promise<Attested> => {
      const context = contextOf(asking, askingNode, chain, { wire });
      return challengeMember(context, member, {
        epoch: EPOCH,
        command: 'epoch',
        proof: proof ?? (await proofFor(asking, chain, EPOCH)),
        task: null,
        contextOf: () => undefined,
      });
    },
  };
}

function nodeOf(device: TpmDevice): TestNode {
  const madeByTheTpm = () => {
    throw new Error('quotes and proofs are made by the TPM here');
  };
  return {
    account: device.account,
    record: recordOf(device, { level: 1 }),
    sign: device.sign,
    signer: privateKeyToAccount(`0x${toHex(device.keys.accountKey)}`),
    signQuote: madeByTheTpm,
    prove: madeByTheTpm,
  };
}

async function proofFor(by: TpmDevice, chain: TestChain, epoch: number): Promise<Uint8Array> {
  const epochSeed = chain.history.epochSeed(epoch) as Uint8Array;
  const alpha = attestAlpha({ networkId: NETWORK_ID, epochSeed });
  return (await by.identity.vrfProve(alpha)).proof;
}

function evidenceOf(device: TpmDevice, challenge: Uint8Array, binding: Uint8Array): Promise<Uint8Array> {
  const { tpm, identity, measured } = device;
  return collectEvidence({ tpm, identity, log: measured, networkId: NETWORK_ID, challenge, binding }).then(
    encodeEvidence,
  );
}

function contextOf(
  device: TpmDevice,
  node: TestNode,
  chain: TestChain,
  options: { wire?: (message: Uint8Array) => Promise<Uint8Array>; agreedBlock?: number },
): NodeContext {
  const { wire, agreedBlock = 0 } = options;
  const state = { ...initialState(NETWORK_ID, chain.history), ledgerBlock: agreedBlock };
  return testContext(node, chain, {
    state: () => state,
    self: () => state.roster.get(node.account),
    tpm: device.identity,
    verifySignature: device.verifySignature,
    collectEvidence: (challenge, binding) => evidenceOf(device, challenge, binding),
    overlay: () =>
      overlayOf((_peer, _protocol, message) => wire?.(message) ?? Promise.reject(new Error('no wire'))),
    appraiseMember: (member, evidence, expected) =>
      appraise({
        evidence: parseEvidence(evidence),
        endorsements: {
          akPublic: akPublicArea(member.akX, member.akY),
          level: toAssuranceLevel(member.level),
        },
        referenceValues: {
          releases: chain.history.approvedReleases(chain.history.head),
          images: chain.history.approvedImages(chain.history.head),
        },
        policy: judgingPolicy,
        expected: { networkId: NETWORK_ID, ...expected },
        nowMs: 0,
      }),
  });
}

/** What an accusation of the target does once it is ordered, when members have agreed on one block and the accuser names another. */
function accuse(
  chain: TestChain,
  { agreedBlock, named, proof }: { agreedBlock: number; named: number; proof: Uint8Array },
  { evidence, nonce, answerSignature }: Attested,
): string {
  const [accuser, accused] = [attestor as TpmDevice, target as TpmDevice];
  const state = { ...initialState(NETWORK_ID, chain.history), ledgerBlock: agreedBlock };
  const anchor = { block: named, hash: chain.history.blockHash(named) as Uint8Array };
  const said = { epoch: EPOCH, target: accused.account, proof, nonce, evidence, answerSignature };
  const operation = mintVerified({
    author: accuser.account,
    anchor,
    body: { kind: 'accuse' as const, ...said },
  });
  const { effects } = applyOperation(state, operation, {
    ledger: chain.history,
    verifySignature: accused.verifySignature,
    consensusEpoch: 1,
  });
  for (const effect of effects) {
    if (effect.type === 'evicted') return effect.type;
    if (effect.type === 'rejected') return effect.code;
  }
  return 'nothing';
}

function bindingOf(challenge: Challenge): Uint8Array {
  const { epoch, attestor: from, target: to, command } = challenge;
  return challengeBinding({ epoch, attestor: from, target: to, command });
}

/** An answer over any evidence, signed by whoever lies. */
function signedBy(device: TpmDevice, challenge: Challenge, evidence: Uint8Array): Uint8Array {
  const evidenceDigest = sha256(evidence);
  const digest = answerDigest({ binding: bindingOf(challenge), nonce: challenge.nonce, evidenceDigest });
  return answerCodec.encode({ evidence, stateDigest: new Uint8Array(32), signature: device.sign(digest) });
}

function refusedClaims({ result }: Attested): string[] {
  return result.claims.filter(({ verdict }) => verdict === 'contraindicated').map(({ name }) => name);
}

describe('an attestor', () => {
  test('affirms a target that answers for itself, here and now [FAULT-11]', async () => {
    expect((await field.ask(field.answer)).result).toMatchObject({ verdict: 'affirming', authentic: true });
  });

  test('refuses an answer that was given to an earlier challenge [FAULT-11]', async () => {
    const answers: Uint8Array[] = [];
    await field.ask(async (message) => {
      answers.push(await field.answer(message));
      return answers[0] as Uint8Array;
    });
    await expect(field.ask(async () => answers[0] as Uint8Array)).rejects.toMatchObject({
      code: 'ANSWER_SIGNATURE_INVALID',
    });
  });

  test('refuses an answer that another key signed [FAULT-13]', async () => {
    const forged = field.ask(async (message) => {
      const { evidence } = answerCodec.parse(await field.answer(message));
      return signedBy(attestor as TpmDevice, challengeCodec.parse(message), evidence);
    });
    await expect(forged).rejects.toMatchObject({ code: 'ANSWER_SIGNATURE_INVALID' });
  });

  test('holds evidence of another machine against the target that signed for it [FAULT-12]', async () => {
    const attested = await field.ask(async (message) => {
      const challenge = challengeCodec.parse(message);
      const evidence = await evidenceOf(attestor as TpmDevice, challenge.nonce, bindingOf(challenge));
      return signedBy(target as TpmDevice, challenge, evidence);
    });
    expect(attested.result).toMatchObject({ verdict: 'contraindicated', authentic: false });
  });

  test('holds an old quote against the target that signs it as fresh [FAULT-11]', async () => {
    let old = new Uint8Array(0);
    await field.ask(async (message) => {
      const answer = await field.answer(message);
      old = new Uint8Array(answerCodec.parse(answer).evidence);
      return answer;
    });
    const attested = await field.ask(async (message) =>
      signedBy(target as TpmDevice, challengeCodec.parse(message), old),
    );
    expect(attested.result.verdict).toBe('contraindicated');
    expect(refusedClaims(attested)).toHaveLength(1);
  });
});

describe('a target', () => {
  test('does not show software that was approved after the block that members judge by, until they agree on a later one [MEMB-24]', async () => {
    const ask = async (agreedBlock: number) => {
      const { ask: challenge, answer } = openField(attestor as TpmDevice, target as TpmDevice, {
        approvedAfter: 23,
        agreedBlock,
      });
      return challenge(answer).then(
        ({ result }) => result.verdict,
        (error: { code: string }) => error.code,
      );
    };
    expect(await ask(0)).toBe('CHALLENGE_TOO_EARLY');
    expect(await ask(23)).toBe('CHALLENGE_TOO_EARLY');
    expect(await ask(24)).not.toBe('CHALLENGE_TOO_EARLY');
  });

  test('shows its evidence exactly when no accuser can have it evicted, whichever block that one names [MEMB-24]', async () => {
    const approvedAfter = 23;
    const openAt = (agreedBlock: number) =>
      openField(attestor as TpmDevice, target as TpmDevice, { approvedAfter, agreedBlock });
    const { chain, ask, answer } = openAt(25);
    const shown = await ask(answer);
    const proof = await proofFor(attestor as TpmDevice, chain, EPOCH);
    for (let agreedBlock = 19; agreedBlock <= 25; agreedBlock++) {
      const fates: string[] = [];
      for (let named = 20; named <= 25; named++)
        fates.push(accuse(chain, { agreedBlock, named, proof }, shown));
      const early = openAt(agreedBlock);
      const isShown = await early.ask(early.answer).then(
        () => true,
        () => false,
      );
      expect({ agreedBlock, isShown }).toEqual({ agreedBlock, isShown: !fates.includes('evicted') });
      // Both happen: early it would be evicted, later not.
      expect(isShown).toBe(agreedBlock > approvedAfter);
      expect(fates.at(-1)).toBe('EVIDENCE_NOT_CONTRADICTING');
    }
  });

  /** The attestor's own request, changed before it is sent; signed again when the change is the attestor's. */
  async function send(
    change: (challenge: Challenge) => Partial<Challenge>,
    signsAgain: boolean,
    peer?: string,
  ) {
    return field.ask(async (message) => {
      const honest = challengeCodec.parse(message);
      const changed = { ...honest, ...change(honest) };
      const { epoch, attestor: from, target: to, command, nonce, proof } = changed;
      const proofHash = keccak256(proof, 'bytes');
      const request = {
        epoch,
        attestor: from,
        target: to,
        command: CHALLENGE_COMMANDS[command],
        nonce,
        proofHash,
      };
      const signature = signsAgain ? await field.signRequest(request) : honest.signature;
      return field.answer(challengeCodec.encode({ ...changed, signature }), peer);
    });
  }

  test('drops a proof of another epoch and reports the signed request to layer 1, once [FAULT-10]', async () => {
    const proof = await proofFor(attestor as TpmDevice, field.chain, EPOCH - 1);
    for (let tries = 0; tries < 2; tries++) {
      await expect(field.ask(field.answer, proof)).rejects.toMatchObject({ code: 'CHALLENGE_VRF_FALSE' });
    }
    expect(field.chain.submitted).toHaveLength(1);
    expect(field.chain.submitted[0]).toMatchObject({
      contract: 'disputes',
      functionName: 'report',
      args: [
        { attestor: attestor?.account, target: target?.account, epoch: BigInt(EPOCH) },
        `0x${toHex(proof)}`,
        expect.any(String),
      ],
    });
  });

  test('drops what the attestor did not sign, and reports nobody for it [FAULT-14]', async () => {
    const proof = await proofFor(attestor as TpmDevice, field.chain, EPOCH - 1);
    await expect(send(() => ({ proof }), false)).rejects.toMatchObject({
      code: 'CHALLENGE_SIGNATURE_INVALID',
    });
    await expect(send(() => ({ nonce: new Uint8Array(32) }), false)).rejects.toMatchObject({
      code: 'CHALLENGE_SIGNATURE_INVALID',
    });
    expect(field.chain.submitted).toEqual([]);
  });

  test('answers no request of another epoch, for another node, or from another peer [FAULT-14]', async () => {
    await expect(send(() => ({ epoch: 0 }), true)).rejects.toMatchObject({ code: 'CHALLENGE_EPOCH_WRONG' });
    await expect(send(({ attestor: from }) => ({ target: from }), true)).rejects.toMatchObject({
      code: 'CHALLENGE_TARGET_WRONG',
    });
    await expect(send(() => ({}), true, target?.peerId)).rejects.toMatchObject({
      code: 'CHALLENGE_SENDER_MISMATCH',
    });
    expect(field.chain.submitted).toEqual([]);
  });
});
