import { ALG } from '@nemea/tpm/structures';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AttestationError } from '../errors.ts';
import { verifyPortable } from '../portable-signature.ts';
import { type SigningHash, signingHash } from './hash.ts';
import { parseSigningKey } from './signing-key.ts';
import { eccKey, NONCE, pcrsOf, quoteBy, rsaKey, signAs } from './testing.ts';
import { readSignature, verifyQuote } from './verify-quote.ts';

const KEYS = [
  eccKey('P-256', ALG.sha256),
  rsaKey({ bits: 2048, scheme: 'rsassa', hashAlg: ALG.sha256 }),
  rsaKey({ bits: 2048, scheme: 'rsapss', hashAlg: ALG.sha256 }),
];
const anyKey = fc.constantFrom(...KEYS);
const HASH = signingHash(ALG.sha256) as SigningHash;

test('one bit changed anywhere in a quote or its signature is a refusal, and the same one without Node', () => {
  fc.assert(
    fc.property(anyKey, fc.boolean(), fc.nat(), (key, ofAttest, position) => {
      const attest = quoteBy(key);
      const signature = signAs(key, attest);
      const changed = (ofAttest ? attest : signature).slice();
      const bit = position % (8 * changed.length);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      const input = { attest, signature, [ofAttest ? 'attest' : 'signature']: changed };
      const verdict = verifyQuote({ ...input, key: key.spki, nonce: NONCE, pcrs: pcrsOf() });
      expect(verdict.ok).toBe(false);
      const read = readSignature(input.signature);
      if ('code' in read || read.hashAlg !== ALG.sha256) return;
      expect(verifyPortable(parseSigningKey(key.spki), read, HASH, input.attest)).toBe(false);
    }),
    { numRuns: 300 },
  );
});

test('arbitrary bytes are a refusal, never an exception', () => {
  const head = fc.constantFrom([], [0xff, 0x54, 0x43, 0x47, 0x80, 0x18], [0xff, 0x54, 0x43, 0x47]);
  const scheme = fc.constantFrom([], [0, 0x18, 0, 0x0b], [0, 0x14, 0, 0x0b], [0, 0x16, 0, 0x0c]);
  const bytes = (start: fc.Arbitrary<readonly number[]>): fc.Arbitrary<Uint8Array> =>
    fc
      .tuple(start, fc.uint8Array({ maxLength: 600 }))
      .map(([first, rest]) => Uint8Array.of(...first, ...rest));
  fc.assert(
    fc.property(anyKey, bytes(head), bytes(scheme), (key, attest, signature) => {
      expect(verifyQuote({ attest, signature, key: key.spki, nonce: NONCE }).ok).toBe(false);
    }),
  );
});

test('a key is read, or refused with one code', () => {
  const mutated = anyKey.chain(({ spki }) =>
    fc.tuple(fc.nat(spki.length - 1), fc.nat(255)).map(([at, byte]) => spki.with(at, byte)),
  );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated, fc.string()), (key) => {
      try {
        parseSigningKey(key);
      } catch (error) {
        expect(error).toBeInstanceOf(AttestationError);
        expect(error).toMatchObject({ code: 'KEY_INVALID' });
      }
    }),
  );
});

test('any key that can be read leads to a verdict', () => {
  const attest = quoteBy(KEYS[1] as (typeof KEYS)[number]);
  const signature = signAs(KEYS[1] as (typeof KEYS)[number], attest);
  const { spki } = KEYS[1] as (typeof KEYS)[number];
  fc.assert(
    fc.property(fc.integer({ min: 30, max: spki.length - 1 }), fc.nat(255), (at, byte) => {
      if (spki[at] === byte) return;
      try {
        expect(verifyQuote({ attest, signature, key: spki.with(at, byte), nonce: NONCE }).ok).toBe(false);
      } catch (error) {
        expect(error).toMatchObject({ code: 'KEY_INVALID' });
      }
    }),
  );
});
