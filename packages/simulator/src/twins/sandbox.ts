import { bytesEqual, CodedError, concatBytes, fromUtf8, hashDomain, sha256, toHex } from '@nemea/core';
import type {
  MachineSnapshot,
  Sandbox,
  SandboxOutcome,
  SandboxRecord,
  SandboxRun,
  SandboxSession,
  SnapshotItem,
} from '@nemea/node/ports';
import type { Kernel } from '../kernel/kernel.ts';
import type { Life } from './life.ts';

export class SandboxTwinError extends CodedError<
  | 'SANDBOX_BUSY'
  | 'SANDBOX_CLOSED'
  | 'SANDBOX_IMAGE_MISMATCH'
  | 'SANDBOX_IMAGE_UNKNOWN'
  | 'SANDBOX_ORDER'
  | 'SANDBOX_RUN_INVALID'
> {}

/** What a code file does with its inputs, and what that takes. */
export type Program = (inputs: readonly Uint8Array[]) => Computation;

export interface Computation {
  readonly takesMs: number;
  readonly memoryBytes?: number;
  readonly printsBytes?: number;
  /** Absent: the function raises an exception. */
  readonly outputs?: readonly Uint8Array[];
}

/** How a machine treats the runs on it; a good one is not slower than it says, and stays as it was. */
export interface SandboxCondition {
  /** How many times longer everything takes. */
  readonly slowness: number;
  /** A run leaves something behind on the machine. */
  readonly isLittering: boolean;
  /** The runtime fails in the middle of a run. */
  readonly isBreaking: boolean;
}

export interface SandboxTwinOptions {
  readonly kernel: Kernel;
  readonly life: Life;
  /** Digests of image files, by path. */
  readonly images: ReadonlyMap<string, Uint8Array>;
  /** What a code file does; undefined for bytes that are no program. */
  programOf(code: Uint8Array): Program | undefined;
  /** Asked once for each run. */
  condition(): SandboxCondition;
  /** Told of every run that nobody ended early. */
  onRun?(run: SandboxRun, outcome: SandboxOutcome): void;
}

const SNAPSHOT_MS = 30;
const OPEN_MS = 20;
const WIPE_MS = 10;
const SECCOMP_DIGEST = sha256(fromUtf8('system calls of a simulated machine'));

/** A machine that runs programs in virtual time: their limits hold, and what becomes of them follows from their inputs. */
export class SandboxTwin implements Sandbox {
  readonly #options: SandboxTwinOptions;
  readonly #images = new Map<string, Uint8Array>();
  readonly #litter: SnapshotItem[] = [];
  #session: SessionTwin | undefined;
  #isClosed = false;

  constructor(options: SandboxTwinOptions) {
    this.#options = options;
  }

  async loadImage(file: string, expectedDigest: Uint8Array): Promise<{ digest: Uint8Array }> {
    this.#requireIdle();
    const digest = this.#options.images.get(file);
    if (digest === undefined || !bytesEqual(digest, expectedDigest))
      throw new SandboxTwinError('SANDBOX_IMAGE_MISMATCH', `${file} is not the image that was expected`);
    this.#images.set(toHex(digest), digest);
    return { digest };
  }

