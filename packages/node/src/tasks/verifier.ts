import { findRun, parseEvidence, type Verdict } from '@nemea/attestation';
import { parseCleanupCertificate } from '@nemea/capsule';
import { bytesEqual, CodedError, errorCode, fromHex, sha256, toHex } from '@nemea/core';
import { type Member, type Phase, phaseContext, type TaskOnLedger } from '@nemea/membership';
import { type Attested, challengeMember } from '../attestation/attestor.ts';
import type { NodeContext } from '../context.ts';
import { peerIdOf } from '../peers/peer-id.ts';
import { type PhaseNotice, phaseNoticeCodec, phaseResultCodec, signedPhaseResultCodec } from '../protocol.ts';
import { phaseResultDigest } from './phase-result.ts';

export type VerifierErrorCode = 'NOTICE_UNEXPECTED' | 'NOTICE_SENDER_MISMATCH' | 'NOTICE_ORDER_WRONG';
export class VerifierError extends CodedError<VerifierErrorCode> {}

interface Seen {
  readonly phase: Phase;
  readonly verdict: Verdict;
  readonly quoteDigest: Uint8Array;
  readonly stateDigest: Uint8Array;
}

const RUNS_MAX = 64;
const ORDER: readonly Phase[] = ['before', 'during', 'after'];

/** Checks an executor that consensus drew this node for: challenges it in every phase, and reports what it saw. */
export class Verifier {
  readonly #context: NodeContext;
  readonly #proofOf: (taskId: Uint8Array, attempt: number) => Uint8Array | undefined;
  readonly #seen = new Map<string, Seen[]>();

  constructor(
    context: NodeContext,
    proofOf: (taskId: Uint8Array, attempt: number) => Uint8Array | undefined,
  ) {
    this.#context = context;
    this.#proofOf = proofOf;
  }

  /** The executor began a phase: challenge it now, and answer with a signed result that it may show to key agents. */
  async onNotice(peer: string, message: Uint8Array): Promise<Uint8Array> {
    const notice = phaseNoticeCodec.parse(message);
    const { executor, proof, task } = this.#authenticate(peer, notice);
    const key = `${toHex(notice.taskId)}:${notice.attempt}`;
    const seen = this.#seen.get(key) ?? [];
    if (ORDER[seen.length] !== notice.phase) {
      throw new VerifierError('NOTICE_ORDER_WRONG', `phase: got ${notice.phase}, want ${ORDER[seen.length]}`);
    }
    const { ledger } = this.#context;
    const attested = await challengeMember(this.#context, executor, {
      epoch: ledger.history.epochOf(ledger.history.head),
      command: notice.phase,
      proof,
      task: { taskId: notice.taskId, attempt: notice.attempt },
      contextOf: (stateDigest) =>
        phaseContext({ taskId: notice.taskId, attempt: notice.attempt, stateDigest }),
    });
    const verdict = this.#judge(notice, task, executor, attested, seen);
    seen.push({
      phase: notice.phase,
      verdict,
      quoteDigest: attested.result.quoteDigest,
      stateDigest: attested.stateDigest,
    });
    this.#seen.set(key, seen);
    if (this.#seen.size > RUNS_MAX) this.#seen.delete(this.#seen.keys().next().value as string);
    if (notice.phase === 'after') this.#report(notice, seen);
    return this.#sign(notice, executor.account, proof, verdict, attested.result.quoteDigest);
  }

