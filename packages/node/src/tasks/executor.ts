import { runCommitment } from '@nemea/attestation';
import { encodeCleanupCertificate, generateReceiverKey, parseTaskSpec, type TaskSpec } from '@nemea/capsule';
import { bytesEqual, errorCode, fromHex, hashDomain, sha256, toHex } from '@nemea/core';
import {
  certificateBinding,
  type Election,
  FAILURE_REASONS,
  type FailureReason,
  type Member,
  type Phase,
  type TaskOnLedger,
} from '@nemea/membership';
import type { NodeContext } from '../context.ts';
import { peerIdOf } from '../peers/peer-id.ts';
import type { CapsuleStore } from '../ports/block-store.ts';
import type { Sandbox, SandboxFailureCode } from '../ports/sandbox.ts';
import { PROTOCOLS, phaseNoticeCodec, signedPhaseResultCodec } from '../protocol.ts';
import { Owners, type SealedInput } from './owners.ts';
import type { RunPhases } from './phases.ts';
import { quorumOfAnswers } from './quorum-of-answers.ts';
import { type Run, RunError, wipe } from './run.ts';

const VERIFIERS_TIMEOUT_MS = 8_000;
/** What verifiers may take longer than two thirds of them: three phases of it must fit into the time of a run. */
const LATE_VERIFIERS_MS = 1_000;
const CERTIFICATE_TIMEOUT_MS = 5_000;
const STDOUT_BYTES_MAX = 1 << 20;

/** What the executor needs beside the node's context. */
export interface ExecutorPorts {
  readonly sandbox: Sandbox;
  readonly phases: RunPhases;
  /** Opens a store under a fresh identity, so that data owners meet the run and not the node. */
  openStore(): Promise<CapsuleStore>;
  /** The quorum's signatures under the election, once there are enough. */
  electionCertificate(taskId: Uint8Array, attempt: number, timeoutMs: number): Promise<readonly string[]>;
  /** Notes when a step of a run was done. */
  time(step: RunStep, taskId: Uint8Array): void;
}

/** `vouched`: verifiers have judged this machine; `released`: the data's owners have, and gave their keys. */
export type RunStep = 'fetched' | 'vouched' | 'released' | 'ran' | 'delivered';

/** What a run has before anything secret: `vouchers` are its verifiers' results of the first phase. */
interface Gathered {
  readonly code: Uint8Array;
  readonly inputs: readonly SealedInput[];
  readonly vouchers: readonly Uint8Array[];
}

/** Runs a task that this node was elected for, from the first quote to the clean machine. */
export class Executor {
  readonly #context: NodeContext;
  readonly #ports: ExecutorPorts;
  #running: Promise<void> = Promise.resolve();
  #isBusy = false;

  constructor(context: NodeContext, ports: ExecutorPorts) {
    this.#context = context;
    this.#ports = ports;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** One run at a time: the snapshots before and after can only be compared on a quiet machine. Never rejects. */
  execute(taskId: Uint8Array, attempt: number, election: Election): Promise<void> {
    this.#running = this.#running
      .then(async () => {
        this.#isBusy = true;
        await this.#execute(taskId, attempt, election);
      })
      .catch((error: unknown) => this.#giveUp(taskId, attempt, error))
      .catch((error: unknown) => {
        // The others see in time that nothing comes; the next run must not wait for it.
        this.#context.logger.error({ attempt, code: errorCode(error), err: error }, 'run not given up');
      })
      .finally(() => {
        this.#isBusy = false;
      });
    return this.#running;
  }

  #giveUp(taskId: Uint8Array, attempt: number, error: unknown): void {
    const reason: FailureReason = error instanceof RunError ? error.code : 'MACHINE_ERROR';
    this.#context.logger.warn(
      {
        task: toHex(taskId),
        attempt,
        reason,
        code: errorCode(error),
        detail: error instanceof Error ? error.message : '',
      },
      'run given up',
    );
    this.#context.propose({ kind: 'abandon', taskId, attempt, reason: FAILURE_REASONS[reason] });
  }

