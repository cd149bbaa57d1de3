import { bytesEqual, type CborValue, decodeCbor, encodeCbor, toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MembershipError } from './errors.ts';
import { ROSTER_MAX } from './roster.ts';
import type { Vote } from './state.ts';
import { testMember } from './testing.ts';
import { encodeVote, parseVote } from './vote.ts';

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });
const account = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((it) => `0x${toHex(it)}`);
const count = fc.maxSafeNat();
const { record } = testMember('anybody');
const run = { taskId: digest, attempt: count };
const choice = { ...run, executor: account, salt: digest };

const votes: fc.Arbitrary<Vote> = fc.oneof(
  fc.record({ type: fc.constant('Admission' as const), record: fc.constant(record), epoch: count }),
  fc.record({
    type: fc.constant('Eviction' as const),
    account,
    epoch: count,
    evidenceDigest: digest,
    reason: count,
  }),
  fc.record({
    type: fc.constant('EpochRecord' as const),
    epoch: count,
    seed: digest,
    rosterRoot: digest,
    attestationRoot: digest,
    creditRoot: digest,
    admissions: count,
    evictions: count,
    policyVersion: count,
    boundaryBlock: count,
  }),
  fc.record({ type: fc.constant('Election' as const), ...choice }),
  fc.record({
    type: fc.constant('Settlement' as const),
    ...choice,
    verifiers: fc.array(account, { maxLength: ROSTER_MAX }),
    certificateDigest: digest,
  }),
  fc.record({ type: fc.constant('TaskFailure' as const), ...run, reason: count }),
  fc.record({ type: fc.constant('DisputeVerdict' as const), disputeId: digest, guilty: fc.boolean() }),
);

describe('a vote that a node keeps', () => {
  test('comes back as it was, of whatever kind and size', () => {
    fc.assert(
      fc.property(votes, (vote) => {
        expect(parseVote(encodeVote(vote))).toEqual(vote);
      }),
      { numRuns: 300 },
    );
  });

  test('is refused with its own error when any byte is another, or is another vote', () => {
    fc.assert(
      fc.property(votes, fc.nat(), fc.integer({ min: 1, max: 255 }), (vote, at, flip) => {
        const encoded = encodeVote(vote).slice();
        const place = at % encoded.length;
        encoded[place] = (encoded[place] as number) ^ flip;
        try {
          expect(bytesEqual(encodeVote(parseVote(encoded)), encoded)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(MembershipError);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('of no known kind, or with a field too many, is refused', () => {
    const [vote] = fc.sample(votes, { numRuns: 1, seed: 1 }) as [Vote];
    const document = decodeCbor(encodeVote(vote)) as Record<string, CborValue>;
    const changes: readonly Record<string, CborValue>[] = [{ type: 'Amnesty' }, { more: 1 }];
    for (const change of changes) {
      expect(() => parseVote(encodeCbor({ ...document, ...change }))).toThrow(MembershipError);
    }
  });
});
