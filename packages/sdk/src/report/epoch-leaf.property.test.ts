import { toHex } from '@nemea/core';
import { type EpochLeaf, encodeEpochLeaf } from '@nemea/membership';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseEpochLeaf } from './epoch-leaf.ts';
import { ReportError } from './report.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const account = bytes(20).map((it) => `0x${toHex(it)}`);

const result = fc.record({
  attestor: account,
  target: account,
  epoch: fc.nat(),
  verdict: fc.constantFrom('affirming' as const, 'warning' as const, 'contraindicated' as const),
  quoteDigest: bytes(32),
  nonce: bytes(32),
  evidenceDigest: bytes(32),
  answerSignature: bytes(64),
});

const seat = fc.record({
  attestor: account,
  epoch: fc.nat(),
  proof: fc.uint8Array({ minLength: 1, maxLength: 200 }),
  beta: bytes(32),
});
const outdated = fc.record({ outdated: account, epoch: fc.nat(), evidenceDigest: bytes(32) });
const signed = fc.record({
  payload: fc.uint8Array({ minLength: 1, maxLength: 256 }),
  signature: bytes(64),
});
const equivocation = fc.record({ equivocator: account, epoch: fc.nat(), first: signed, second: signed });
const leaf: fc.Arbitrary<EpochLeaf> = fc.oneof(result, seat, outdated, equivocation);

test('every leaf parses from its canonical bytes, and only from those', () => {
  fc.assert(
    fc.property(leaf, bytes(1), (it, more) => {
      const encoded = encodeEpochLeaf(it);
      expect(encodeEpochLeaf(parseEpochLeaf(encoded))).toEqual(encoded);
      expect(() => parseEpochLeaf(Uint8Array.of(...encoded, ...more))).toThrow(ReportError);
    }),
  );
});

test('any other bytes are refused with one coded error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (garbage) => {
      expect(() => parseEpochLeaf(garbage)).toThrow(ReportError);
    }),
  );
});

test('a leaf with a bit changed is refused or is another leaf', () => {
  fc.assert(
    fc.property(leaf, fc.nat(), fc.nat(7), (it, position, bit) => {
      const encoded = encodeEpochLeaf(it);
      const index = position % encoded.length;
      encoded[index] = (encoded[index] as number) ^ (1 << bit);
      try {
        expect(encodeEpochLeaf(parseEpochLeaf(encoded))).toEqual(encoded);
      } catch (error) {
        expect(error).toBeInstanceOf(ReportError);
      }
    }),
  );
});
