import { type CborValue, CodedError, encodeCbor, toHex } from '@nemea/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { appraise } from './appraise.ts';
import { AttestationError } from './errors.ts';
import { type Evidence, encodeEvidence, parseEvidence } from './evidence.ts';
import { encodeResult, parseResult } from './result.ts';
import { appraisalOf } from './testing.ts';

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });
const name = fc.string({ maxLength: 32 }).filter((text) => text.isWellFormed() && !/\p{Cc}/u.test(text));
const event = fc.record({
  pcr: fc.constant(14 as const),
  kind: fc.constantFrom('release' as const, 'image' as const, 'run' as const),
  digest,
  name,
});
const pcrs = fc
  .uniqueArray(fc.nat(23), { minLength: 1 })
  .chain((numbers) =>
    fc.tuple(...numbers.sort((a, b) => a - b).map((pcr) => digest.map((value) => ({ pcr, value })))),
  );
const evidence: fc.Arbitrary<Evidence> = fc.record({
  version: fc.constant(2 as const),
  attest: fc.uint8Array({ minLength: 1, maxLength: 200 }),
  signature: fc.uint8Array({ minLength: 1, maxLength: 100 }),
  pcrs,
  log: fc.array(event, { maxLength: 8 }),
  binding: digest,
});

test('any evidence survives its encoding, byte for byte', () => {
  fc.assert(
    fc.property(evidence, (value) => {
      const bytes = encodeEvidence(value);
      expect(toHex(encodeEvidence(parseEvidence(bytes)))).toBe(toHex(bytes));
    }),
  );
});

test('the parsers throw nothing but their own error', () => {
  const anyDocument = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.jsonValue({ noUnicodeString: true }).map((value) => encodeSafely(value as CborValue)),
    evidence.chain((value) => mutated(encodeEvidence(value))),
    mutated(encodeResult(appraise(appraisalOf()))),
  );
  fc.assert(
    fc.property(anyDocument, (bytes) => {
      for (const parse of [parseEvidence, parseResult]) {
        try {
          parse(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(AttestationError);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test('the judge gives a verdict on any evidence, and never a good one on made-up bytes', () => {
  fc.assert(
    fc.property(evidence, fc.uint8Array({ maxLength: 120 }), (value, akPublic) => {
      const made = appraise(appraisalOf({ evidence: () => value }));
      const unendorsed = appraise(appraisalOf({ appraisal: { endorsements: { akPublic, level: 1 } } }));
      for (const result of [made, unendorsed]) {
        expect(result.verdict).toBe('contraindicated');
        expect(parseResult(encodeResult(result))).toEqual(result);
      }
    }),
  );
});

test('the judge answers the same to the same input', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 6 }), (log) => {
      const input = appraisalOf({ log });
      expect(toHex(encodeResult(appraise(input)))).toBe(toHex(encodeResult(appraise(input))));
    }),
  );
});

function mutated(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  return fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)).map(([at, value]) => {
    const copy = bytes.slice();
    copy[at] = value;
    return copy;
  });
}

function encodeSafely(value: CborValue): Uint8Array {
  try {
    return encodeCbor(value);
  } catch (error) {
    if (error instanceof CodedError) return new Uint8Array(0); // a float like -0 or NaN has no dag-cbor form
    throw error;
  }
}
