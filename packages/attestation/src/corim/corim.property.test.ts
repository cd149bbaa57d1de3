import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CorimContent, encodeCorim, HASH_BYTES } from './corim.ts';
import { CorimError } from './errors.ts';
import { parseCorim } from './parse.ts';

const digest = fc
  .constantFrom(...(Object.keys(HASH_BYTES) as (keyof typeof HASH_BYTES)[]))
  .chain((algorithm) =>
    fc
      .uint8Array({ minLength: HASH_BYTES[algorithm], maxLength: HASH_BYTES[algorithm] })
      .map((bytes) => ({ algorithm, digest: bytes })),
  );
const digests = fc.array(digest, { minLength: 1, maxLength: 3 });
const environment = fc.record(
  {
    vendor: fc.string({ maxLength: 20 }),
    model: fc.string({ maxLength: 20 }),
    layer: fc.nat(9),
    index: fc.nat(9),
  },
  { requiredKeys: [] },
);
const content: fc.Arbitrary<CorimContent> = fc.record({
  id: fc.string({ maxLength: 40 }),
  registers: fc.array(fc.record({ environment, pcr: fc.nat(23), digests }), { maxLength: 4 }),
  components: fc.array(fc.record({ environment, name: fc.string({ maxLength: 40 }), digests }), {
    maxLength: 4,
  }),
});

test('every content comes back from its bytes', () => {
  fc.assert(
    fc.property(content, (value) => {
      expect(parseCorim(encodeCorim(value))).toEqual({ ...value, ignored: [] });
    }),
  );
});

test('bytes that were changed anywhere are read or refused by the parser with its own error, never otherwise', () => {
  fc.assert(
    fc.property(content, fc.nat(), fc.nat(255), fc.boolean(), (value, place, byte, cut) => {
      const bytes = encodeCorim(value);
      const at = place % bytes.length;
      const changed = cut ? bytes.slice(0, at) : bytes.with(at, byte);
      try {
        parseCorim(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(CorimError);
      }
    }),
  );
});
