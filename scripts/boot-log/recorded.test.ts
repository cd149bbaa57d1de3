import { readFileSync } from 'node:fs';
import { verifyTpmSignature } from '@nemea/attestation';
import { bytesEqual, concatBytes, fromHex, sha256, toHex } from '@nemea/core';
import { parseAttest, parsePublicArea, parseSignature } from '@nemea/tpm/structures';
import { describe, expect, test } from 'vitest';

interface RecordedBoot {
  readonly pcrs: Readonly<Record<string, readonly string[]>>;
  readonly akPublic: string;
  readonly nonce: string;
  readonly attest: string;
  readonly signature: string;
}

const DIGEST_BYTES = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

describe.each(['ovmf-kernel', 'ovmf-secure-boot'])('the recorded boot %s', (name) => {
  const file = new URL(`../../vectors/eventlog/${name}.json`, import.meta.url);
  const boot = JSON.parse(readFileSync(file, 'utf8')) as RecordedBoot;

  test('has all 24 values of each bank', () => {
    for (const [bank, bytes] of Object.entries(DIGEST_BYTES)) {
      expect(boot.pcrs[bank]?.map((value) => fromHex(value).length)).toEqual(Array(24).fill(bytes));
    }
  });

  test('has a quote by its attestation key over its nonce and its PCR values', () => {
    const area = parsePublicArea(fromHex(boot.akPublic));
    if (area.type !== 'ecc') throw new Error('the attestation key is no ECC key');
    const attest = fromHex(boot.attest);
    expect(verifyTpmSignature(area, parseSignature(fromHex(boot.signature)), attest)).toBe(true);
    const quote = parseAttest(attest);
    if (quote.type !== 'quote') throw new Error('no quote');
    expect(toHex(quote.extraData)).toBe(boot.nonce);
    const quoted = (boot.pcrs.sha256 ?? []).slice(0, 16).map((value) => fromHex(value));
    expect(bytesEqual(quote.pcrDigest, sha256(concatBytes(...quoted)))).toBe(true);
  });
});
