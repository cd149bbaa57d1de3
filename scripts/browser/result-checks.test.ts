import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { otherResults, type ResultCase, type ResultVectors } from './result-checks.ts';

const file = new URL('../../vectors/attestation/results.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as ResultVectors;
const flipped = (hex: string, at: number): string =>
  hex.slice(0, at) + (hex[at] === '0' ? '1' : '0') + hex.slice(at + 1);

test('recorded results and EARs are made again byte by byte [ATT-5]', async () => {
  expect(await otherResults(vectors)).toEqual([]);
  expect(new Set(vectors.cases.map(({ verdict }) => verdict))).toEqual(
    new Set(['affirming', 'contraindicated']),
  );
});

test.each<[string, (recorded: ResultCase) => Partial<ResultCase>]>([
  ['result', ({ result }) => ({ result: flipped(result, 20) })],
  ['verdict', () => ({ verdict: 'warning' })],
  ['time', ({ nowMs }) => ({ nowMs: nowMs + 1 })],
  ['nonce', ({ nonce }) => ({ nonce: flipped(nonce, 0) })],
])('a case with another %s is named', async (_, change) => {
  const [first, ...rest] = vectors.cases as [ResultCase, ...ResultCase[]];
  const cases = [{ ...first, ...change(first) }, ...rest];
  expect(await otherResults({ ...vectors, cases })).toEqual([first.name]);
});

test('an EAR with another signature is refused', async () => {
  const [first] = vectors.cases as [ResultCase, ...ResultCase[]];
  const cases = [{ ...first, ear: flipped(first.ear, first.ear.length - 1) }];
  await expect(otherResults({ ...vectors, cases })).rejects.toMatchObject({ code: 'COSE_SIGNATURE_WRONG' });
});
