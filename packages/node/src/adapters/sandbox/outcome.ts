import type { SandboxFailureCode, SandboxLimits, SandboxOutcome, SandboxUsage } from '../../ports/sandbox.ts';
import { collectResults } from './collect.ts';
import { readIfPresent } from './files.ts';

/** Why a run was ended from outside. */
export interface KillReason {
  readonly code: SandboxFailureCode;
  readonly detail: string;
}

export interface RunEnd {
  /** Of the program, handed on by the runtime; undefined when the runtime itself was killed. */
  readonly exitCode: number | undefined;
  /** Whether every process of the run is gone. */
  readonly isEmpty: boolean;
  readonly killReason: KillReason | undefined;
  readonly oomKills: number;
  readonly usage: SandboxUsage;
  readonly limits: SandboxLimits;
  readonly outDir: string;
  /** The runtime's log, out of the program's reach. */
  readonly logFile: string;
}

// The exit statuses of images/python/run.py. Others stay untold: the program could speak through them.
const EXIT_RESULT_NOT_WRITTEN = 84;
const EXIT_REASONS: Readonly<Record<number, string>> = {
  80: 'the code file does not load',
  81: 'the code file has no function of that name',
  82: 'the function raised an exception',
  83: 'the function returned something else than bytes or a list of bytes',
};

/** What came of a run. The first reason that applies is told, and none repeats anything the program wrote. */
export function judgeRun(end: RunEnd): SandboxOutcome {
  const failure = findFailure(end);
  if (failure !== undefined) return { outcome: 'failed', ...failure, usage: end.usage };
  const collected = collectResults(end.outDir, end.limits.outputBytes);
  if (collected.ok) return { outcome: 'completed', outputs: collected.outputs, usage: end.usage };
  return { outcome: 'failed', code: collected.code, detail: collected.detail, usage: end.usage };
}

function findFailure({
  exitCode,
  isEmpty,
  killReason,
  oomKills,
  limits,
  logFile,
}: RunEnd): KillReason | undefined {
  if (!isEmpty) return { code: 'RUNTIME_FAILED', detail: 'a process of the run could not be ended' };
  if (killReason !== undefined) return killReason;
  const runtimeError = findRuntimeError(logFile);
  if (runtimeError !== undefined) return { code: 'RUNTIME_FAILED', detail: runtimeError };
  if (exitCode === undefined) return { code: 'RUNTIME_FAILED', detail: 'the container runtime was killed' };
  if (exitCode === 0) return undefined;
  if (oomKills > 0) {
    return {
      code: 'OUT_OF_MEMORY',
      detail: `the program needed more than ${limits.memoryBytes} bytes of memory`,
    };
  }
  if (exitCode === EXIT_RESULT_NOT_WRITTEN) {
    return { code: 'OUTPUT_TOO_LARGE', detail: `the results exceed ${limits.outputBytes} bytes` };
  }
  return { code: 'EXIT_NONZERO', detail: EXIT_REASONS[exitCode] ?? 'the program ended with an error' };
}

function findRuntimeError(logFile: string): string | undefined {
  for (const line of (readIfPresent(logFile) ?? '').split('\n')) {
    if (!line.includes('"level":"error"')) continue;
    const { msg } = JSON.parse(line) as { msg?: unknown };
    return `the container runtime failed: ${String(msg).slice(0, 300)}`;
  }
  return undefined;
}
