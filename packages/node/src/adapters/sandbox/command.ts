import { execFile } from 'node:child_process';
import { SandboxError } from './errors.ts';

const COMMAND_TIMEOUT_MS = 30_000;
const COMMAND_OUTPUT_BYTES = 256 * 1024;

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one of the machine's own tools to its end. Throws when it is missing or hangs; else tells the exit code. */
export function runCommand(command: string, args: readonly string[]): Promise<CommandResult> {
  const options = {
    timeout: COMMAND_TIMEOUT_MS,
    killSignal: 'SIGKILL' as const,
    maxBuffer: COMMAND_OUTPUT_BYTES,
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
  };
  return new Promise((resolve, reject) => {
    execFile(command, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve({ exitCode: 0, stdout, stderr });
      else if (typeof error.code === 'number') resolve({ exitCode: error.code, stdout, stderr });
      else
        reject(commandError(command, error.killed === true ? 'did not end in time' : 'cannot be run', error));
    });
  });
}

/** As `runCommand`, and throws when the command does not succeed. Only for commands that see no private data. */
export async function mustRun(command: string, args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runCommand(command, args);
  if (exitCode === 0) return stdout;
  const reason = stderr.trim().split('\n').at(-1) ?? '';
  throw new SandboxError(
    'SANDBOX_COMMAND_FAILED',
    `${command} ${args[0] ?? ''} exited with ${exitCode}: ${reason}`,
    {
      data: { command, exitCode },
    },
  );
}

function commandError(command: string, what: string, cause: unknown): SandboxError {
  return new SandboxError('SANDBOX_COMMAND_FAILED', `${command} ${what}`, { data: { command }, cause });
}
