import { createHash, createHmac, getHashes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes, fromUtf8, toHex } from './bytes.ts';
import {
  hashDomain,
  hmacSha256,
  sha1,
  sha3_256,
  sha3_384,
  sha3_512,
  sha256,
  sha256Text,
  sha384,
  sha512,
  sm3,
} from './hash.ts';
import { sm3InSoftware } from './sm3.ts';

// Short messages and long ones are put together in different memory.
const part = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 500, max: 1500 }).map((length) => new Uint8Array(length).fill(length)),
);
const parts = fc.array(part, { maxLength: 4 });

const HASHES = {
  sha1,
  sha256,
  sha384,
  sha512,
  'sha3-256': sha3_256,
  'sha3-384': sha3_384,
  'sha3-512': sha3_512,
};

test('digests are those of another implementation, however the input is cut', () => {
  fc.assert(
    fc.property(parts, part, (given, key) => {
      const whole = concatBytes(...given);
      for (const [name, hash] of Object.entries(HASHES)) {
        expect(toHex(hash(...given)), name).toBe(createHash(name).update(whole).digest('hex'));
      }
      expect(toHex(hmacSha256(key, ...given))).toBe(createHmac('sha256', key).update(whole).digest('hex'));
    }),
  );
});

test('the text of a digest has its bytes as characters', () => {
  fc.assert(
    fc.property(part, (message) => {
      expect(Array.from(sha256Text(message), (it) => it.charCodeAt(0))).toEqual([...sha256(message)]);
    }),
  );
});

test('a domain is hashed the same way again, however many others were hashed meanwhile', () => {
  const hashes = () =>
    Array.from({ length: 600 }, (_, i) => toHex(hashDomain(`domain ${i}`, new Uint8Array(1))));
  const first = hashes();
  expect(hashes()).toEqual(first);
  expect(new Set(first).size).toBe(first.length);
});

test('SM3 has the values of GB/T 32905-2016, appendix A', () => {
  for (const hash of [sm3, sm3InSoftware]) {
    expect(toHex(hash(fromUtf8('abc')))).toBe(
      '66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0',
    );
    expect(toHex(hash(fromUtf8('abcd'.repeat(16))))).toBe(
      'debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732',
    );
  }
});

test('SM3 in software agrees with OpenSSL at every length around a block', () => {
  expect(getHashes()).toContain('sm3');
  for (let length = 0; length < 200; length++) {
    const message = new Uint8Array(length).map((_, i) => i * length);
    expect(toHex(sm3InSoftware(message))).toBe(createHash('sm3').update(message).digest('hex'));
  }
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
