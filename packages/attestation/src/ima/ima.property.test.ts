import { concatBytes, fromUtf8 } from '@nemea/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  appraiseIma,
  findBadEntries,
  type ImaBank,
  ImaError,
  type ImaList,
  parseImaKeys,
  parseImaList,
  parseImaPolicy,
  parseImaState,
  quotedPcr10,
  replayIma,
  verifyFileSignature,
  verifyIma,
} from './index.ts';
import {
  bufferEntry,
  digestField,
  fileEntry,
  hexField,
  integerField,
  nameField,
  pcr10After,
  type WrittenEntry,
  writeAscii,
  writeBinary,
} from './testing.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const digest = fc
  .tuple(
    fc.uint8Array({ minLength: 20, maxLength: 64 }),
    fc.constantFrom('sha256', 'sha1', 'md5', 'whirlpool'),
  )
  .map(([value, algorithm]) => digestField(value, algorithm));
/** Names as kernels write them: any text without NUL, line feed and space. */
const name = fc
  .string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
  .map((text) => nameField(text.replaceAll(/[\0\n\r ]/g, '_')));
const hex = bytes(40).map(hexField);
const u32 = fc.integer({ min: 0, max: 0xffffffff }).map((value) => integerField(value, 4));
const u16 = fc.integer({ min: 0, max: 0xffff }).map((value) => integerField(value, 2));
const entryOf = (template: string, ...fields: Parameters<typeof fc.tuple>) =>
  fc.record({
    template: fc.constant(template),
    fields: fc.tuple(...fields) as fc.Arbitrary<WrittenEntry['fields']>,
    pcr: fc.constantFrom(10, 10, 10, 11),
    violation: fc.boolean(),
  });
const entry: fc.Arbitrary<WrittenEntry> = fc.oneof(
  entryOf('ima-ng', digest, name),
  entryOf('ima-sig', digest, name, hex),
  entryOf('ima-modsig', digest, name, hex, digest, hex),
  entryOf('d-ng|n-ng|iuid|igid|imode', digest, name, u32, u32, u16),
  entryOf('ima', fc.uint8Array({ minLength: 20, maxLength: 20 }).map(hexField), name),
  fc.tuple(name, bytes(40)).map(([{ text }, buffer]) => bufferEntry(text, buffer)),
);
const entries = fc.array(entry, { maxLength: 12 });
const bank = fc.constantFrom<ImaBank>('sha1', 'sha256', 'sha384', 'sha512');

/** What may be thrown, and everything that is done with a list when nothing is. */
function survives(action: () => ImaList): void {
  try {
    const list = action();
    findBadEntries(list);
    const pcrs = replayIma(list);
    const verification = verifyIma(list, pcrs);
    const policy = parseImaPolicy({ version: 1, exclude: ['/a*/**'], buffers: { '*': 'any' } });
    appraiseIma(list, { policy, verification, pcrs });
    for (const { fields } of list.entries) if (fields.kind === 'file') verifyFileSignature(fields, []);
  } catch (error) {
    expect(error).toBeInstanceOf(ImaError);
  }
}

