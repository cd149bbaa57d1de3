import type { AttestationResult } from '@nemea/attestation';
import { CodedError, sha256, toHex } from '@nemea/core';
import {
  type Attestation,
  answerDigest,
  attestAlpha,
  attestOdds,
  CHALLENGE_COMMANDS,
  type ChallengeCommand,
  CREDIT_DRAW_MIN,
  challengeBinding,
  type Member,
  mayDraw,
  offenceOf,
  targetRing,
  targetsDrawn,
} from '@nemea/membership';
import { keccak256 } from 'viem';
import type { NodeContext } from '../context.ts';
import { peerIdOf } from '../peers/peer-id.ts';
import { sleep } from '../ports/clock.ts';
import { answerCodec, type Challenge, challengeCodec, PROTOCOLS } from '../protocol.ts';

/** How long a target may take: a busy hardware TPM signs in under a second, and queues. */
const ANSWER_TIMEOUT_MS = 4_000;

export class AttestorError extends CodedError<'ANSWER_SIGNATURE_INVALID' | 'NOT_A_MEMBER'> {}

/** A target's answer as the attestor judged it. */
export interface Attested {
  readonly result: AttestationResult;
  readonly evidence: Uint8Array;
  readonly stateDigest: Uint8Array;
  readonly nonce: Uint8Array;
  readonly binding: Uint8Array;
  readonly evidenceDigest: Uint8Array;
  readonly answerSignature: Uint8Array;
}

/**
 * The attestor's side of the twelve steps: asks a target that the VRF drew this node for, checks that the answer is
 * the target's and answers this very challenge, and judges it [ATT-9] [ATT-13].
 */
export async function challengeMember(
  context: NodeContext,
  target: Member,
  ask: {
    epoch: number;
    command: ChallengeCommand;
    proof: Uint8Array;
    task: Challenge['task'];
    /** What the quote must be bound to beside the challenge, once the target has claimed its state. */
    contextOf: (stateDigest: Uint8Array) => Uint8Array | undefined;
  },
): Promise<Attested> {
  const { ledger } = context;
  const nonce = context.random(32);
  const request = {
    epoch: ask.epoch,
    attestor: ledger.account,
    target: target.account,
    command: CHALLENGE_COMMANDS[ask.command],
    nonce,
    proofHash: keccak256(ask.proof, 'bytes'),
  };
  const signature = await ledger.signRequest(request);
  const challenge: Challenge = {
    epoch: ask.epoch,
    attestor: ledger.account,
    target: target.account,
    command: ask.command,
    nonce,
    proof: ask.proof,
    signature,
    task: ask.task,
  };
  const received = await context
    .overlay()
    .request(peerIdOf(target.peerKey), PROTOCOLS.challenge, challengeCodec.encode(challenge), {
      timeoutMs: ANSWER_TIMEOUT_MS,
    });
  const answer = answerCodec.parse(received);
  const bindingContext = ask.contextOf(answer.stateDigest);
  const binding = challengeBinding({
    epoch: ask.epoch,
    attestor: ledger.account,
    target: target.account,
    command: ask.command,
    ...(bindingContext === undefined ? {} : { context: bindingContext }),
  });
  const result = context.appraiseMember(target, answer.evidence, { challenge: nonce, binding });
  const evidenceDigest = sha256(answer.evidence);
  const digest = answerDigest({ binding, nonce, evidenceDigest });
  if (!context.verifySignature(target.peerKey, digest, answer.signature)) {
    throw new AttestorError('ANSWER_SIGNATURE_INVALID', `answer is not signed by ${target.account}`);
  }
  return {
    result,
    evidence: answer.evidence,
    stateDigest: answer.stateDigest,
    nonce,
    binding,
    evidenceDigest,
    answerSignature: answer.signature,
  };
}