  async snapshot(): Promise<MachineSnapshot> {
    this.#requireIdle();
    await this.#takes(SNAPSHOT_MS);
    const images = [...this.#images].map(([name, digest]) => ({ name, digest }));
    const items = [...images, ...this.#litter];
    const parts = items.flatMap(({ name, digest }) => [fromUtf8(name), digest]);
    return { digest: hashDomain('simulated machine', concatBytes(...parts)), items };
  }

  async open(run: SandboxRun): Promise<SandboxSession> {
    this.#requireIdle();
    checkRun(run);
    if (!this.#images.has(toHex(run.imageDigest)))
      throw new SandboxTwinError('SANDBOX_IMAGE_UNKNOWN', `no image ${toHex(run.imageDigest)} is loaded`);
    const condition = this.#options.condition();
    const program = this.#options.programOf(run.code);
    const session = new SessionTwin(run, program, {
      condition,
      later: (delayMs, task) => this.#options.kernel.after(delayMs, task),
      onEnd: (outcome) => this.#options.onRun?.(run, outcome),
      onWiped: async () => {
        await this.#takes(WIPE_MS);
        if (this.#session !== session) return;
        this.#session = undefined;
        if (condition.isLittering) this.#litter.push({ name: run.runId, digest: sha256(run.code) });
      },
    });
    this.#session = session;
    await this.#takes(OPEN_MS);
    return session;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    await this.#session?.wipe();
    this.#isClosed = true;
  }

  #takes(durationMs: number): Promise<void> {
    return this.#options.life.during(this.#options.kernel.sleep(durationMs));
  }

  #requireIdle(): void {
    if (this.#isClosed) throw new SandboxTwinError('SANDBOX_CLOSED', 'the sandbox is closed');
    if (this.#session !== undefined)
      throw new SandboxTwinError('SANDBOX_BUSY', 'a session is open: wipe it first');
  }
}

interface SessionPlace {
  readonly condition: SandboxCondition;
  /** Plans a task; returns what takes it back. */
  later(delayMs: number, task: () => void): () => void;
  onEnd(outcome: SandboxOutcome): void;
  onWiped(): Promise<void>;
}

class SessionTwin implements SandboxSession {
  readonly record: SandboxRecord;
  readonly #run: SandboxRun;
  readonly #program: Program | undefined;
  readonly #at: SessionPlace;
  readonly #ended = Promise.withResolvers<SandboxOutcome>();
  #phase: 'opened' | 'started' | 'wiped' = 'opened';
  #cancel: () => void = () => undefined;

  constructor(run: SandboxRun, program: Program | undefined, at: SessionPlace) {
    this.#run = { ...run, inputs: run.inputs.map((input) => input.slice()) };
    this.#program = program;
    this.#at = at;
    this.record = {
      imageDigest: run.imageDigest,
      codeDigest: sha256(run.code),
      seccompDigest: SECCOMP_DIGEST,
    };
  }

  async start(): Promise<void> {
    if (this.#phase !== 'opened') throw outOfOrder('start', this.#phase);
    this.#phase = 'started';
    const outcome = outcomeOf(this.#run, this.#program, this.#at.condition);
    this.#cancel = this.#at.later(outcome.usage.wallMs, () => {
      this.#at.onEnd(outcome);
      this.#ended.resolve(outcome);
    });
  }

  async wait(): Promise<SandboxOutcome> {
    if (this.#phase === 'opened') throw outOfOrder('wait', this.#phase);
    return this.#ended.promise;
  }

  async kill(): Promise<void> {
    this.#cancel();
    // Without effect when it is over already.
    this.#ended.resolve(failed('KILLED', 0));
  }

  async wipe(): Promise<void> {
    if (this.#phase === 'started') await this.kill();
    for (const input of this.#run.inputs) input.fill(0);
    if (this.#phase === 'wiped') return;
    this.#phase = 'wiped';
    await this.#at.onWiped();
  }
}

/** What becomes of a run that nobody ends early. */
function outcomeOf(
  { inputs, limits }: SandboxRun,
  program: Program | undefined,
  { slowness, isBreaking }: SandboxCondition,
): SandboxOutcome {
  const computation = program?.(inputs) ?? { takesMs: 1 };
  const { memoryBytes = 0, printsBytes = 0, outputs } = computation;
  const takesMs = computation.takesMs * slowness;
  if (isBreaking) return failed('RUNTIME_FAILED', Math.min(takesMs, limits.timeoutMs));
  if (memoryBytes > limits.memoryBytes) return failed('OUT_OF_MEMORY', 1);
  if (printsBytes > limits.stdoutBytes) return failed('STDOUT_TOO_LARGE', 1);
  if (takesMs >= limits.timeoutMs) return failed('TIMEOUT', limits.timeoutMs);
  if (outputs === undefined) return failed('EXIT_NONZERO', takesMs);
  const outputBytes = outputs.reduce((sum, output) => sum + output.length, 0);
  if (outputBytes > limits.outputBytes) return failed('OUTPUT_TOO_LARGE', takesMs);
  const kept = outputs.map((output) => output.slice());
  return { outcome: 'completed', outputs: kept, usage: usage(takesMs, memoryBytes) };
}

type Failure = Extract<SandboxOutcome, { outcome: 'failed' }>;

function failed(code: Failure['code'], wallMs: number): Failure {
  return { outcome: 'failed', code, detail: 'the simulated run was ended', usage: usage(wallMs, 0) };
}

function usage(wallMs: number, memoryPeakBytes: number): Failure['usage'] {
  return { wallMs, cpuMs: wallMs, memoryPeakBytes };
}

function checkRun({ runId, entry, limits }: SandboxRun): void {
  const { stdoutBytes, ...positive } = limits;
  const isRight =
    /^[a-z0-9][a-z0-9-]{0,63}$/.test(runId) &&
    /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(entry) &&
    Object.values(positive).every((limit) => Number.isSafeInteger(limit) && limit > 0) &&
    Number.isSafeInteger(stdoutBytes) &&
    stdoutBytes >= 0;
  if (!isRight) throw new SandboxTwinError('SANDBOX_RUN_INVALID', `run ${runId} is not as it must be`);
}

function outOfOrder(call: string, phase: string): SandboxTwinError {
  return new SandboxTwinError('SANDBOX_ORDER', `${call} is out of order: the session is ${phase}`);
}