  #authenticate(peer: string, notice: PhaseNotice) {
    const context = this.#context;
    const drawn = context.state().tasks.get(toHex(notice.taskId));
    const election = drawn?.attempt === notice.attempt ? drawn.election : undefined;
    const task = context.ledger.history.task(notice.taskId, context.ledger.history.head);
    const proof = this.#proofOf(notice.taskId, notice.attempt);
    const isDrawn = election?.verifiers.includes(context.ledger.account) === true;
    if (election === undefined || !isDrawn || task === undefined || proof === undefined) {
      throw new VerifierError('NOTICE_UNEXPECTED', 'this node verifies no such run');
    }
    const executor = context.state().roster.get(election.executor);
    if (executor === undefined || peerIdOf(executor.peerKey) !== peer) {
      throw new VerifierError('NOTICE_SENDER_MISMATCH', `peer ${peer} is not the executor`);
    }
    return { executor, proof, task };
  }

  /** The machine is trusted, it measured exactly this run, and afterwards it is as it was before. */
  #judge(
    notice: PhaseNotice,
    task: TaskOnLedger,
    executor: Member,
    attested: Attested,
    seen: readonly Seen[],
  ): Verdict {
    const { logger } = this.#context;
    const problems: string[] = [];
    if (attested.result.verdict === 'contraindicated') problems.push('evidence is contraindicated');
    const evidence = parseEvidence(attested.evidence);
    const run = findRun(evidence.log, {
      taskId: notice.taskId,
      codeDigest: task.codeDigest,
      imageDigest: task.imageDigest,
      salt: notice.runSalt,
    });
    if (run === null) problems.push('this run is not in the measured log');
    if (!evidence.log.some((event) => event.kind === 'image' && bytesEqual(event.digest, task.imageDigest))) {
      problems.push('the image of the task is not in the measured log');
    }
    if (notice.phase === 'after')
      problems.push(...certificateProblems(notice, task, executor, attested, seen));
    if (problems.length === 0) return attested.result.verdict;
    logger.warn({ task: toHex(notice.taskId), phase: notice.phase, problems }, 'executor does not pass');
    return 'contraindicated';
  }

  #sign(
    notice: PhaseNotice,
    executor: string,
    proof: Uint8Array,
    verdict: Verdict,
    quoteDigest: Uint8Array,
  ): Uint8Array {
    const { ledger } = this.#context;
    const result = phaseResultCodec.encode({
      verifier: ledger.account,
      executor,
      taskId: notice.taskId,
      attempt: notice.attempt,
      phase: notice.phase,
      verdict,
      quoteDigest,
      proof,
      startBlock: this.#context.state().tasks.get(toHex(notice.taskId))?.startBlock ?? 0,
    });
    const signature = this.#context.sign(phaseResultDigest(ledger.networkId, result));
    return signedPhaseResultCodec.encode({ result, signature });
  }

  #report(notice: PhaseNotice, seen: readonly Seen[]): void {
    this.#context.propose({
      kind: 'verify',
      taskId: notice.taskId,
      attempt: notice.attempt,
      certificateDigest: sha256(notice.certificate ?? new Uint8Array(0)),
      phases: seen.map(({ phase, verdict, quoteDigest }) => ({ phase, verdict, quoteDigest })),
    });
  }
}

function certificateProblems(
  notice: PhaseNotice,
  task: TaskOnLedger,
  executor: Member,
  attested: Attested,
  seen: readonly Seen[],
): string[] {
  if (notice.certificate === null) return ['no certificate was shown'];
  try {
    const certificate = parseCleanupCertificate(notice.certificate);
    const problems: string[] = [];
    if (!bytesEqual(attested.stateDigest, sha256(notice.certificate)))
      problems.push('the quote is over another certificate');
    if (!bytesEqual(certificate.taskId, notice.taskId)) problems.push('certificate of another task');
    if (certificate.attempt !== notice.attempt) problems.push('certificate of another attempt');
    if (!bytesEqual(certificate.executor, fromHex(executor.account)))
      problems.push('certificate of another executor');
    if (!bytesEqual(certificate.codeDigest, task.codeDigest)) problems.push('other code was run');
    if (!bytesEqual(certificate.imageDigest, task.imageDigest)) problems.push('another image was run');
    if (!bytesEqual(certificate.snapshotBefore, certificate.snapshotAfter))
      problems.push('the machine is not as before');
    const before = seen.find(({ phase }) => phase === 'before');
    if (before === undefined || !bytesEqual(before.stateDigest, certificate.snapshotBefore)) {
      problems.push('the state before was another one');
    }
    if (certificate.outcome.kind !== 'completed') problems.push('the run did not complete');
    return problems;
  } catch (error) {
    return [`certificate cannot be read: ${errorCode(error)}`];
  }
}