/** Draws this node in an epoch, asks those it is drawn for, and reports once [ATT-8] [ATT-14]. */
export class Attestor {
  readonly #context: NodeContext;
  #epochLast = 0;
  #isBusy = false;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  /** Called when the ledger shows a new epoch. Runs at most once per epoch; resolves when its report is proposed. */
  async attestEpoch(epoch: number): Promise<void> {
    if (epoch <= this.#epochLast || this.#isBusy) return;
    this.#epochLast = epoch;
    // A machine that cannot keep up leaves an epoch out: late results would count for nothing and delay the next.
    this.#isBusy = true;
    try {
      await this.#attestTargets(epoch);
    } finally {
      this.#isBusy = false;
    }
  }

  async #attestTargets(epoch: number): Promise<void> {
    const context = this.#context;
    const self = context.self();
    const epochSeed = context.ledger.history.epochSeed(epoch);
    if (self === undefined || epochSeed === undefined || !mayDraw(self, epoch)) return;
    const draw = { networkId: context.ledger.networkId, epochSeed };
    const { beta, proof } = await context.tpm.vrfProve(attestAlpha(draw));
    const { roster } = context.state();
    const seat = { account: self.account, beta };
    const targets = targetsDrawn(targetRing(draw, roster, epoch), seat, attestOdds(roster, self));
    // All at one moment: whoever has seen the proof knows who else will be asked.
    await sleep(context.clock, momentOf(beta, context.ledger.network.epochMs));
    const asked = targets.map((target) => this.#attest(epoch, roster.get(target) as Member, proof));
    const attestations = (await Promise.all(asked)).filter((attestation) => attestation !== undefined);
    // An empty report counts, too: an epoch is closed once members that outweigh two thirds have reported.
    context.propose({ kind: 'attest', epoch, proof, attestations });
  }

  async #attest(epoch: number, target: Member, proof: Uint8Array): Promise<Attestation | undefined> {
    const context = this.#context;
    try {
      const attested = await challengeMember(context, target, {
        epoch,
        command: 'epoch',
        proof,
        task: null,
        contextOf: () => undefined,
      });
      this.#accuseIfGuilty(epoch, target, proof, attested);
      return {
        target: target.account,
        verdict: attested.result.verdict,
        quoteDigest: attested.result.quoteDigest,
        nonce: attested.nonce,
        evidenceDigest: attested.evidenceDigest,
        answerSignature: attested.answerSignature,
      };
    } catch (error) {
      // Silence costs the target liveness credit, not its deposit: there is nothing to accuse it of.
      const about = { target: target.account, epoch };
      if (error instanceof CodedError)
        context.logger.warn({ ...about, code: error.code }, 'target did not answer');
      else context.logger.error({ ...about, err: error }, 'this node failed to attest a target');
      return undefined;
    }
  }

  /**
   * Evidence that the target itself signed and that policy forbids goes before all members at once. What would cost the
   * target nothing stays here: members see evidence only when they must judge it (A5).
   */
  #accuseIfGuilty(epoch: number, target: Member, proof: Uint8Array, attested: Attested): void {
    if (attested.result.verdict !== 'contraindicated') return;
    const context = this.#context;
    const { history, networkId } = context.ledger;
    const offence = offenceOf(
      { networkId, ledger: history, atBlock: history.head },
      { target, epoch, ...attested },
    );
    context.logger.warn(
      { target: target.account, epoch, quote: toHex(attested.result.quoteDigest), offence },
      'evidence contradicts policy',
    );
    if (offence === 'none' || (offence === 'update-missed' && target.credit < CREDIT_DRAW_MIN)) return;
    context.propose({
      kind: 'accuse',
      epoch,
      target: target.account,
      proof,
      nonce: attested.nonce,
      evidence: attested.evidence,
      answerSignature: attested.answerSignature,
    });
  }
}

/** When within the epoch: from the draw itself, so nobody can foresee it, and early enough to be reported in time. */
function momentOf(beta: Uint8Array, epochMs: number): number {
  const fraction = ((beta[30] as number) << 8) | (beta[31] as number);
  return Math.floor((fraction / 65_536) * epochMs * 0.5);
}
