import { appraise, LEVEL } from '@nemea/attestation';
import { appraisalOf, IMAGE, RELEASE } from '@nemea/attestation/testing';
import { CodedError, fromUtf8, sha256 } from '@nemea/core';
import {
  ATTESTORS_EXPECTED,
  answerDigest,
  attestAlpha,
  attestOutput,
  challengeBinding,
  drawnFrom,
  initialState,
  type MembershipState,
} from '@nemea/membership';
import { answerOf, NETWORK_ID } from '@nemea/membership/testing';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { peerIdOf } from '../peers/peer-id.ts';
import { answerCodec, challengeCodec } from '../protocol.ts';
import {
  network,
  overlayOf,
  TestChain,
  type TestNode,
  testContext,
  testNode,
  testNodes,
} from '../testing.ts';
import { Attestor } from './attestor.ts';

class SilentError extends CodedError<'SILENT'> {}

const EPOCH = 2;
const nodes = testNodes(8);
const [self] = nodes as [TestNode];
const evidence = fromUtf8('evidence');
const affirming = appraise(appraisalOf());
const contraindicated = appraise(appraisalOf({ log: [IMAGE] }));
let chain: TestChain;
let asked: TestNode[];

beforeEach(() => {
  chain = new TestChain(nodes);
  chain.mineTo(25);
  asked = [];
});

function drawnTargets(): TestNode[] {
  const { roster } = initialState(NETWORK_ID, chain.history);
  const epochSeed = chain.history.epochSeed(EPOCH) ?? new Uint8Array(32);
  const member = roster.get(self.account);
  if (member === undefined) return [];
  const draw = { networkId: NETWORK_ID, epochSeed };
  const { beta } = self.prove(attestAlpha(draw));
  return nodes.filter((target) => {
    const output = attestOutput(draw, beta, target.account);
    return target !== self && drawnFrom(roster, member, output, ATTESTORS_EXPECTED);
  });
}

const seat = () =>
  self.prove(attestAlpha({ networkId: NETWORK_ID, epochSeed: chain.history.epochSeed(EPOCH) as Uint8Array }));

type Answer = (target: TestNode, message: Uint8Array) => Uint8Array;

/** A target that answers what it is asked, signed with its peer key, or with that of somebody else. */
function answered(target: TestNode, message: Uint8Array, signer = target): Uint8Array {
  const challenge = challengeCodec.parse(message);
  const binding = challengeBinding({
    epoch: challenge.epoch,
    attestor: challenge.attestor,
    target: target.account,
    command: 'epoch',
  });
  const digest = answerDigest({ binding, nonce: challenge.nonce, evidenceDigest: sha256(evidence) });
  return answerCodec.encode({ evidence, stateDigest: new Uint8Array(32), signature: signer.sign(digest) });
}

function attestorOf(answer: Answer, result = affirming, node = self) {
  const overlay = overlayOf(async (peer, _protocol, message) => {
    const target = nodes.find((known) => peerIdOf(known.record.peerKey) === peer) as TestNode;
    asked.push(target);
    return answer(target, message);
  });
  // Moments lie within an epoch: in a short one nobody waits.
  const ledger = { ...chain.ledgerOf(node), network: { ...network, epochMs: 10 } };
  const context = testContext(node, chain, {
    ledger,
    overlay: () => overlay,
    appraiseMember: () => result,
  });
  return { attestor: new Attestor(context), context };
}

async function attest(attestor: Attestor, epoch = EPOCH): Promise<void> {
  await attestor.attestEpoch(epoch);
}

