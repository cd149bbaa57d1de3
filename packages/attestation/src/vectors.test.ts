import { readFile } from 'node:fs/promises';
import { fromHex, toHex } from '@nemea/core';
import { expect, test } from 'vitest';
import { appraise } from './appraise.ts';
import { parseEvidence } from './evidence.ts';
import { LEVEL } from './level.ts';
import { parsePolicy } from './policy.ts';
import { parseReferenceValues } from './reference-values.ts';
import { failedClaims, resultDigest } from './result.ts';

interface Vectors {
  readonly networkId: string;
  readonly challenge: string;
  readonly binding: string;
  readonly releases: readonly string[];
  readonly images: readonly string[];
  readonly policy: unknown;
  readonly cases: readonly {
    readonly name: string;
    readonly akPublic: string;
    readonly evidence: string;
    readonly clockBefore: {
      readonly clock: string;
      readonly resetCount: number;
      readonly restartCount: number;
    } | null;
    readonly verdict: string;
    readonly authentic: boolean;
    readonly failed: readonly string[];
    readonly resultDigest: string;
  }[];
}

const file = new URL('../../../vectors/attestation/evidence.json', import.meta.url);
const vectors = JSON.parse(await readFile(file, 'utf8')) as Vectors;

test.each(vectors.cases)('recorded evidence is judged as recorded: $name', (recorded) => {
  const before = recorded.clockBefore;
  const result = appraise({
    evidence: parseEvidence(fromHex(recorded.evidence)),
    endorsements: { akPublic: fromHex(recorded.akPublic), level: LEVEL.development },
    referenceValues: parseReferenceValues({ releases: vectors.releases, images: vectors.images }),
    policy: parsePolicy(vectors.policy),
    expected: {
      networkId: fromHex(vectors.networkId),
      challenge: fromHex(vectors.challenge),
      binding: fromHex(vectors.binding),
    },
    clockBefore: before === null ? undefined : { ...before, clock: BigInt(before.clock) },
    nowMs: 0,
  });
  expect(failedClaims(result).map(({ name, reason }) => `${name} ${reason}`)).toEqual(recorded.failed);
  expect(result).toMatchObject({ verdict: recorded.verdict, authentic: recorded.authentic });
  expect(toHex(resultDigest(result))).toBe(recorded.resultDigest);
});

test('only the honest recordings are affirmed', () => {
  const affirmed = vectors.cases.filter(({ verdict }) => verdict === 'affirming').map(({ name }) => name);
  expect(affirmed).toEqual(['honest', 'honest-clock-recorded', 'shim-measured']);
  expect(vectors.cases.length).toBeGreaterThan(20);
});
