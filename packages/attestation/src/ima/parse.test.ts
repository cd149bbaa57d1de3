import { fromUtf8, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { findBadEntries, IMA_BYTES_MAX, ImaError, parseImaList } from './index.ts';
import {
  bufferEntry,
  digestField,
  digestOf,
  fileEntry,
  hexField,
  integer,
  integerField,
  nameField,
  templateDataOf,
  type WrittenEntry,
  writeAscii,
  writeBinary,
} from './testing.ts';

const SHA1 = digestOf('content', 'sha1');
const EVM: WrittenEntry = {
  template: 'evm-sig',
  fields: [
    digestField(digestOf('a')),
    nameField('/usr/bin/a'),
    hexField(Uint8Array.of(5, 2, 4, 1, 2, 3, 4, 0, 1, 9)),
    { bytes: fromUtf8('security.selinux|security.ima\0'), text: 'security.selinux|security.ima' },
    hexField(Uint8Array.of(3, 0, 0, 0, 2, 0, 0, 0)),
    hexField(Uint8Array.of(1, 2, 3, 4, 5)),
    integerField(1000, 4),
    integerField(100, 4),
    integerField(0o100755, 2),
  ],
};
/** One of every template that kernels have built in, and a custom one. */
const ENTRIES: readonly WrittenEntry[] = [
  { template: 'ima', fields: [hexField(SHA1), nameField('/init')] },
  fileEntry('/usr/bin/a'),
  { template: 'ima-ngv2', fields: [digestField(digestOf('v'), 'sha256', 'verity'), nameField('/v')] },
  {
    template: 'ima-sig',
    fields: [digestField(SHA1, 'sha1'), nameField('/s'), hexField(Uint8Array.of(3, 2))],
  },
  { template: 'ima-sig', fields: [digestField(digestOf('t')), nameField('/t'), hexField(new Uint8Array())] },
  {
    template: 'ima-sigv2',
    fields: [digestField(digestOf('u'), 'sha256', 'ima'), nameField('/u'), hexField(Uint8Array.of(6))],
  },
  bufferEntry('kexec-cmdline', fromUtf8('root=/dev/sda1')),
  {
    template: 'ima-modsig',
    fields: [
      digestField(digestOf('m', 'sha512'), 'sha512'),
      nameField('/m.ko'),
      hexField(new Uint8Array()),
      digestField(digestOf('n', 'sha384'), 'sha384'),
      hexField(Uint8Array.of(0x30, 0)),
    ],
  },
  EVM,
  fileEntry('/log', '', { violation: true }),
  { template: 'd-ng|n-ng|iuid', fields: [digestField(digestOf('c')), nameField('/c'), integerField(7, 4)] },
  fileEntry('/other-pcr', '', { pcr: 9 }),
];

describe('both forms of a list', () => {
  test('say the same of every template [IMA-7]', () => {
    const [ascii, binary] = [parseImaList(writeAscii(ENTRIES)), parseImaList(writeBinary(ENTRIES))];
    expect(ascii.form).toBe('ascii');
    expect(binary.form).toBe('binary');
    expect(ascii.entries).toEqual(binary.entries);
    expect(ascii.entries.map(({ templateData }) => toHex(templateData))).toEqual(
      ENTRIES.map((entry) => toHex(templateDataOf(entry))),
    );
    expect(findBadEntries(ascii)).toEqual([]);
  });

  test('give typed fields', () => {
    const { entries } = parseImaList(writeBinary(ENTRIES));
    expect(entries.map(({ fields }) => fields.kind)).toEqual(
      ENTRIES.map(({ template }) => (template === 'ima-buf' ? 'buffer' : 'file')),
    );
    expect(entries[0]?.fields).toMatchObject({ path: '/init', digest: { algorithm: 'sha1', value: SHA1 } });
    expect(entries[2]?.fields).toMatchObject({ digest: { type: 'verity', algorithm: 'sha256' } });
    expect(entries[4]?.fields).toMatchObject({ signature: null });
    expect(entries[6]?.fields).toMatchObject({ name: 'kexec-cmdline', buffer: fromUtf8('root=/dev/sda1') });
    expect(entries[7]?.fields).toMatchObject({
      modsig: { digest: { algorithm: 'sha384' } },
      signature: null,
    });
    expect(entries[8]?.fields).toMatchObject({
      evm: {
        uid: 1000,
        gid: 100,
        mode: 0o100755,
        xattrNames: ['security.selinux', 'security.ima'],
        xattrValues: [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)],
      },
    });
    expect(entries.map(({ violation }) => violation).indexOf(true)).toBe(9);
    expect(entries.map(({ pcr }) => pcr).indexOf(9)).toBe(11);
  });

  test('are read in big-endian order when they are of such a machine [IMA-5]', () => {
    const entries = ENTRIES.filter((entry) => entry !== EVM && entry.template !== 'd-ng|n-ng|iuid');
    const binary = parseImaList(writeBinary(entries, { order: 'big' }));
    expect(binary.byteOrder).toBe('big');
    expect(findBadEntries(binary)).toEqual([]);
    const text = writeAscii(entries, { order: 'big' });
    expect(findBadEntries(parseImaList(text, { byteOrder: 'big' }))).toEqual([]);
    expect(findBadEntries(parseImaList(text, { byteOrder: 'little' })).length).toBeGreaterThan(0);
    expect(parseImaList(text)).toEqual(parseImaList(text, { byteOrder: 'big' }));
  });

  test('in ASCII are read in the order that gives the hashes of the first lines, little if none does [IMA-5]', () => {
    const [legacy, ...others] = ENTRIES.filter(({ template }) => template === 'ima');
    const quiet = [...(legacy === undefined ? [] : [legacy]), ...others];
    expect(quiet.length).toBeGreaterThan(0);
    expect(parseImaList(writeAscii(quiet, { order: 'big' })).byteOrder).toBe('little');
    const late = [...quiet, fileEntry('/late')];
    expect(parseImaList(writeAscii(late, { order: 'big' })).byteOrder).toBe('big');
    const tampered = new TextDecoder().decode(writeAscii(late)).replaceAll('/late', '/lame');
    expect(parseImaList(fromUtf8(tampered)).byteOrder).toBe('little');
    const unhashable = { templateHashAlgorithm: 'sha256' } as const;
    expect(() => parseImaList(writeAscii(late), unhashable)).toThrow(
      expect.objectContaining({ code: 'IMA_LINE_INVALID' }),
    );
  });

  test.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)(
    'are read with template hashes of %s [IMA-5]',
    (bank) => {
      for (const bytes of [writeAscii(ENTRIES, { bank }), writeBinary(ENTRIES, { bank })]) {
        const list = parseImaList(bytes);
        expect(list.templateHashAlgorithm).toBe(bank);
        expect(findBadEntries(list)).toEqual([]);
      }
    },
  );

  test('of SM3 template hashes have to be said to be so, for they are as long as SHA-256', () => {
    const bytes = writeBinary(ENTRIES, { bank: 'sm3_256' });
    expect(findBadEntries(parseImaList(bytes)).length).toBeGreaterThan(0);
    expect(findBadEntries(parseImaList(bytes, { templateHashAlgorithm: 'sm3_256' }))).toEqual([]);
  });

  test('may be empty: that is a list of no entries [IMA-3]', () => {
    expect(parseImaList(new Uint8Array()).entries).toEqual([]);
    expect(parseImaList(new Uint8Array(), { form: 'binary' }).entries).toEqual([]);
  });

  test('are numbered on when they are the tail of a list', () => {
    const { entries } = parseImaList(writeAscii(ENTRIES.slice(0, 2)), { firstNumber: 40 });
    expect(entries.map(({ number }) => number)).toEqual([40, 41]);
  });
});

