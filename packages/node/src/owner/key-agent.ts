import { appraise, findRun, parseEvidence, toAssuranceLevel } from '@nemea/attestation';
import {
  CapsuleError,
  encodeReleaseMessage,
  parseReleaseMessage,
  type ReleaseMessage,
  type ReleaseRefusal,
  type ReleaseRequest,
  releaseBinding,
  sealGrant,
} from '@nemea/capsule';
import { bytesEqual, CodedError, errorCode, toHex } from '@nemea/core';
import {
  akPublicArea,
  CONFIDENCE_NEW,
  judgingPolicy,
  type Member,
  type TaskOnLedger,
  taskDrawSeed,
  type Vote,
  verifiersNeeded,
} from '@nemea/membership';
import { type Ledger, recoverVoter } from '@nemea/sdk';
import type { Logger } from 'pino';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { authenticatePhaseResult } from '../tasks/phase-result.ts';
import { Nonces } from './nonces.ts';

/** A capsule whose key this device holds. */
export interface HeldCapsule {
  readonly capsuleId: Uint8Array;
  readonly policyContract: Uint8Array;
  /** Unwraps the file key in the device's TPM. The caller forgets it at once. */
  unwrapKey(): Promise<Uint8Array>;
}

export interface KeyAgentOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly logger: Logger;
  capsule(capsuleId: Uint8Array): HeldCapsule | undefined;
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** Runs remembered that were given a key. Forgotten, they bring their results as strangers do. */
const RUNS_MAX = 1_024;

/** A check that failed. The code travels, the detail stays in the owner's own log. */
class Refusal extends CodedError<ReleaseRefusal> {}

/**
 * The owner's always-on key store: releases a capsule's key to a run that the network elected, whose machine has just
 * proved its state, for a task that the owner's own contract permits. Whatever fails is refused with a code that says
 * which check, never what the owner's policy holds.
 */
export class KeyAgent {
  readonly #options: KeyAgentOptions;
  readonly #nonces: Nonces;
  readonly #runs = new Set<string>();

  constructor(options: KeyAgentOptions) {
    this.#options = options;
    this.#nonces = new Nonces(options.random);
  }

