/**
 * Runs a function that nobody on this machine has reason to trust, on private inputs, so that nothing of it stays
 * behind: no network, RAM-only storage, hard limits, one container per run.
 *
 * The phases are separate calls, in this order, because the protocol speaks between them:
 * snapshot, open, start, wait, wipe, snapshot (protocols, section 12).
 */

export interface SandboxLimits {
  /** Wall-clock time from `start`; the run is killed when it is over. */
  readonly timeoutMs: number;
  /** Everything the run holds in RAM: processes, scratch files and outputs. */
  readonly memoryBytes: number;
  readonly pids: number;
  /** All result files together. */
  readonly outputBytes: number;
  /** Standard output and error together; they are counted and thrown away. */
  readonly stdoutBytes: number;
}

export interface SandboxRun {
  /** Lower-case letters, digits and dashes, at most 64. */
  readonly runId: string;
  /** SHA-256 of an image given to `loadImage` before. */
  readonly imageDigest: Uint8Array;
  /** The code file of the task, for the Python image a module. */
  readonly code: Uint8Array;
  /** The function of the code file that is called. */
  readonly entry: string;
  readonly inputs: readonly Uint8Array[];
  readonly limits: SandboxLimits;
}

export interface SandboxUsage {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly memoryPeakBytes: number;
}

export type SandboxFailureCode =
  | 'EXIT_NONZERO'
  | 'KILLED'
  | 'OUT_OF_MEMORY'
  | 'OUTPUT_INVALID'
  | 'OUTPUT_TOO_LARGE'
  | 'RUNTIME_FAILED'
  | 'STDOUT_TOO_LARGE'
  | 'TIMEOUT';

/** `detail` never holds a byte the program wrote: that may be private data. */
export type SandboxOutcome =
  | { readonly outcome: 'completed'; readonly outputs: readonly Uint8Array[]; readonly usage: SandboxUsage }
  | {
      readonly outcome: 'failed';
      readonly code: SandboxFailureCode;
      readonly detail: string;
      readonly usage: SandboxUsage;
    };

/** What a run was started with, for the record that verifiers check. */
export interface SandboxRecord {
  readonly imageDigest: Uint8Array;
  readonly codeDigest: Uint8Array;
  readonly seccompDigest: Uint8Array;
}

export interface SandboxSession {
  readonly record: SandboxRecord;
  /** Starts the container; the deadline counts from here. */
  start(): Promise<void>;
  /** The outcome, once every process of the run is gone. */
  wait(): Promise<SandboxOutcome>;
  /** Ends a run early; `wait` then tells `KILLED`. Without effect when it is over already. */
  kill(): Promise<void>;
  /** Overwrites inputs and outputs, then removes mounts, container and cgroups. Kills what still runs. Idempotent. */
  wipe(): Promise<void>;
}

export interface SnapshotItem {
  readonly name: string;
  readonly digest: Uint8Array;
}

/** The part of the machine's state that a run could leave something in. */
export interface MachineSnapshot {
  readonly digest: Uint8Array;
  readonly items: readonly SnapshotItem[];
}

export interface Sandbox {
  /** Mounts an image whose SHA-256 is the expected one; refuses any other file. */
  loadImage(file: string, expectedDigest: Uint8Array): Promise<{ digest: Uint8Array }>;
  /** Refused while a session is open: equal snapshots mean that the run between them left nothing. */
  snapshot(): Promise<MachineSnapshot>;
  /** Makes the RAM storage and writes code and inputs into it; starts nothing. One session at a time. */
  open(run: SandboxRun): Promise<SandboxSession>;
  /** Wipes an open session and unmounts the images. */
  close(): Promise<void>;
}
