import { type CborValue, decodeCbor, encodeCbor, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { appraise } from './appraise.ts';
import { AttestationError } from './errors.ts';
import { encodeResult, parseResult, resultDigest } from './result.ts';
import { appraisalOf } from './testing.ts';

const result = appraise(appraisalOf());
const bytes = encodeResult(result);

test('a result survives its encoding, 64-bit clock values included', () => {
  const large = { ...result, clock: { ...result.clock, clock: 2n ** 63n } } as typeof result;
  for (const value of [result, large]) expect(parseResult(encodeResult(value))).toEqual(value);
  expect(result.clock?.firmwareVersion).toBe(0x2019102300163636n);
});

test('equal results have equal bytes and one digest', () => {
  const again = appraise(appraisalOf());
  // ECDSA signatures differ from run to run; nothing in a result depends on them.
  expect(toHex(encodeResult(again))).toBe(toHex(bytes));
  expect(resultDigest(again)).toEqual(resultDigest(result));
});

describe('a result is refused', () => {
  const fields = decodeCbor(bytes) as Record<string, CborValue>;
  const claims = fields.claims as readonly CborValue[];
  const rows: readonly (readonly [string, Record<string, CborValue>])[] = [
    ['without one of its claims', { claims: claims.slice(1) }],
    ['with a claim twice', { claims: [...claims.slice(0, -1), claims[0] as CborValue] }],
    ['with claims out of order', { claims: [...claims].reverse() }],
    ['with an unknown verdict', { verdict: 'trusted' }],
    ['with an unknown level', { level: 4 }],
    ['with a time before the epoch', { appraisedAtMs: -1 }],
    ['with a quote digest of 20 bytes', { quoteDigest: new Uint8Array(20) }],
    ['with an extra key', { note: '' }],
  ];
  test.each(rows)('%s', (_, change) => {
    const changed = encodeCbor({ ...fields, ...change });
    expect(() => parseResult(changed)).toThrow(AttestationError);
  });
});