  async #execute(taskId: Uint8Array, attempt: number, election: Election): Promise<void> {
    const task = this.#context.ledger.history.task(taskId, this.#context.ledger.history.head);
    if (task === undefined) throw new RunError('SPEC_INVALID', 'task is not on layer 1');
    const spec = this.#readSpec(task);
    const store = await this.#ports.openStore();
    try {
      const run: Run = {
        task,
        spec,
        attempt,
        election,
        opening: {
          taskId,
          codeDigest: task.codeDigest,
          imageDigest: task.imageDigest,
          salt: this.#context.random(32),
        },
        store,
        runKey: generateReceiverKey(this.#context.random),
        startedAtMs: this.#context.clock.wallMs(),
      };
      const certificate = await this.#perform(run);
      this.#context.propose({ kind: 'complete', taskId, attempt, certificate });
    } finally {
      await store.close();
    }
  }

  /** The life of a run, in the order of the protocol (protocols, section 12). */
  async #perform(run: Run): Promise<Uint8Array> {
    const owners = new Owners(this.#context, run);
    const [code, inputs] = await Promise.all([owners.fetchCode(), owners.fetchInputs()]);
    this.#ports.time('fetched', run.task.taskId);
    const before = await this.#ports.sandbox.snapshot();
    await this.#measureRun(run);
    const quoteBefore = await this.#quote(run, 'before', before.digest);
    const vouchers = await this.#enterPhase(run, 'before', before.digest, null);
    this.#ports.time('vouched', run.task.taskId);
    const { outcome, results } = await this.#runSealed(run, owners, { code, inputs, vouchers });
    const after = await this.#ports.sandbox.snapshot();
    if (!bytesEqual(before.digest, after.digest)) {
      throw new RunError('CLEAN_UP_FAILED', 'the machine is not as it was before the run');
    }
    if (outcome.outcome === 'failed') throw new RunError(failureOf(outcome.code), outcome.detail);
    const certificate = encodeCleanupCertificate({
      version: 1,
      taskId: run.task.taskId,
      attempt: run.attempt,
      executor: fromHex(this.#context.ledger.account),
      codeDigest: run.task.codeDigest,
      imageDigest: run.task.imageDigest,
      outcome: { kind: 'completed' },
      results,
      snapshotBefore: before.digest,
      snapshotAfter: after.digest,
      quoteBefore,
      quoteAfter: await this.#quote(run, 'after', after.digest),
      startedAtMs: run.startedAtMs,
      finishedAtMs: this.#context.clock.wallMs(),
    });
    await this.#enterPhase(run, 'after', sha256(certificate), certificate);
    await owners.showCertificate(certificate);
    return certificate;
  }

  /** Keys, plain inputs and the container exist only inside this function. */
  async #runSealed(run: Run, owners: Owners, { code, inputs, vouchers }: Gathered) {
    const plain: Uint8Array[] = [];
    let session: Awaited<ReturnType<Sandbox['open']>> | undefined;
    try {
      const { taskId } = run.task;
      const election = await this.#ports.electionCertificate(taskId, run.attempt, CERTIFICATE_TIMEOUT_MS);
      plain.push(...(await owners.openInputs(inputs, { election, vouchers })));
      this.#ports.time('released', taskId);
      const { limits } = run.spec;
      session = await this.#ports.sandbox.open({
        runId: `run-${toHex(run.task.taskId).slice(0, 16)}-${run.attempt}`,
        imageDigest: run.task.imageDigest,
        code,
        entry: run.spec.entry,
        inputs: plain,
        limits: { ...limits, stdoutBytes: STDOUT_BYTES_MAX },
      });
      wipe(plain);
      await session.start();
      const running = hashDomain('nemea/running/1', run.task.taskId, session.record.seccompDigest);
      const [outcome] = await Promise.all([session.wait(), this.#enterPhase(run, 'during', running, null)]);
      this.#ports.time('ran', run.task.taskId);
      const results = outcome.outcome === 'completed' ? await owners.deliver(outcome.outputs) : [];
      this.#ports.time('delivered', run.task.taskId);
      return { outcome, results };
    } finally {
      wipe(plain);
      run.runKey.privateKey.fill(0);
      await session?.wipe();
    }
  }

