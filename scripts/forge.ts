import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

export const contractsDir = join(root, 'contracts');

/** See contracts/foundry.toml: the first two build the contracts, the others test what those built. */
export type ForgeProfile = 'default' | 'osaka' | 'test' | 'test-osaka';

/** Builds the contracts alone; tests have profiles of their own. */
export async function buildContracts(profile: 'default' | 'osaka'): Promise<void> {
  await runForge(['build', 'src', '--offline'], profile);
}

/** Runs forge in contracts/, passing its output on to stderr. Resolves with its stdout; throws on a non-zero exit. */
export async function runForge(args: readonly string[], profile: ForgeProfile): Promise<string> {
  const binary = join(root, 'node_modules', '@foundry-rs', `forge-${platform()}`, 'bin', 'forge');
  const child = spawn(binary, args, {
    cwd: contractsDir,
    // The compiler shim is a Node script that forge finds through PATH: give it this very Node.
    env: {
      ...process.env,
      FOUNDRY_PROFILE: profile,
      PATH: `${join(process.execPath, '..')}:${process.env.PATH ?? ''}`,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    process.stderr.write(chunk);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const output = Buffer.concat(chunks).toString('utf8');
  if (code !== 0) throw new ForgeFailedError(args, profile, code, output);
  return output;
}

export class ForgeFailedError extends Error {
  readonly output: string;

  constructor(args: readonly string[], profile: ForgeProfile, code: number | null, output: string) {
    super(`forge ${args.join(' ')} (profile ${profile}): got exit code ${code}, want 0`);
    this.name = 'ForgeFailedError';
    this.output = output;
  }
}

/** The name that npm packages of native tools use for this machine. */
export function platform(): string {
  return `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
}
