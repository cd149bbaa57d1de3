import { readFile } from 'node:fs/promises';
import { fromHex } from '@nemea/core';
import { expect, test } from 'vitest';
import { verifyPortable } from '../portable-signature.ts';
import { type SigningHash, signingHash } from './hash.ts';
import { parsePcrFile, parseSigningKey, readQuote, readSignature, verifyQuote } from './index.ts';

interface Recorded {
  readonly name: string;
  readonly nonce: string;
  readonly attest: string;
  readonly signature: string;
  readonly akPublic: string;
  readonly pem: string;
  readonly pcrs: string;
}

const file = new URL('../../../../vectors/quote/quotes.json', import.meta.url);
const quotes = JSON.parse(await readFile(file, 'utf8')) as Recorded[];

test.each(quotes)('a quote that tpm2-tools made verifies, with its PCR file: $name', (recorded) => {
  const [attest, signature] = [fromHex(recorded.attest), fromHex(recorded.signature)];
  const quote = readQuote(attest);
  if ('code' in quote) throw new Error(quote.message);
  const pcrs = parsePcrFile(fromHex(recorded.pcrs), quote.pcrSelections);
  for (const key of [recorded.pem, fromHex(recorded.akPublic)]) {
    const input = { attest, signature, key, nonce: fromHex(recorded.nonce), pcrs };
    expect(verifyQuote(input)).toMatchObject({ ok: true, quote: { pcrs } });
    expect(verifyQuote({ ...input, pcrs: pcrs.slice(1) })).toMatchObject({
      error: { code: 'PCR_LIST_WRONG' },
    });
  }
});

test.each(quotes)('and by the path for browsers: $name [QUO-8]', (recorded) => {
  const signature = readSignature(fromHex(recorded.signature));
  if ('code' in signature) throw new Error(signature.message);
  const hash = signingHash(signature.hashAlg) as SigningHash;
  const attest = fromHex(recorded.attest);
  const key = parseSigningKey(recorded.pem);
  expect(verifyPortable(key, signature, hash, attest)).toBe(true);
  expect(verifyPortable(key, signature, hash, attest.with(50, 0x55))).toBe(false);
});

test('every scheme is among them', () => {
  expect(quotes.map(({ name }) => name.split('-')[0])).toEqual([
    'ecdsa',
    'ecdsa',
    'rsassa',
    'rsapss',
    'rsassa',
  ]);
});
