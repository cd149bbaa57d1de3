import { readFileSync } from 'node:fs';
import { verifyTpmSignature } from '@nemea/attestation';
import { describeBoot, inspectEventLog, parseEventLog, verifyEventLog } from '@nemea/attestation/eventlog';
import { concatBytes, fromHex, fromUtf8, sha256, toHex } from '@nemea/core';
import { parseAttest, parsePublicArea, parseSignature } from '@nemea/tpm/structures';
import { describe, expect, test } from 'vitest';

interface RecordedBoot {
  readonly cmdline: string;
  readonly pcrs: Readonly<Record<Bank, readonly string[]>>;
  readonly akPublic: string;
  readonly nonce: string;
  readonly attest: string;
  readonly signature: string;
}

type Bank = (typeof BANKS)[number];

const BANKS = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
const DIGEST_BYTES = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };
// PCR 10 belongs to IMA, whose list is not in the firmware's log; from 16 on nobody measured.
const BOOT_PCRS = [...Array(16).keys()].filter((pcr) => pcr !== 10);

function readRecorded(file: string): Uint8Array {
  return readFileSync(new URL(`../../vectors/eventlog/${file}`, import.meta.url));
}

function readBoot(name: string) {
  const facts = JSON.parse(Buffer.from(readRecorded(`${name}.json`)).toString()) as RecordedBoot;
  const quoted = BANKS.flatMap((bank) =>
    BOOT_PCRS.map((pcr) => ({ bank, pcr, value: fromHex(facts.pcrs[bank][pcr] ?? '') })),
  );
  return { facts, quoted, log: parseEventLog(readRecorded(`${name}.bin`)) };
}

function bootOf(name: string) {
  const { log, quoted } = readBoot(name);
  const verification = verifyEventLog(log, quoted);
  if (!verification.ok) throw new Error('the log does not replay');
  return describeBoot(verification.boot);
}

describe.each(['ovmf-kernel', 'ovmf-secure-boot'])('the recorded boot %s', (name) => {
  const { facts, quoted, log } = readBoot(name);

  test('has all 24 values of each bank', () => {
    for (const bank of BANKS) {
      const lengths = facts.pcrs[bank].map((value) => fromHex(value).length);
      expect(lengths).toEqual(Array(24).fill(DIGEST_BYTES[bank]));
    }
  });

  test('has a quote by its attestation key over its nonce and its PCR values', () => {
    const area = parsePublicArea(fromHex(facts.akPublic));
    if (area.type !== 'ecc') throw new Error('the attestation key is no ECC key');
    const attest = fromHex(facts.attest);
    expect(verifyTpmSignature(area, parseSignature(fromHex(facts.signature)), attest)).toBe(true);
    const quote = parseAttest(attest);
    if (quote.type !== 'quote') throw new Error('no quote');
    expect(toHex(quote.extraData)).toBe(facts.nonce);
    const values = facts.pcrs.sha256.slice(0, 16).map((value) => fromHex(value));
    expect(toHex(quote.pcrDigest)).toBe(toHex(sha256(concatBytes(...values))));
  });

  test('replays to PCR 0 to 15 of all four banks, without anything odd', () => {
    expect(log.banks).toEqual(BANKS);
    expect(verifyEventLog(log, quoted)).toMatchObject({ ok: true });
    expect(inspectEventLog(log)).toEqual([]);
  });

  test('does not replay when one bit of one register is another', () => {
    for (const [at, { bank, pcr, value }] of quoted.entries()) {
      const changed = quoted.with(at, { bank, pcr, value: value.with(0, (value[0] ?? 0) ^ 1) });
      expect(verifyEventLog(log, changed)).toMatchObject({ ok: false, mismatches: [{ bank, pcr }] });
    }
  });

  test('measured the sections of its boot image, the command line among them', () => {
    const sections = bootOf(name).sections.filter(({ covers }) => covers === 'content');
    expect(sections.map((section) => section.name)).toEqual(['.linux', '.osrel', '.cmdline', '.initrd']);
    const cmdline = sections.find((section) => section.name === '.cmdline')?.digests.sha256;
    expect(toHex(cmdline ?? new Uint8Array(0))).toBe(toHex(sha256(fromUtf8(`${facts.cmdline}\0`))));
  });
});

test('one boot is without Secure Boot, its image comes from outside, and its stub measured the kernel', () => {
  const { secureBoot, bootLoaders, gpt } = bootOf('ovmf-kernel');
  expect(secureBoot).toMatchObject({ enabled: false, db: [], authorities: [], problems: [] });
  expect(bootLoaders.map(({ devicePath }) => devicePath.endsWith('/kernel'))).toEqual([true, false]);
  expect(gpt).toEqual([]);
});

test('the other is under Secure Boot, from a partition that the log names, by an authority of db', () => {
  const { secureBoot, bootLoaders, gpt } = bootOf('ovmf-secure-boot');
  expect(secureBoot).toMatchObject({ enabled: true, problems: [] });
  expect(secureBoot.db?.length).toBeGreaterThan(0);
  expect(secureBoot.authorities).toHaveLength(1);
  expect(bootLoaders.map(({ devicePath }) => devicePath)).toEqual([
    expect.stringContaining('4e454d45-4100-4000-8000-000000000002'),
  ]);
  expect(gpt.flatMap((each) => each.gpt.partitions.map(({ name }) => name))).toEqual(['ESP', 'data']);
});