describe('an unknown template', () => {
  const entry: WrittenEntry = { template: 'vendor', fields: [nameField('x'), hexField(Uint8Array.of(1))] };

  test('is kept raw in a binary list, where its hash can still be checked [IMA-6]', () => {
    const list = parseImaList(writeBinary([entry]));
    expect(list.entries[0]?.fields).toEqual({ kind: 'unknown' });
    expect(findBadEntries(list)).toEqual([]);
  });

  test('is refused in an ASCII list, because its data cannot be built from the text', () => {
    expect(codeOf(() => parseImaList(writeAscii([entry])))).toBe('IMA_TEMPLATE_UNKNOWN');
  });
});

describe('text of an ASCII list', () => {
  const lines = (entries: readonly WrittenEntry[]): string => new TextDecoder().decode(writeAscii(entries));
  const parse = (text: string) => parseImaList(fromUtf8(text));

  test('may lack the last line feed, and may have CR LF at every line [IMA-4]', () => {
    const text = lines(ENTRIES);
    const expected = parse(text).entries;
    expect(parse(text.slice(0, -1)).entries).toEqual(expected);
    expect(parse(text.replaceAll('\n', '\r\n')).entries).toEqual(expected);
  });

  test('keeps CR in a file name when lines end in LF alone [IMA-4]', () => {
    const { entries } = parse(lines([fileEntry('/a'), fileEntry('/b\r')]));
    expect(entries[1]?.fields).toMatchObject({ path: '/b\r' });
  });

  test('may have lost the spaces of empty last fields [IMA-9]', () => {
    const text = lines(ENTRIES.slice(4, 5)).replace(/ \n/, '\n');
    expect(findBadEntries(parse(text))).toEqual([]);
  });

  test('of nothing but spaces is refused, and each space takes no memory [IMA-2]', () => {
    const spaces = new Uint8Array(IMA_BYTES_MAX).fill(0x20);
    spaces.set(fromUtf8(`10 ${toHex(SHA1)} ima-ng `));
    expect(() => parseImaList(spaces)).toThrow(ImaError);
  });

  test('gives further spaces to the file name [IMA-9]', () => {
    const named = [
      fileEntry('/tmp/a b  c'),
      {
        template: 'ima-sig',
        fields: [digestField(SHA1, 'sha1'), nameField('/d e'), hexField(Uint8Array.of(3))],
      },
    ];
    const list = parse(lines(named));
    expect(findBadEntries(list)).toEqual([]);
    expect(list.entries.map(({ fields }) => (fields.kind === 'file' ? fields.path : ''))).toEqual([
      '/tmp/a b  c',
      '/d e',
    ]);
  });

  test('is a bad line where a file name holds a line feed: such lists are to be read in binary [IMA-10]', () => {
    const entries = [fileEntry('/tmp/a\nb')];
    expect(codeOf(() => parseImaList(writeAscii(entries)))).toBe('IMA_LINE_INVALID');
    const list = parseImaList(writeBinary(entries));
    expect(list.entries[0]?.fields).toMatchObject({ path: '/tmp/a\nb' });
  });

  test('that a file name forges a line with leaves a bad entry behind [IMA-10]', () => {
    const forged = lines([fileEntry('/bin/good')]).trimEnd();
    const list = parseImaList(writeAscii([fileEntry(`/tmp/x\n${forged}`)]));
    expect(list.entries.length).toBe(2);
    expect(findBadEntries(list).map(({ number }) => number)).toEqual([0]);
  });

  test.each([
    ['\n', 'an empty line'],
    ['10 aa\n', 'too few fields'],
    [`10 ${'00'.repeat(20)} ima-ng \n`, 'no fields'],
    [`10 ${'0'.repeat(39)} ima-ng sha1:00 /a\n`, 'an odd number of digits'],
    [`10 ${'zz'.repeat(20)} ima-ng sha1:00 /a\n`, 'no hex'],
    [`32 ${'00'.repeat(20)} ima-ng sha1:${'00'.repeat(20)} /a\n`, 'no such PCR'],
    [`-1 ${'00'.repeat(20)} ima-ng sha1:${'00'.repeat(20)} /a\n`, 'a negative PCR'],
    [`10 ${'00'.repeat(21)} ima-ng sha1:${'00'.repeat(20)} /a\n`, 'a template hash of no known length'],
    [`10 ${'00'.repeat(20)} ima-ng sha1:0g /a\n`, 'a digest that is no hex'],
    [`10 ${'00'.repeat(20)} ima-ng sha512:${'00'.repeat(65)} /a\n`, 'a digest longer than any hash'],
    [
      `10 ${'00'.repeat(20)} ima ${'00'.repeat(20)} /${'a'.repeat(300)}\n`,
      'a name too long for its template',
    ],
    [
      `10 ${'00'.repeat(20)} ima-ng sha1:${'00'.repeat(20)} /a\n10 ${'00'.repeat(32)} ima-ng sha1:${'00'.repeat(20)} /b\n`,
      'template hashes of two lengths',
    ],
  ])('is refused: %j (%s)', (text) => {
    expect(['IMA_LINE_INVALID', 'IMA_TEMPLATE_INVALID']).toContain(codeOf(() => parse(text)));
  });
});

