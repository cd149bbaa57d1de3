import { readFileSync } from 'node:fs';
import { fromHex, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  appraiseIma,
  checkBootAggregate,
  findBootAggregate,
  type ImaBank,
  type PcrBanks,
  parseImaKeys,
  parseImaList,
  parseImaPolicy,
  verifyFileSignature,
  verifyIma,
} from './index.ts';

const recording = z.object({ pcrs: z.record(z.string(), z.array(z.string())), imaKey: z.string().nullish() });
const read = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../../../vectors/eventlog/${name}`, import.meta.url)));

function load(name: string) {
  const facts = recording.parse(JSON.parse(new TextDecoder().decode(read(`${name}.json`))));
  const values = (bank: string) => new Map((facts.pcrs[bank] ?? []).map((hex, pcr) => [pcr, fromHex(hex)]));
  const pcrs: PcrBanks = new Map(
    (['sha1', 'sha256', 'sha384', 'sha512'] as const).map((bank: ImaBank) => [bank, values(bank)]),
  );
  const pcr10: PcrBanks = new Map(
    [...pcrs].map(([bank, registers]) => [bank, new Map([...registers].filter(([pcr]) => pcr === 10))]),
  );
  const keys = typeof facts.imaKey === 'string' ? parseImaKeys(new TextEncoder().encode(facts.imaKey)) : [];
  return {
    ascii: parseImaList(read(`${name}.ima.txt`)),
    binary: parseImaList(read(`${name}.ima.bin`)),
    pcrs,
    pcr10,
    keys,
  };
}

describe.each(['ovmf-kernel', 'ovmf-secure-boot'])('the recorded boot %s', (name) => {
  const { ascii, binary, pcrs, pcr10, keys } = load(name);

  test('has the same list in both forms', () => {
    expect(ascii.entries).toEqual(binary.entries);
    expect(ascii.entries.length).toBeGreaterThan(5);
  });

  test('replays to PCR 10 of all four banks, of which the kernel padded two [IMA-12]', () => {
    const found = verifyIma(binary, pcr10);
    expect(found).toMatchObject({ ok: true, matched: binary.entries.length });
    expect(found.violations).toBeGreaterThan(0);
    expect(found.extensions).toEqual({
      sha1: 'template',
      sha256: 'template',
      sha384: 'padded',
      sha512: 'padded',
    });
  });

  test('starts with the aggregate of its firmware registers [IMA-15]', () => {
    const fields = findBootAggregate(binary)?.fields;
    if (fields?.kind !== 'file') throw new Error('no boot_aggregate');
    expect(checkBootAggregate(fields.digest, pcrs)).toEqual({ ok: true, reason: 'OK', pcrCount: 10 });
  });

  test('is accepted by an allow-list of its files, and not by one of others [IMA-21]', () => {
    const digests = Object.fromEntries(
      binary.entries.flatMap(({ fields, violation }) =>
        fields.kind === 'file' && !violation
          ? [[fields.path, [`${fields.digest.algorithm}:${toHex(fields.digest.value)}`]]]
          : [],
      ),
    );
    delete digests.boot_aggregate;
    const verification = verifyIma(binary, pcr10);
    const policy = parseImaPolicy({ version: 1, digests, violations: 'accept' });
    expect(appraiseIma(binary, { policy, verification, pcrs })).toMatchObject({ ok: true, refused: [] });
    const strict = parseImaPolicy({ version: 1, digests });
    expect(
      appraiseIma(binary, { policy: strict, verification, pcrs }).refused.map(({ reason }) => reason),
    ).toContain('VIOLATION');
    const others = parseImaPolicy({ ...digests, '/data/bin/busybox': [`sha256:${'00'.repeat(32)}`] });
    expect(
      appraiseIma(binary, { policy: others, verification, pcrs }).counts.DIGEST_NOT_LISTED,
    ).toBeGreaterThan(0);
  });

  test('has valid signatures where it has any [IMA-17]', () => {
    const signed = binary.entries.flatMap(({ fields }) =>
      fields.kind === 'file' && fields.signature !== null ? [verifyFileSignature(fields, keys)] : [],
    );
    expect(signed.every(({ valid }) => valid)).toBe(true);
    expect(signed.length > 0).toBe(name === 'ovmf-kernel');
  });
});