describe('any list', () => {
  test('that a kernel writes is read alike in both forms, and has no bad entry', () => {
    fc.assert(
      fc.property(entries, bank, (written, hash) => {
        const binary = parseImaList(writeBinary(written, { bank: hash }), {
          form: 'binary',
          templateHashAlgorithm: hash,
        });
        const ascii = parseImaList(writeAscii(written, { bank: hash }), { templateHashAlgorithm: hash });
        expect(ascii.entries).toEqual(binary.entries);
        expect(findBadEntries(ascii)).toEqual([]);
        expect(binary.entries.map(({ template }) => template)).toEqual(
          written.map(({ template }) => template),
        );
      }),
    );
  });

  test('is explained by a quote of any number of its entries, in one look or in two', () => {
    fc.assert(
      fc.property(
        fc.array(entryOf('ima-ng', digest, name), { minLength: 1, maxLength: 12 }),
        bank,
        fc.nat(),
        fc.nat(),
        (written, hash, a, b) => {
          const all = written.map((one) => ({ ...one, pcr: 10 }));
          const [first, last] = [1 + (a % all.length), 1 + (b % all.length)].sort((x, y) => x - y) as [
            number,
            number,
          ];
          const quoted = (count: number) => quotedPcr10({ [hash]: pcr10After(all.slice(0, count), hash) });
          const list = parseImaList(writeBinary(all), { form: 'binary' });
          const one = verifyIma(list, quoted(first));
          expect(one).toMatchObject({ ok: true, matched: first });
          const state = parseImaState(JSON.parse(JSON.stringify(one.state)));
          const tail = parseImaList(writeBinary(all.slice(first)), { form: 'binary', firstNumber: first });
          for (const later of [list, tail]) {
            expect(verifyIma(later, quoted(last), { state })).toMatchObject({
              ok: true,
              matched: last,
              restarted: false,
            });
          }
        },
      ),
    );
  });

  test('that was changed anywhere is refused by the quote, or has a bad entry, or differs in nothing', () => {
    const written = [
      fileEntry('/a'),
      bufferEntry('b', fromUtf8('c')),
      fileEntry('/d', '', { violation: true }),
    ];
    const binary = writeBinary(written);
    const original = parseImaList(binary);
    const quoted = replayIma(original);
    fc.assert(
      fc.property(fc.nat(binary.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = binary.slice();
        changed[at] = (changed[at] as number) ^ flip;
        try {
          const list = parseImaList(changed, {
            form: 'binary',
            byteOrder: 'little',
            templateHashAlgorithm: 'sha1',
          });
          // Nothing covers the template's name, nor the data of a violation.
          if (verifyIma(list, quoted).ok) {
            const covered = ({ templateHash, pcr, violation, templateData }: ImaList['entries'][number]) =>
              violation ? { templateHash, pcr } : { templateHash, pcr, templateData };
            expect(list.entries.map(covered)).toEqual(original.entries.map(covered));
          }
        } catch (error) {
          expect(error).toBeInstanceOf(ImaError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('whatever bytes there are', () => {
  test('nothing but ImaError is thrown, by no part', () => {
    fc.assert(
      fc.property(
        bytes(400),
        fc.constantFrom<'ascii' | 'binary' | undefined>('ascii', 'binary', undefined),
        (input, form) => survives(() => parseImaList(input, form === undefined ? {} : { form })),
      ),
      { numRuns: 2000 },
    );
  });

  test('nothing but ImaError is thrown for lists with changes', () => {
    const change = fc.record({ at: fc.nat(), removed: fc.nat(8), added: bytes(8) });
    fc.assert(
      fc.property(entries, fc.boolean(), fc.array(change, { maxLength: 4 }), (written, ascii, changes) => {
        let input = ascii ? writeAscii(written) : writeBinary(written);
        for (const { at, removed, added } of changes) {
          const start = at % (input.length + 1);
          input = concatBytes(input.subarray(0, start), added, input.subarray(start + removed));
        }
        survives(() => parseImaList(input));
      }),
      { numRuns: 1000 },
    );
  });

  test('nothing but ImaError is thrown for keys', () => {
    const der = bytes(200).map((content) => concatBytes(Uint8Array.of(0x30, 0x81, content.length), content));
    fc.assert(
      fc.property(fc.oneof(bytes(200), der), (input) => {
        try {
          parseImaKeys(input);
        } catch (error) {
          expect(error).toBeInstanceOf(ImaError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a signature of them is refused and not thrown over', () => {
    fc.assert(
      fc.property(bytes(300), bytes(100), (signature, pkcs7) => {
        const value = new Uint8Array(32);
        const measured = { type: 'ima', algorithm: 'sha256', value } as const;
        const fields = {
          kind: 'file',
          digest: measured,
          path: '/a',
          signature,
          modsig: { digest: measured, pkcs7 },
          evm: null,
        } as const;
        expect(verifyFileSignature(fields, []).valid).toBe(false);
      }),
    );
  });
});
