import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseReport, type Report } from '@nemea/sdk';

const MAIN = fileURLToPath(new URL('../apps/cli/src/main.ts', import.meta.url));
const STDERR_CHARACTERS_KEPT = 4000;

/** Runs the demo as a user would, keeps its network up, and returns its report. */
export async function runDemo(dir: string): Promise<Report> {
  process.stderr.write('  the whole demo\n');
  const child = spawn(process.execPath, [MAIN, 'demo', '--json', '--keep', '--dir', dir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr = (stderr + data.toString()).slice(-STDERR_CHARACTERS_KEPT);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the demo ended with ${code}:\n${stderr}`);
  return parseReport(stdout.trim().split('\n').at(-1) ?? '');
}