  #readSpec(task: TaskOnLedger): TaskSpec {
    const { history } = this.#context.ledger;
    let spec: TaskSpec;
    try {
      spec = parseTaskSpec(task.spec);
    } catch (cause) {
      throw new RunError('SPEC_INVALID', `task document: ${errorCode(cause)}`, { cause });
    }
    const matches =
      bytesEqual(spec.code.digest, task.codeDigest) &&
      bytesEqual(spec.image.digest, task.imageDigest) &&
      spec.capsules.length === task.capsuleIds.length &&
      spec.capsules.every(({ id }, i) => bytesEqual(id, task.capsuleIds[i] ?? new Uint8Array(0)));
    if (!matches) throw new RunError('SPEC_INVALID', 'task document contradicts its record on layer 1');
    if (spec.connections.length > 0 || spec.devices.length > 0) {
      throw new RunError('SPEC_INVALID', 'this machine grants no connections and no devices');
    }
    if (!history.approvedImages(history.head).has(toHex(task.imageDigest))) {
      throw new RunError(
        'IMAGE_NOT_APPROVED',
        `image ${toHex(task.imageDigest)} is not approved in PolicyRegistry`,
      );
    }
    if (!history.approvedCodes(history.head).has(toHex(task.codeDigest))) {
      throw new RunError(
        'CODE_NOT_APPROVED',
        `code ${toHex(task.codeDigest)} is not approved in PolicyRegistry`,
      );
    }
    return spec;
  }

  /** From here the TPM tells what this machine is about to run, blinded to all but verifiers and key agents. */
  async #measureRun(run: Run): Promise<void> {
    await this.#context.measured.measure({ kind: 'run', digest: runCommitment(run.opening), name: 'run' });
  }

  /** The executor's own quotes in the certificate: anybody can check them later, nobody needs to be asked. */
  async #quote(
    run: Run,
    phase: Phase,
    stateDigest: Uint8Array,
  ): Promise<{ attest: Uint8Array; signature: Uint8Array }> {
    const binding = certificateBinding(run.task.taskId, run.attempt, phase, stateDigest);
    return this.#context.quote(run.task.taskId, binding);
  }

  /** Tells the verifiers that a phase began, answers their challenges, and collects their signed results. */
  async #enterPhase(
    run: Run,
    phase: Phase,
    stateDigest: Uint8Array,
    certificate: Uint8Array | null,
  ): Promise<Uint8Array[]> {
    const { taskId } = run.task;
    this.#ports.phases.begin(taskId, run.attempt, phase, stateDigest);
    const notice = phaseNoticeCodec.encode({
      taskId,
      attempt: run.attempt,
      phase,
      runSalt: run.opening.salt,
      certificate,
    });
    const { verifiers } = run.election;
    const enough = Math.ceil((verifiers.length * 2) / 3);
    const signed = await quorumOfAnswers(
      this.#context.clock,
      verifiers.map((account) => this.#notify(this.#context.state().roster.get(account), notice, phase)),
      { enough, graceMs: LATE_VERIFIERS_MS },
    );
    if (signed.length < enough) {
      throw new RunError(
        'VERIFICATION_FAILED',
        `${phase}: ${signed.length} of ${verifiers.length} verifiers answered`,
      );
    }
    return signed;
  }

  async #notify(
    verifier: Member | undefined,
    notice: Uint8Array,
    phase: Phase,
  ): Promise<Uint8Array | undefined> {
    if (verifier === undefined) return undefined;
    try {
      const answer = await this.#context
        .overlay()
        .request(peerIdOf(verifier.peerKey), PROTOCOLS.phase, notice, { timeoutMs: VERIFIERS_TIMEOUT_MS });
      signedPhaseResultCodec.parse(answer);
      return answer;
    } catch (error) {
      this.#context.logger.warn(
        { verifier: verifier.account, phase, code: errorCode(error) },
        'verifier did not answer',
      );
      return undefined;
    }
  }
}

function failureOf(code: SandboxFailureCode): FailureReason {
  switch (code) {
    case 'TIMEOUT':
      return 'TIMEOUT';
    case 'OUT_OF_MEMORY':
      return 'OUT_OF_MEMORY';
    case 'OUTPUT_INVALID':
    case 'OUTPUT_TOO_LARGE':
    case 'STDOUT_TOO_LARGE':
      return 'OUTPUT_INVALID';
    case 'EXIT_NONZERO':
    case 'KILLED':
      return 'CODE_FAILED';
    case 'RUNTIME_FAILED':
      return 'MACHINE_ERROR';
  }
}
