import {
  ConsensusError,
  type Content,
  equivocationEpoch,
  signStatement,
  verifyEquivocation,
} from '@nemea/consensus';
import { toHex } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { epochProven } from './equivocation-rules.ts';

const networkId = new Uint8Array(32);
const signature = new Uint8Array(64);
const digest = fc.constantFrom(1, 2).map((byte) => new Uint8Array(32).fill(byte));
const tip = { view: fc.nat(2), sequence: fc.integer({ min: 1, max: 3 }), digest };
const epoch = fc.constantFrom(1, 33, 2 ** 40);
const content: fc.Arbitrary<Content> = fc.oneof(
  fc.record({ kind: fc.constantFrom('pre-prepare', 'prepare', 'commit', 'commit'), epoch, ...tip }),
  fc.record({ kind: fc.constant('checkpoint'), epoch, sequence: tip.sequence, digest }),
  fc
    .record({
      kind: fc.constant('view-change'),
      epoch: fc.constant(1),
      view: fc.integer({ min: 1, max: 4 }),
      committed: fc.nat(1),
      tip: fc.option(fc.record(tip)),
    })
    .filter((change) => change.tip === null || change.tip.view < change.view),
  fc.record({ kind: fc.constant('new-view'), epoch, view: fc.nat(2), evidence: digest }),
  fc.record({ kind: fc.constant('status'), epoch, view: fc.nat(1), committed: fc.nat(1) }),
);

test('what the checker calls a contradiction is what the product does [CONS-21]', () => {
  let proven = 0;
  fc.assert(
    fc.property(content, content, (a, b) => {
      const [first, second] = [a, b].map(
        (said) =>
          signStatement({ networkId, sender: 'one', content: said, batch: [], sign: () => signature })
            .message,
      ) as [ReturnType<typeof signStatement>['message'], ReturnType<typeof signStatement>['message']];
      const proof = { first, second };
      const isProven = holds(() =>
        verifyEquivocation({ networkId, proof, publicKeyOf: () => signature, verify: () => true }),
      );
      if (isProven) proven++;
      const own = epochProven(toHex(first.payload), toHex(second.payload));
      expect(own).toBe(isProven ? equivocationEpoch(proof) : undefined);
    }),
    { numRuns: 5_000 },
  );
  expect(proven).toBeGreaterThan(100);
});

function holds(check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(ConsensusError);
    return false;
  }
}
