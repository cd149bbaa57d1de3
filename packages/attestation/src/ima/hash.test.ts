import { createHash } from 'node:crypto';
import { toHex } from '@nemea/core';
import { expect, test } from 'vitest';
import { bankBytes, bankHash, hashByName } from './hash.ts';
import { IMA_BANKS } from './list.ts';

const DATA = new Uint8Array(300).map((_, i) => i);

test.each([
  ['md5', 'md5'],
  ['sha1', 'sha1'],
  ['rmd160', 'ripemd160'],
  ['sha224', 'sha224'],
  ['sha256', 'sha256'],
  ['sha384', 'sha384'],
  ['sha512', 'sha512'],
  ['sm3', 'sm3'],
  ['sm3-256', 'sm3'],
  ['sha3-256', 'sha3-256'],
  ['sha3-384', 'sha3-384'],
  ['sha3-512', 'sha3-512'],
])("the kernel's %s is what OpenSSL calls %s, also where there is no OpenSSL", (name, native) => {
  const digest = hashByName(name, DATA);
  expect(digest === null ? null : toHex(digest)).toBe(createHash(native).update(DATA).digest('hex'));
});

test('a hash that nobody has here is no hash', () => {
  expect(hashByName('wp512', DATA)).toBeNull();
  expect(hashByName('constructor', DATA)).toBeNull();
});

test('the hash of every bank writes its bytes where it is told to', () => {
  for (const bank of IMA_BANKS) {
    const out = new Uint8Array(bankBytes(bank) + 4);
    bankHash(bank)(DATA, out, 4);
    const native = createHash(bank === 'sm3_256' ? 'sm3' : bank)
      .update(DATA)
      .digest('hex');
    expect(toHex(out)).toBe(`00000000${native}`);
  }
});
