import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { forgeCounts, type TestCounts, vitestCounts } from './test-counts.ts';

/**
 * Runs the TypeScript suite and the contract suite, the second even when the first failed, and closes with one line
 * that sums them: `N passed, N failed`. Arguments go to vitest (`npm test -- packages/vrf`) and leave the contracts out.
 */
const root = join(import.meta.dirname, '..');
const REPORT = '.nemea/test-report.json';

async function main(filters: readonly string[]): Promise<void> {
  const suites = [await runVitest(filters)];
  if (filters.length === 0) suites.push(await runForge());
  const passed = suites.reduce((sum, suite) => sum + suite.passed, 0);
  const failed = suites.reduce((sum, suite) => sum + suite.failed, 0);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

async function runVitest(filters: readonly string[]): Promise<TestCounts> {
  mkdirSync(join(root, '.nemea'), { recursive: true });
  rmSync(join(root, REPORT), { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
  const { code } = await run(['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...filters], 'inherit');
  return vitestCounts(readReport(), code);
}

async function runForge(): Promise<TestCounts> {
  const { code, stdout } = await run(['scripts/forge-test.ts'], 'pipe');
  return forgeCounts(stdout, code);
}

/** A suite that died before it wrote its report has none. */
function readReport(): string | undefined {
  try {
    return readFileSync(join(root, REPORT), 'utf8');
  } catch (error) {
    console.error(`no test report: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** Runs a script on this very Node; its output is shown as it comes, and kept when piped. */
async function run(args: string[], stdout: 'inherit' | 'pipe'): Promise<{ code: number; stdout: string }> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', stdout, 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    process.stdout.write(chunk);
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    // Ended by a signal: as good as failed.
    child.once('close', (exit) => resolve(exit ?? 1));
  });
  return { code, stdout: Buffer.concat(chunks).toString('utf8') };
}

await main(process.argv.slice(2));
