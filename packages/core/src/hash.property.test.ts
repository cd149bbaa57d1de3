import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes, fromUtf8, toHex } from './bytes.ts';
import { hashDomain, hmacSha256, sha256, sha384 } from './hash.ts';

const part = fc.uint8Array({ maxLength: 40 });
const parts = fc.array(part, { maxLength: 4 });

test('digests are those of another implementation, however the input is cut', () => {
  fc.assert(
    fc.property(parts, part, (given, key) => {
      const whole = concatBytes(...given);
      expect(toHex(sha256(...given))).toBe(createHash('sha256').update(whole).digest('hex'));
      expect(toHex(sha384(...given))).toBe(createHash('sha384').update(whole).digest('hex'));
      expect(toHex(hmacSha256(key, ...given))).toBe(createHmac('sha256', key).update(whole).digest('hex'));
    }),
  );
});

test('no two domains and lists of parts have one domain hash', () => {
  const input = fc.tuple(fc.string({ maxLength: 6 }), parts);
  const name = ([domain, list]: [string, Uint8Array[]]) => JSON.stringify([domain, list.map(toHex)]);
  fc.assert(
    fc.property(input, input, (a, b) => {
      const [left, right] = [hashDomain(a[0], ...a[1]), hashDomain(b[0], ...b[1])];
      expect(toHex(left) === toHex(right)).toBe(name(a) === name(b));
    }),
  );
});

test('a byte that moves from one part to the next, or to the domain, changes a domain hash', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 8, unit: 'binary-ascii' }), part, (text, rest) => {
      const bytes = fromUtf8(text);
      const hashes = [
        hashDomain(text, rest),
        hashDomain('', bytes, rest),
        hashDomain(text.slice(1), concatBytes(bytes.slice(0, 1), rest)),
        hashDomain(text, rest, new Uint8Array(0)),
        hashDomain(text, new Uint8Array(0), rest),
      ];
      const distinct = rest.length === 0 ? hashes.length - 1 : hashes.length;
      expect(new Set(hashes.map(toHex)).size).toBe(distinct);
    }),
  );
});

test('the domain hash is the documented one: SHA-256 over length-prefixed parts', () => {
  const expected = createHash('sha256')
    .update(Buffer.from('00000003616263', 'hex'))
    .update(Buffer.from('00000002ffee', 'hex'))
    .digest('hex');
  expect(toHex(hashDomain('abc', Uint8Array.of(0xff, 0xee)))).toBe(expected);
});