describe('in an epoch an attestor', () => {
  test('asks those whom its VRF draws, for one proof, and reports once [ATT-8] [ATT-14]', async () => {
    const { attestor, context } = attestorOf(answered);
    await attest(attestor);
    await attest(attestor);
    expect(asked.map(({ account }) => account).sort()).toEqual(
      drawnTargets()
        .map(({ account }) => account)
        .sort(),
    );
    expect(context.proposed).toMatchObject([{ kind: 'attest', epoch: EPOCH }]);
    const [report] = context.proposed;
    if (report?.kind !== 'attest') throw new Error('no report');
    expect(report.attestations.map(({ target }) => target).sort()).toEqual(
      drawnTargets()
        .map(({ account }) => account)
        .sort(),
    );
  });

  test('reports also when nobody answered [ATT-13] [ATT-14]', async () => {
    const { attestor, context } = attestorOf(() => {
      throw new SilentError('SILENT', 'no answer');
    });
    await attest(attestor);
    expect(context.proposed).toEqual([
      { kind: 'attest', epoch: EPOCH, proof: seat().proof, attestations: [] },
    ]);
  });

  test('logs its own fault as an error and not as the silence of a target [ATT-13]', async () => {
    const lines: { level: number; err?: { type: string } }[] = [];
    const logger = pino({}, { write: (line) => void lines.push(JSON.parse(line)) });
    const { attestor, context } = attestorOf(answered);
    const appraiseMember = () => {
      throw new TypeError('not a function');
    };
    Object.assign(context, { logger, appraiseMember });
    await attest(attestor);
    expect(lines).toHaveLength(drawnTargets().length);
    for (const { level, err } of lines) {
      expect([level, err?.type]).toEqual([pino.levels.values.error, 'TypeError']);
    }
    expect(context.proposed).toMatchObject([{ kind: 'attest', epoch: EPOCH, attestations: [] }]);
  });

  test('takes no answer that its target did not sign [ATT-13]', async () => {
    const { attestor, context } = attestorOf((target, message) =>
      answered(target, message, testNode('other')),
    );
    await attest(attestor);
    expect(context.proposed).toEqual([
      { kind: 'attest', epoch: EPOCH, proof: seat().proof, attestations: [] },
    ]);
  });

  test('accuses whoever signed evidence that policy forbids, before it reports [ATT-14]', async () => {
    const { attestor, context } = attestorOf(answered, contraindicated);
    await attest(attestor);
    const accused = context.proposed.filter((body) => body.kind === 'accuse');
    expect(accused).toHaveLength(drawnTargets().length);
    expect(accused[0]).toMatchObject({ epoch: EPOCH, evidence });
    expect(context.proposed.at(-1)).toMatchObject({ kind: 'attest' });
  });

  test('keeps to itself what shows withdrawn software while there is time to update [MEMB-37]', async () => {
    chain.approve('image', IMAGE.digest);
    chain.approve('release', RELEASE.digest);
    chain.approve('release', RELEASE.digest, false);
    chain.mineTo(EPOCH * 10 + 5);
    const outdated = (target: TestNode, message: Uint8Array): Uint8Array => {
      const { attestor, nonce } = challengeCodec.parse(message);
      const node = nodes.find(({ account }) => account === attestor) as TestNode;
      const { evidence, answerSignature } = answerOf(node, target, EPOCH, [RELEASE, IMAGE], nonce);
      return answerCodec.encode({ evidence, stateDigest: new Uint8Array(32), signature: answerSignature });
    };
    const { attestor, context } = attestorOf(outdated, contraindicated);
    await attest(attestor);
    expect(context.proposed.map(({ kind }) => kind)).toEqual(['attest']);
    const [report] = context.proposed;
    expect(report).toMatchObject({
      attestations: drawnTargets().map(() => ({ verdict: 'contraindicated' })),
    });
  });

  test('that is no member, or knows no seed, asks nobody', async () => {
    const outsider = attestorOf(answered, affirming, testNode('outsider'));
    await attest(outsider.attestor);
    const early = attestorOf(answered);
    await attest(early.attestor, EPOCH + 5);
    expect([asked, outsider.context.proposed, early.context.proposed]).toEqual([[], [], []]);
  });

  test('that was admitted in it may not draw, nor be drawn for', async () => {
    const state = initialState(NETWORK_ID, chain.history);
    const admit = (account: string): MembershipState => {
      const member = state.roster.get(account);
      if (member === undefined) throw new Error('no such member');
      return { ...state, roster: new Map(state.roster).set(account, { ...member, admittedEpoch: EPOCH }) };
    };
    const late = admit(self.account);
    const overlay = overlayOf(async () => {
      throw new SilentError('SILENT', 'nobody should be asked');
    });
    const context = testContext(self, chain, {
      overlay: () => overlay,
      state: () => late,
      self: () => late.roster.get(self.account),
    });
    await attest(new Attestor(context));
    expect(context.proposed).toEqual([]);
  });
});

test('the results that these tests hand out are a good and a bad one', () => {
  expect([affirming.verdict, contraindicated.verdict]).toEqual(['affirming', 'contraindicated']);
  expect(affirming.level).toBe(LEVEL.development);
});
