import { toHex } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeSealedBlob, parseSealedBlob } from '../sealed-blob.ts';
import { readAttestationVectors } from '../testing.ts';
import {
  encodePcrSelection,
  encodePublicArea,
  nameOf,
  parseAttest,
  parsePublicArea,
  parseSignature,
  TpmError,
  toSpki,
} from './index.ts';

const { structures } = await readAttestationVectors();

const parsers = {
  attestation: parseAttest,
  'public area': parsePublicArea,
  signature: parseSignature,
  name: nameOf,
  spki: (bytes: Uint8Array) => toSpki(parsePublicArea(bytes)),
  'sealed blob': parseSealedBlob,
};

function expectOnlyOwnError(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    parse(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(TpmError);
  }
}

/** A real structure with a few bytes changed, then cut or prolonged. */
const mutated = fc
  .record({
    original: fc.constantFrom(...structures),
    changes: fc.array(fc.record({ at: fc.nat(400), value: fc.nat(255) }), { maxLength: 4 }),
    cut: fc.nat(8),
    tail: fc.uint8Array({ maxLength: 3 }),
  })
  .map(({ original, changes, cut, tail }) => {
    const bytes = Uint8Array.from(original);
    for (const { at, value } of changes) bytes[at % bytes.length] = value;
    return Uint8Array.from([...bytes.subarray(0, bytes.length - (cut > 4 ? cut : 0)), ...tail]);
  });

describe.each(Object.entries(parsers))('the %s parser', (_name, parse) => {
  it('throws only its own error on random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => expectOnlyOwnError(parse, bytes)));
  });

  it('throws only its own error on mutated real structures', () => {
    fc.assert(
      fc.property(mutated, (bytes) => expectOnlyOwnError(parse, bytes)),
      { numRuns: 500 },
    );
  });
});

describe('encodings', () => {
  it('has one encoding for each public area: what parses encodes to the same bytes', () => {
    fc.assert(
      fc.property(mutated, (bytes) => {
        let area: ReturnType<typeof parsePublicArea>;
        try {
          area = parsePublicArea(bytes);
        } catch {
          return;
        }
        expect(toHex(encodePublicArea(area))).toBe(toHex(bytes));
      }),
      { numRuns: 500 },
    );
  });

  it('encodes a PCR set the same in any order', () => {
    const pcrs = fc.uniqueArray(fc.nat(23));
    fc.assert(
      fc.property(pcrs, (list) => {
        expect(toHex(encodePcrSelection([...list].reverse()))).toBe(toHex(encodePcrSelection(list)));
      }),
    );
  });

  it('reads back every sealed blob it writes', () => {
    const blob = fc.record({
      pcrs: fc.uniqueArray(fc.nat(23)).map((list) => list.sort((a, b) => a - b)),
      privateArea: fc.uint8Array({ maxLength: 300 }),
      publicArea: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(blob, (value) => {
        expect(parseSealedBlob(encodeSealedBlob(value))).toEqual(value);
      }),
    );
  });
});