describe('bytes of a binary list [IMA-1]', () => {
  const one = writeBinary([fileEntry('/usr/bin/a')]);

  test('are refused wherever they are cut short', () => {
    for (let end = 1; end < one.length; end++) {
      expect(codeOf(() => parseImaList(one.subarray(0, end), { form: 'binary' }))).toBe('IMA_TRUNCATED');
    }
  });

  test.each([
    ['a length of 4 GiB', 34, 'IMA_TOO_LARGE'],
    ['a template name of 4 GiB', 24, 'IMA_ENTRY_INVALID'],
    ['a field of 4 GiB', 38, 'IMA_TEMPLATE_INVALID'],
  ])('are refused for %s without taking memory for it', (_what, offset, code) => {
    const bytes = one.slice();
    bytes.set([0xff, 0xff, 0xff, 0xff], offset);
    expect(codeOf(() => parseImaList(bytes))).toBe(code);
  });

  test('are refused for a PCR that no TPM has', () => {
    expect(codeOf(() => parseImaList(integerThen(64, one), { byteOrder: 'little' }))).toBe(
      'IMA_ENTRY_INVALID',
    );
  });

  test('are refused when there are too many', () => {
    expect(codeOf(() => parseImaList(new Uint8Array(IMA_BYTES_MAX + 1)))).toBe('IMA_TOO_LARGE');
  });

  test('of a name without its NUL, or with one inside, are refused', () => {
    const entry = (bytes: Uint8Array): Uint8Array =>
      writeBinary([{ template: 'ima-ng', fields: [digestField(SHA1, 'sha1'), { bytes, text: '' }] }]);
    expect(codeOf(() => parseImaList(entry(fromUtf8('/a'))))).toBe('IMA_TEMPLATE_INVALID');
    expect(codeOf(() => parseImaList(entry(fromUtf8('/a\0/b\0'))))).toBe('IMA_TEMPLATE_INVALID');
  });

  test('of a name that is no UTF-8 are shown one by one [IMA-8]', () => {
    const bytes = Uint8Array.of(0x2f, 0xe9, 0x00);
    const list = parseImaList(
      writeBinary([{ template: 'ima-ng', fields: [digestField(SHA1, 'sha1'), { bytes, text: '' }] }]),
    );
    expect(list.entries[0]?.fields).toMatchObject({ path: '/\\xe9' });
    expect(findBadEntries(list)).toEqual([]);
  });
});

function integerThen(value: number, rest: Uint8Array): Uint8Array {
  const bytes = rest.slice();
  bytes.set(integer(value, 4, 'little'));
  return bytes;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ImaError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}
