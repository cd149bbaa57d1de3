import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkInput } from './check.ts';
import { runTarget } from './run.ts';
import { loadTarget } from './targets/index.ts';

// The search ends at the first finding, within seconds; the limit is for a search that does not find.
const LIMIT = { seconds: 100, seed: 1, corpus: null, first: true } as const;

test.each([
  ['error', /toFixed/],
  ['time', /took \d+ ms/],
  ['memory', /allocated \d+ bytes/],
  ['codec', /encodes to other bytes/],
])('finds the planted fault: %s', async (name, message) => {
  const { findings } = await runTarget({ ...LIMIT, target: `planted/${name}` });
  expect(findings.map((finding) => finding.message)).toEqual([expect.stringMatching(message)]);
});

test('finds the planted loop without end, and keeps the input that it hangs on', async () => {
  const { findings } = await runTarget({ ...LIMIT, target: 'planted/loop', hangMs: 3000 });
  expect(findings.map(({ message }) => message)).toEqual(['hangs: no end within 3000 ms']);
  // Magic, its length, kind 3, and a body with a zero: running it here would hang.
  expect(Buffer.from(findings[0]?.input ?? []).toString('hex')).toMatch(/^4e454d41....0003/);
});

test('gives a minimized input that shows the fault again', async () => {
  const { findings } = await runTarget({ ...LIMIT, target: 'planted/error' });
  const input = findings[0]?.input ?? new Uint8Array(0);
  // Magic, length, kind and four bytes of body are needed.
  expect(input.length).toBeGreaterThanOrEqual(12);
  expect(input.length).toBeLessThan(16);
  expect(checkInput(await loadTarget('planted/error'), input)).toMatchObject({
    message: expect.stringContaining('toFixed'),
  });
});

test('reports no fault where there is none, and keeps what it learnt for the next run', async () => {
  const corpus = await mkdtemp(join(tmpdir(), 'fuzz-corpus-'));
  try {
    const options = { target: 'tpm/return-code', seconds: 2, seed: 1, corpus };
    const first = await runTarget(options);
    const second = await runTarget(options);
    expect([...first.findings, ...second.findings]).toEqual([]);
    expect(first.blocks).toBeGreaterThan(10);
    expect(second.corpus).toBeGreaterThanOrEqual(first.corpus);
  } finally {
    rmSync(corpus, { recursive: true });
  }
});
