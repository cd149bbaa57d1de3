import { CodedError, errorCode, sha256, toHex } from '@nemea/core';
import {
  ATTESTORS_EXPECTED,
  answerDigest,
  attestAlpha,
  attestOutput,
  CHALLENGE_COMMANDS,
  challengeBinding,
  drawnFrom,
  type Member,
  mayDraw,
  offenceOf,
  phaseContext,
  provenBeta,
  type SignedEvidence,
} from '@nemea/membership';
import { recoverRequester } from '@nemea/sdk';
import { keccak256 } from 'viem';
import type { NodeContext } from '../context.ts';
import { peerIdOf } from '../peers/peer-id.ts';
import { answerCodec, type Challenge, challengeCodec } from '../protocol.ts';

/** Answers that one attestor may ask for with one draw: it needs one, retries give it a few. */
const ANSWERS_PER_DRAW = 4;
const DRAWS_REMEMBERED = 4_096;
const PHASE_TIMEOUT_MS = 3_500;
const DISPUTES_REMEMBERED = 1_024;

export type ChallengeErrorCode =
  | 'CHALLENGE_SENDER_MISMATCH'
  | 'CHALLENGE_SIGNATURE_INVALID'
  | 'CHALLENGE_EPOCH_WRONG'
  | 'CHALLENGE_TARGET_WRONG'
  | 'CHALLENGE_VRF_FALSE'
  | 'CHALLENGE_NOT_DRAWN'
  | 'CHALLENGE_TOO_OFTEN'
  | 'CHALLENGE_TASK_UNKNOWN'
  | 'CHALLENGE_TOO_EARLY';
export class ChallengeError extends CodedError<ChallengeErrorCode> {}

/** What the executor of a task answers for, by phase; undefined when this node runs no such task. */
export interface PhaseStates {
  stateDigest(
    taskId: Uint8Array,
    attempt: number,
    phase: 'before' | 'during' | 'after',
    timeoutMs: number,
  ): Promise<Uint8Array | undefined>;
  isVerifier(taskId: Uint8Array, attempt: number, account: string): boolean;
}

/**
 * The attested node's side of the twelve steps. Signature bad: drop. VRF false under a good signature: drop, and
 * report the signed request to layer 1. Otherwise a quote under the attestor's nonce, signed by the peer key [ATT-10] [ATT-12].
 */
export class Target {
  readonly #context: NodeContext;
  readonly #phases: PhaseStates;
  readonly #answers = new Map<string, number>();
  readonly #disputed = new Set<string>();

  constructor(context: NodeContext, phases: PhaseStates) {
    this.#context = context;
    this.#phases = phases;
  }

  async answer(peer: string, message: Uint8Array): Promise<Uint8Array> {
    const challenge = challengeCodec.parse(message);
    const attestor = this.#authenticateSender(peer, challenge);
    await this.#checkSignature(challenge);
    await this.#checkEpoch(challenge);
    await this.#checkDraw(attestor, challenge);
    this.#countAnswer(challenge);
    return this.#quote(challenge);
  }