  async handle(peer: string, message: Uint8Array): Promise<Uint8Array> {
    return encodeReleaseMessage(await this.#answer(peer, message));
  }

  /** Whether this peer has proved itself to be a run of the task: it was given a key. */
  isRun(peer: string, taskId: Uint8Array): boolean {
    return this.#runs.has(runOf(peer, taskId));
  }

  async #answer(peer: string, message: Uint8Array): Promise<ReleaseMessage> {
    try {
      const request = parseReleaseMessage(message);
      if (request.kind === 'hello') return this.#giveNonce(request.taskId, request.capsuleId);
      if (request.kind === 'request') return await this.#release(peer, request);
      throw new Refusal('REQUEST_INVALID', `message of kind ${request.kind}`);
    } catch (error) {
      const code = refusalOf(error);
      this.#options.logger.warn(
        { code, detail: error instanceof Error ? error.message : '' },
        'key not released',
      );
      return { kind: 'refusal', code };
    }
  }

  #giveNonce(taskId: Uint8Array, capsuleId: Uint8Array): ReleaseMessage {
    if (this.#options.capsule(capsuleId) === undefined) {
      throw new Refusal('CAPSULE_UNKNOWN', `capsule ${toHex(capsuleId)} is not held here`);
    }
    return { kind: 'nonce', nonce: this.#nonces.give([taskId, capsuleId], this.#options.clock.elapsedMs()) };
  }

  /** The checks in order; the key is touched only after the last of them. */
  async #release(peer: string, request: ReleaseRequest): Promise<ReleaseMessage> {
    const { ledger, logger } = this.#options;
    const capsule = this.#takeNonce(request);
    await ledger.sync();
    const task = this.#checkTask(request);
    const executor = await this.#checkElection(request);
    this.#checkEvidence(request, task, executor);
    this.#checkVouchers(request, task, executor);
    await this.#checkPolicy(request, task, capsule);
    const fileKey = await capsule.unwrapKey();
    try {
      const grant = sealGrant(
        {
          taskId: request.taskId,
          capsuleId: request.capsuleId,
          attempt: request.attempt,
          runKey: request.runKey,
          policy: { chainId: ledger.network.chainId, contract: capsule.policyContract },
        },
        fileKey,
        this.#options.random,
      );
      logger.info(
        { capsule: toHex(request.capsuleId), task: toHex(request.taskId), executor: executor.account },
        'key released: elected, trusted, measured, vouched for and permitted',
      );
      this.#runs.add(runOf(peer, request.taskId));
      if (this.#runs.size > RUNS_MAX) this.#runs.delete(this.#runs.values().next().value as string);
      return grant;
    } finally {
      fileKey.fill(0);
    }
  }

  #takeNonce(request: ReleaseRequest): HeldCapsule {
    const fits = this.#nonces.take(
      request.nonce,
      [request.taskId, request.capsuleId],
      this.#options.clock.elapsedMs(),
    );
    if (!fits)
      throw new Refusal('NONCE_UNKNOWN', 'nonce was not given for this task and capsule, or is used up');
    const capsule = this.#options.capsule(request.capsuleId);
    if (capsule === undefined) throw new Refusal('CAPSULE_UNKNOWN', 'capsule is not held here');
    return capsule;
  }

  #checkTask(request: ReleaseRequest): TaskOnLedger {
    const { history } = this.#options.ledger;
    const task = history.task(request.taskId, history.head);
    if (task === undefined) throw new Refusal('TASK_INVALID', 'task is not on layer 1');
    if (history.isTaskClosed(request.taskId, history.head)) {
      throw new Refusal('TASK_INVALID', 'task is over: layer 1 has settled, failed or refunded it');
    }
    if (!task.capsuleIds.some((id) => bytesEqual(id, request.capsuleId))) {
      throw new Refusal('TASK_INVALID', 'task does not name this capsule');
    }
    return task;
  }

  /** The quorum's signatures, counted with the registry's weights, open the blinded commitment to this executor. */
  async #checkElection(request: ReleaseRequest): Promise<Member> {
    const { ledger } = this.#options;
    const taskId = toHex(request.taskId);
    const isPassedOver = ledger.history.events.some(
      (event) =>
        event.type === 'executor-committed' && event.taskId === taskId && event.attempt > request.attempt,
    );
    if (isPassedOver) throw new Refusal('ELECTION_INVALID', 'a later executor was elected for this task');
    const executor = `0x${toHex(request.executor)}`;
    const vote = {
      type: 'Election',
      taskId: request.taskId,
      attempt: request.attempt,
      executor,
      salt: request.salt,
    } as const;
    const weights = ledger.history.weights();
    if (request.election.length > weights.size) {
      throw new Refusal(
        'ELECTION_INVALID',
        `signatures: got ${request.election.length} of ${weights.size} members`,
      );
    }
    const signers = new Set<string>();
    for (const signature of request.election) {
      signers.add(await signerOf(ledger, vote, signature));
    }
    let total = 0;
    let signed = 0;
    for (const [account, weight] of weights) {
      total += weight;
      if (signers.has(account)) signed += weight;
    }
    if (signed * 3 <= total * 2) throw new Refusal('ELECTION_INVALID', `weight: got ${signed} of ${total}`);
    const member = memberOf(ledger, executor);
    if (member === undefined) throw new Refusal('ELECTION_INVALID', `${executor} is no member`);
    return member;
  }

  #checkEvidence(request: ReleaseRequest, task: TaskOnLedger, executor: Member): void {
    const { ledger } = this.#options;
    const evidence = parseEvidence(request.evidence);
    const result = appraise({
      evidence,
      endorsements: {
        akPublic: akPublicArea(executor.akX, executor.akY),
        level: toAssuranceLevel(executor.level),
      },
      referenceValues: {
        releases: ledger.history.approvedReleases(ledger.history.head),
        images: ledger.history.approvedImages(ledger.history.head),
      },
      policy: judgingPolicy,
      expected: {
        networkId: ledger.networkId,
        challenge: request.nonce,
        binding: releaseBinding(request),
      },
      nowMs: this.#options.clock.wallMs(),
    });
    if (result.verdict === 'contraindicated') {
      const reasons = result.claims
        .filter((claim) => claim.verdict !== 'affirming')
        .map((claim) => claim.reason);
      throw new Refusal('EVIDENCE_REFUSED', `evidence: ${reasons.join(', ')}`);
    }
    const { codeDigest, imageDigest, salt } = request.runOpening;
    const opensTask = bytesEqual(codeDigest, task.codeDigest) && bytesEqual(imageDigest, task.imageDigest);
    if (
      !opensTask ||
      findRun(evidence.log, { taskId: request.taskId, codeDigest, imageDigest, salt }) === null
    ) {
      throw new Refusal('RUN_NOT_MEASURED', 'the measured log holds no run of this code in this image');
    }
  }

  /** Drawn verifiers have seen the executor's state before the run; their signatures and draws are checked here. */
  #checkVouchers(request: ReleaseRequest, task: TaskOnLedger, executor: Member): void {
    const { ledger, verifySignature } = this.#options;
    const vouchers = new Set<string>();
    for (const bytes of request.results) {
      const result = authenticatePhaseResult({
        networkId: ledger.networkId,
        bytes,
        memberOf: (account) => memberOf(ledger, account),
        verifySignature,
        expected: {
          executor: executor.account,
          taskId: request.taskId,
          attempt: request.attempt,
          phase: 'before',
        },
        drawSeed: (startBlock) =>
          startBlock < task.createdBlock || (request.attempt === 1 && startBlock !== task.createdBlock)
            ? undefined
            : taskDrawSeed(ledger.history, startBlock),
      });
      if (result !== undefined && result.verdict !== 'contraindicated') vouchers.add(result.verifier);
    }
    const needed = verifiersNeeded(ledger.history.weights().size);
    if (vouchers.size < needed) {
      throw new Refusal('RESULTS_INSUFFICIENT', `verifiers: got ${vouchers.size}, want ${needed}`);
    }
  }

  /** The owner's own contract has the last word. */
  async #checkPolicy(request: ReleaseRequest, task: TaskOnLedger, capsule: HeldCapsule): Promise<void> {
    const code = await this.#options.ledger.readAt<number>(
      `0x${toHex(capsule.policyContract)}`,
      'releasePolicy',
      'check',
      [
        hex(request.capsuleId),
        hex(request.taskId),
        hex(task.codeDigest),
        hex(task.imageDigest),
        hex(request.executor),
      ],
    );
    if (Number(code) !== 0) throw new Refusal('POLICY_REFUSED', `release policy answered ${code}`);
  }
}

