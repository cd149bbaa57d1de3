import { concatBytes, fromUtf8, toHex } from '@nemea/core';
import type { PcrSelection } from '@nemea/tpm/structures';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AttestationError } from '../errors.ts';
import { algorithmOf, BANKS, type Bank, idOfBank } from '../eventlog/algorithms.ts';
import type { QuotedPcr } from '../eventlog/model.ts';
import { parsePcrFile } from './pcr-file.ts';
import { describeSelection, parseSelection } from './pcrs.ts';

const selection = fc.uniqueArray(
  fc.record({
    hashAlg: fc.constantFrom(...BANKS).map(idOfBank),
    pcrs: fc.uniqueArray(fc.nat(23), { minLength: 1 }).map((pcrs) => pcrs.sort((a, b) => a - b)),
  }),
  { selector: ({ hashAlg }) => hashAlg, minLength: 1, maxLength: 4 },
);

function valuesOf(selections: readonly PcrSelection[]): QuotedPcr[] {
  return selections.flatMap(({ hashAlg, pcrs }, index) => {
    const bank = BANKS.find((it) => idOfBank(it) === hashAlg) as Bank;
    const { digestBytes } = algorithmOf(bank);
    return pcrs.map((pcr) => ({ bank, pcr, value: new Uint8Array(digestBytes).fill(16 * index + pcr) }));
  });
}

/** As tpm2_quote 5 lays it out in memory. */
function serialized(selections: readonly PcrSelection[], values: readonly QuotedPcr[]): Uint8Array {
  const lists = Math.ceil(values.length / 8);
  const file = new Uint8Array(132 + 4 + lists * 532);
  const view = new DataView(file.buffer);
  view.setUint32(0, selections.length, true);
  selections.forEach(({ hashAlg, pcrs }, i) => {
    view.setUint16(4 + 8 * i, hashAlg, true);
    view.setUint8(6 + 8 * i, 3);
    view.setUint32(
      7 + 8 * i,
      pcrs.reduce((bits, pcr) => bits | (1 << pcr), 0),
      true,
    );
  });
  view.setUint32(132, lists, true);
  values.forEach(({ value }, i) => {
    const list = 136 + 532 * Math.floor(i / 8);
    view.setUint32(list, (i % 8) + 1, true);
    view.setUint16(list + 4 + 66 * (i % 8), value.length, true);
    file.set(value, list + 6 + 66 * (i % 8));
  });
  return file;
}

const byPlace = (a: QuotedPcr, b: QuotedPcr): number => a.bank.localeCompare(b.bank) || a.pcr - b.pcr;

test('PCR values are the same from each kind of file', () => {
  fc.assert(
    fc.property(selection, (selections) => {
      const values = valuesOf(selections);
      const json: Record<string, Record<string, string>> = {};
      for (const { bank, pcr, value } of values) json[bank] = { ...json[bank], [pcr]: toHex(value) };
      const bare = concatBytes(...values.map(({ value }) => value));
      expect(parsePcrFile(bare, selections)).toEqual(values);
      expect(parsePcrFile(serialized(selections, values), selections)).toEqual(values);
      const fromJson = parsePcrFile(fromUtf8(JSON.stringify(json)), []);
      expect(fromJson.sort(byPlace)).toEqual(values.sort(byPlace));
    }),
  );
});

test('a PCR file is read, or refused with one code', () => {
  const mutated = fc.tuple(selection, fc.nat(), fc.nat(255)).map(([selections, at, byte]) => {
    const file = serialized(selections, valuesOf(selections));
    return file.with(at % file.length, byte);
  });
  const text = fc.oneof(
    fc.json(),
    fc.dictionary(fc.constantFrom(...BANKS, '__proto__'), fc.jsonValue()).map((it) => JSON.stringify(it)),
  );
  const file = fc.oneof(mutated, text.map(fromUtf8), fc.uint8Array({ maxLength: 700 }));
  fc.assert(
    fc.property(file, selection, (bytes, selections) => {
      try {
        for (const { bank, pcr, value } of parsePcrFile(bytes, selections)) {
          expect(value.length).toBe(algorithmOf(bank).digestBytes);
          expect(pcr).toBeLessThan(24);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(AttestationError);
        expect(error).toMatchObject({ code: 'PCRS_INVALID' });
      }
    }),
    { numRuns: 500 },
  );
});

test('a PCR file names the first thing that is wrong with it', () => {
  const selections = parseSelection('sha256:0');
  const file = serialized(selections, valuesOf(selections));
  const refused = (bytes: Uint8Array): string => {
    try {
      parsePcrFile(bytes, []);
    } catch (error) {
      return (error as Error).message;
    }
    return 'accepted';
  };
  expect(refused(file.with(0, 17))).toMatch(/17 banks/);
  expect(refused(file.with(136, 9))).toMatch(/9 digests in one list/);
  expect(refused(file.with(136, 2))).toMatch(/2 digests for 1 PCRs/);
  expect(refused(file.with(140, 20))).toMatch(/sha256:0: got 20 bytes, want 32/);
  expect(refused(file.with(141, 1))).toMatch(/digest of 288 bytes/);
  expect(refused(file.with(10, 1))).toMatch(/PCR 0 to 23/);
  expect(refused(fromUtf8('{"md5": {}}'))).toMatch(/want JSON/);
  expect(refused(fromUtf8('{"sha1": {"24": ""}}'))).toMatch(/want JSON/);
  expect(refused(fromUtf8('{"sha1": {"0": "00"}}'))).toMatch(/got 1 bytes, want 20/);
  expect(refused(new Uint8Array(70_000))).toMatch(/at most/);
});

test('a selection reads as it is written', () => {
  fc.assert(
    fc.property(selection, (selections) => {
      expect(parseSelection(describeSelection(selections))).toEqual(selections);
    }),
  );
  expect(parseSelection('sha256:0-7,14+sha1:3')).toEqual([
    { hashAlg: 0x000b, pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 14] },
    { hashAlg: 0x0004, pcrs: [3] },
  ]);
  for (const bad of [
    '',
    'sha256',
    'sha256:',
    'sha256:24',
    'sha256:7-0',
    'md5:0',
    'sha256:0+',
    'sha256:0:1',
    'sha256:a',
  ]) {
    expect(() => parseSelection(bad), bad).toThrow(AttestationError);
  }
});