  #authenticateSender(peer: string, challenge: Challenge): Member {
    const attestor = this.#context.state().roster.get(challenge.attestor);
    if (attestor === undefined || peerIdOf(attestor.peerKey) !== peer) {
      throw new ChallengeError('CHALLENGE_SENDER_MISMATCH', `peer ${peer} is not ${challenge.attestor}`);
    }
    if (challenge.target !== this.#context.ledger.account) {
      throw new ChallengeError('CHALLENGE_TARGET_WRONG', `challenge is for ${challenge.target}`);
    }
    return attestor;
  }

  async #checkSignature(challenge: Challenge): Promise<void> {
    const { ledger } = this.#context;
    let signer: string;
    try {
      signer = await recoverRequester(ledger.network, toRequest(challenge), challenge.signature);
    } catch (cause) {
      throw new ChallengeError('CHALLENGE_SIGNATURE_INVALID', 'request carries no valid signature', {
        cause,
      });
    }
    if (signer !== challenge.attestor) {
      throw new ChallengeError(
        'CHALLENGE_SIGNATURE_INVALID',
        `request is signed by ${signer}, want ${challenge.attestor}`,
      );
    }
  }

  async #checkEpoch(challenge: Challenge): Promise<void> {
    const { ledger } = this.#context;
    const { history } = ledger;
    // The attestor may have seen the epoch's first block a moment earlier.
    if (history.epochSeed(challenge.epoch) === undefined) await ledger.sync();
    const current = history.epochOf(history.head);
    // The attestor may see a block before or after this node does: one epoch either way.
    if (Math.abs(challenge.epoch - current) > 1 || history.epochSeed(challenge.epoch) === undefined) {
      throw new ChallengeError('CHALLENGE_EPOCH_WRONG', `epoch: got ${challenge.epoch}, want ${current}`);
    }
  }

  async #checkDraw(attestor: Member, challenge: Challenge): Promise<void> {
    const { task } = challenge;
    // A task named beside an epoch's command would be another draw each time, and so no limit.
    if (challenge.command === 'epoch' && task !== null) {
      throw new ChallengeError('CHALLENGE_TASK_UNKNOWN', 'an epoch request names a task');
    }
    if (challenge.command !== 'epoch') {
      if (task === null || !this.#phases.isVerifier(task.taskId, task.attempt, attestor.account)) {
        throw new ChallengeError('CHALLENGE_NOT_DRAWN', `${attestor.account} is no verifier of this task`);
      }
      return;
    }
    const { ledger } = this.#context;
    const epochSeed = ledger.history.epochSeed(challenge.epoch) as Uint8Array;
    const draw = { networkId: ledger.networkId, epochSeed };
    const beta = provenBeta(attestor, attestAlpha(draw), challenge.proof);
    const drawn =
      beta !== undefined &&
      mayDraw(attestor, challenge.epoch) &&
      drawnFrom(
        this.#context.state().roster,
        attestor,
        attestOutput(draw, beta, challenge.target),
        ATTESTORS_EXPECTED,
      );
    if (drawn) return;
    if (beta === undefined) await this.#dispute(challenge);
    throw beta === undefined
      ? new ChallengeError('CHALLENGE_VRF_FALSE', 'VRF proof does not verify')
      : new ChallengeError('CHALLENGE_NOT_DRAWN', 'VRF output draws nobody');
  }

  /** The request is signed by a member and its proof is false: layer 1 shall judge it. */
  async #dispute(challenge: Challenge): Promise<void> {
    const { ledger, logger } = this.#context;
    // One is enough to condemn, and every report costs this node gas.
    const key = `${challenge.attestor}:${challenge.epoch}`;
    if (this.#disputed.has(key)) return;
    this.#disputed.add(key);
    if (this.#disputed.size > DISPUTES_REMEMBERED)
      this.#disputed.delete(this.#disputed.values().next().value as string);
    try {
      const request = toRequest(challenge);
      const receipt = await ledger.submit('disputes', 'report', [
        {
          ...request,
          epoch: BigInt(request.epoch),
          nonce: hex(request.nonce),
          proofHash: hex(request.proofHash),
        },
        hex(challenge.proof),
        challenge.signature,
      ]);
      logger.warn(
        { attestor: challenge.attestor, tx: receipt.txHash },
        'false VRF proof reported to layer 1',
      );
    } catch (error) {
      logger.warn({ attestor: challenge.attestor, code: errorCode(error) }, 'dispute was not accepted');
    }
  }

  #countAnswer(challenge: Challenge): void {
    // A task's challenges follow from its own draw, however many tasks fall into one epoch.
    const { task } = challenge;
    const draw = task === null ? `epoch ${challenge.epoch}` : `task ${toHex(task.taskId)} ${task.attempt}`;
    const key = `${challenge.attestor}:${challenge.command}:${draw}`;
    const count = (this.#answers.get(key) ?? 0) + 1;
    if (count > ANSWERS_PER_DRAW) {
      throw new ChallengeError('CHALLENGE_TOO_OFTEN', `more than ${ANSWERS_PER_DRAW} requests for ${draw}`);
    }
    this.#answers.set(key, count);
    if (this.#answers.size > DRAWS_REMEMBERED)
      this.#answers.delete(this.#answers.keys().next().value as string);
  }

  async #quote(challenge: Challenge): Promise<Uint8Array> {
    const stateDigest = await this.#stateDigest(challenge);
    const binding = challengeBinding({
      epoch: challenge.epoch,
      attestor: challenge.attestor,
      target: challenge.target,
      command: challenge.command,
      ...(challenge.task === null ? {} : { context: phaseContext({ ...challenge.task, stateDigest }) }),
    });
    const evidence = await this.#context.collectEvidence(challenge.nonce, binding);
    if (challenge.command === 'epoch') {
      const { epoch, nonce } = challenge;
      this.#requireAgreed({ epoch, evidence, nonce, binding });
    }
    const evidenceDigest = sha256(evidence);
    const signature = this.#context.sign(answerDigest({ binding, nonce: challenge.nonce, evidenceDigest }));
    return answerCodec.encode({ evidence, stateDigest, signature });
  }

  /**
   * An accusation is judged as of a block that the members have agreed on, and the accuser may have none agreed on that is later than
   * the first of the epoch. Software that layer 1 approved since would look as if it never had: it is not shown before [MEMB-24].
   */
  #requireAgreed(answer: Omit<SignedEvidence, 'target'>): void {
    const { ledger, self, state } = this.#context;
    const target = self();
    if (target === undefined) return;
    const { history, networkId } = ledger;
    const agreedBlock = Math.max(state().ledgerBlock, history.epochBoundary(answer.epoch) ?? 0);
    const isContradicting = (atBlock: number): boolean =>
      offenceOf({ networkId, ledger: history, atBlock }, { target, ...answer }) === 'contradiction';
    if (isContradicting(agreedBlock) && !isContradicting(history.head))
      throw new ChallengeError(
        'CHALLENGE_TOO_EARLY',
        `this node's software was approved after block ${agreedBlock}, which members have agreed on`,
      );
  }

  async #stateDigest(challenge: Challenge): Promise<Uint8Array> {
    if (challenge.command === 'epoch' || challenge.task === null) return new Uint8Array(32);
    const { taskId, attempt } = challenge.task;
    const digest = await this.#phases.stateDigest(taskId, attempt, challenge.command, PHASE_TIMEOUT_MS);
    if (digest === undefined) {
      throw new ChallengeError('CHALLENGE_TASK_UNKNOWN', 'this node is in no such phase of this task');
    }
    return digest;
  }
}

function toRequest(challenge: Challenge) {
  return {
    epoch: challenge.epoch,
    attestor: challenge.attestor,
    target: challenge.target,
    command: CHALLENGE_COMMANDS[challenge.command],
    nonce: challenge.nonce,
    proofHash: keccak256(challenge.proof, 'bytes'),
  };
}

function hex(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString('hex')}`;
}