async function signerOf(ledger: Ledger, vote: Vote, signature: Uint8Array): Promise<string> {
  try {
    return await recoverVoter(ledger.network, vote, hex(signature));
  } catch (cause) {
    throw new Refusal('ELECTION_INVALID', 'a signature under the election recovers to nobody', { cause });
  }
}

/** A member as layer 1 knows it now. */
export function memberOf(ledger: Ledger, account: string): Member | undefined {
  if (!ledger.history.weights().has(account)) return undefined;
  const event = ledger.history.events.findLast(
    (candidate) => candidate.type === 'node-admitted' && candidate.record.account === account,
  );
  if (event?.type !== 'node-admitted') return undefined;
  return { ...event.record, credit: event.credit, admittedEpoch: 0, confidence: CONFIDENCE_NEW };
}

function refusalOf(error: unknown): ReleaseRefusal {
  if (error instanceof Refusal) return error.code;
  if (error instanceof CapsuleError) return 'REQUEST_INVALID';
  if (errorCode(error) === 'EVIDENCE_INVALID') return 'EVIDENCE_INVALID';
  if (errorCode(error) === 'MESSAGE_MALFORMED') return 'REQUEST_INVALID';
  return 'AGENT_FAILED';
}

function hex(bytes: Uint8Array): string {
  return `0x${toHex(bytes)}`;
}

function runOf(peer: string, taskId: Uint8Array): string {
  return `${peer} ${toHex(taskId)}`;
}
