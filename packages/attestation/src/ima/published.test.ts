import { readFileSync } from 'node:fs';
import { toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { findBadEntries, parseImaKeys, parseImaList, verifyFileSignature } from './index.ts';

const read = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../../../vectors/ima/${name}`, import.meta.url)));
const list = parseImaList(read('published.txt'));
const ring = parseImaKeys(read('rsa2048.pem'));

describe('lines that others published', () => {
  test('have the template hashes that are built again from their text [IMA-7]', () => {
    expect(list.entries.length).toBe(14);
    expect(new Set(list.entries.map(({ template }) => template))).toEqual(
      new Set(['ima', 'ima-ng', 'ima-sig', 'ima-sigv2', 'ima-buf']),
    );
    expect(findBadEntries(list)).toEqual([]);
  });

  test('have a valid signature where the key is at hand, and name the key where it is not', () => {
    expect(ring.map(({ id }) => id)).toEqual(['f3452d23']);
    const checks = list.entries.map(({ fields }) =>
      fields.kind === 'file' ? verifyFileSignature(fields, ring) : null,
    );
    expect(checks.flatMap((check, i) => (check?.valid ? [i] : []))).toEqual([0]);
    expect(checks[1]).toEqual({ valid: false, reason: 'KEY_UNKNOWN', keyId: '531f4025' });
    expect(checks[2]?.reason).toBe('SIGNATURE_MISSING');
    expect(checks[7]).toEqual({ valid: false, reason: 'KEY_UNKNOWN', keyId: '6a098c99' });
  });

  test('with a changed digest have signatures that do not hold', () => {
    const text = new TextDecoder().decode(read('published.txt')).replace('sha256:d33d', 'sha256:d33c');
    const changed = parseImaList(new TextEncoder().encode(text));
    expect(findBadEntries(changed)).toEqual([
      { number: 0, reason: 'TEMPLATE_HASH_MISMATCH', path: '/usr/bin/dd' },
    ]);
    const [entry] = changed.entries;
    expect(entry?.fields.kind === 'file' && verifyFileSignature(entry.fields, ring).reason).toBe(
      'SIGNATURE_INVALID',
    );
  });

  test('of a measured key hold the certificate that the kernel loaded, named by its subject key identifier', () => {
    const entry = list.entries.find(({ fields }) => fields.kind === 'buffer' && fields.name === '.ima');
    if (entry?.fields.kind !== 'buffer') throw new Error('no such entry');
    const [key] = parseImaKeys(entry.fields.buffer);
    expect(key?.id).toBe('2cb6058c');
    expect(toHex(key?.subjectKeyIdentifier ?? new Uint8Array())).toBe(
      'b6fb3c083d19695be441c5f59afb95742cb6058c',
    );
    expect(key?.publicKey).toMatchObject({ kind: 'ec', curve: 'P-256' });
  });
});
