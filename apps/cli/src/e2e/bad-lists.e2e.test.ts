import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'nemea-lists-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

/** Runs `nemea demo` with a list of B; resolves to how it ended and what it said. */
async function demo(listB: string): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, [MAIN, 'demo', '--list-b', listB, '--dir', join(dir, 'net')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, said };
}

test.each([
  ['is missing', 'LIST_MISSING', join(dir, 'nowhere.txt')],
  ['is a folder', 'LIST_MISSING', dir],
  ['is empty', 'LIST_EMPTY', file('empty.txt', '')],
  ['is not UTF-8', 'LIST_NOT_UTF8', file('latin1.txt', Uint8Array.of(0x5a, 0x6f, 0xeb, 0x0a))],
])('the demo ends with a code and starts nothing when a list %s [FAULT-15]', async (_what, code, list) => {
  const { code: exitCode, said } = await demo(list);
  expect(exitCode).toBe(1);
  expect(said).toContain(`nemea: ${code}: `);
  expect(said).not.toContain('unexpected error');
  expect(existsSync(join(dir, 'net', 'nodes'))).toBe(false);
  expect(JSON.parse(readFileSync(join(dir, 'net', 'processes.json'), 'utf8'))).toEqual([]);
});
