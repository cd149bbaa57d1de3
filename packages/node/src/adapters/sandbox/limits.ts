import type { SandboxRun } from '../../ports/sandbox.ts';
import { MEMORY_MIN_BYTES, PIDS_MIN } from './bundle.ts';
import { SandboxError } from './errors.ts';

const MIB = 1024 * 1024;
const CODE_BYTES_MAX = MIB;
const INPUTS_MAX = 64;
const INPUT_BYTES_MAX = 1024 * MIB;

const RANGES = {
  timeoutMs: [1, 24 * 60 * 60 * 1000],
  memoryBytes: [MEMORY_MIN_BYTES, 256 * 1024 * MIB],
  pids: [PIDS_MIN, 4096],
  outputBytes: [1, 1024 * MIB],
  stdoutBytes: [0, 1024 * MIB],
} as const;

/** Refuses a run that the container could not hold, or that could name something outside its place. */
export function checkRun(run: SandboxRun): void {
  require(/^[a-z0-9][a-z0-9-]{0,63}$/.test(
    run.runId,
  ), 'runId must be 1 to 64 lower-case letters, digits and dashes');
  require(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(
    run.entry,
  ), 'entry must be a function name of at most 64 ASCII characters');
  require(run.code.length <=
    CODE_BYTES_MAX, `code is too large: got ${run.code.length}, want at most ${CODE_BYTES_MAX}`);
  require(run.inputs.length <=
    INPUTS_MAX, `too many inputs: got ${run.inputs.length}, want at most ${INPUTS_MAX}`);
  const inputBytes = run.inputs.reduce((sum, input) => sum + input.length, 0);
  require(inputBytes <=
    INPUT_BYTES_MAX, `inputs are too large: got ${inputBytes}, want at most ${INPUT_BYTES_MAX}`);
  for (const name of Object.keys(RANGES) as (keyof typeof RANGES)[]) {
    const [least, most] = RANGES[name];
    const value = run.limits[name];
    require(Number.isSafeInteger(value) &&
      value >= least &&
      value <= most, `${name} is out of range: got ${value}, want ${least} to ${most}`);
  }
}

function require(isRight: boolean, message: string): void {
  if (!isRight) throw new SandboxError('SANDBOX_RUN_INVALID', message);
}
