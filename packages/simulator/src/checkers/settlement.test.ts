import { sha256 } from '@nemea/core';
import type { Operation } from '@nemea/membership';
import { describe, expect, it } from 'vitest';
import { checkSettlement } from './settlement.ts';

const TASK = new Uint8Array(32);
const CERTIFICATE = sha256(TASK);
const VERIFIERS = ['0xa', '0xb', '0xc'];
const PHASES = ['before', 'during', 'after'] as const;

function settledBy(
  reports: readonly { author: string; attempt?: number; certificateDigest?: Uint8Array; failed?: string }[],
): string[] {
  const failures: string[] = [];
  const checks = checkSettlement({ fail: (_checker, detail) => failures.push(detail) });
  for (const { author, attempt = 1, certificateDigest = CERTIFICATE, failed } of reports) {
    const phases = PHASES.map((phase) => ({
      phase,
      verdict: phase === failed ? ('contraindicated' as const) : ('affirming' as const),
      quoteDigest: TASK,
    }));
    const body: Operation['body'] = { kind: 'verify', taskId: TASK, attempt, certificateDigest, phases };
    checks.onOperation({ version: 1, author, anchor: { block: 1, hash: TASK }, body } as Operation);
  }
  const vote = {
    type: 'Settlement',
    taskId: TASK,
    attempt: 1,
    executor: '0xe',
    salt: TASK,
    verifiers: VERIFIERS,
    certificateDigest: CERTIFICATE,
  } as const;
  checks.onSettlement(vote, VERIFIERS);
  return failures;
}

describe('the checker of settlements [MEMB-31]', () => {
  it('is content with two of three verifiers that affirm every phase of the run', () => {
    expect(settledBy([{ author: '0xa' }, { author: '0xc' }])).toEqual([]);
  });

  it('counts nobody twice, and nobody who was not drawn', () => {
    expect(settledBy([{ author: '0xa' }, { author: '0xa' }])).toHaveLength(1);
    expect(settledBy([{ author: '0xa' }, { author: '0xd' }])).toHaveLength(1);
  });

  it('counts no word on another attempt or certificate, and none that leaves out or refuses a phase', () => {
    expect(settledBy([{ author: '0xa' }, { author: '0xb', attempt: 2 }])).toHaveLength(1);
    expect(settledBy([{ author: '0xa' }, { author: '0xb', certificateDigest: TASK }])).toHaveLength(1);
    expect(settledBy([{ author: '0xa' }, { author: '0xb', failed: 'during' }])).toHaveLength(1);
  });
});
