import { concatBytes, toHex } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import {
  checkBootAggregate,
  IMA_EXTENSIONS,
  type ImaBank,
  ImaError,
  type ImaList,
  parseImaList,
  parseImaState,
  quotedPcr10,
  replayIma,
  verifyIma,
} from './index.ts';
import {
  digestField,
  digestOf,
  fileEntry,
  nameField,
  pcr10After,
  type WrittenEntry,
  writeAscii,
  writeBinary,
} from './testing.ts';

const BANKS: readonly ImaBank[] = ['sha1', 'sha256', 'sha384', 'sha512', 'sm3_256'];
const boot = (firmware: string): WrittenEntry => ({
  template: 'ima-ng',
  fields: [digestField(digestOf(firmware)), nameField('boot_aggregate')],
});
const ENTRIES: readonly WrittenEntry[] = [
  boot('firmware 1'),
  fileEntry('/init'),
  fileEntry('/var/log/x', '', { violation: true }),
  fileEntry('/bin/sh'),
  fileEntry('/bin/ls'),
];
const parse = (entries: readonly WrittenEntry[], firstNumber = 0): ImaList =>
  parseImaList(writeBinary(entries), { firstNumber });
const quote = (entries: readonly WrittenEntry[], ...banks: ImaBank[]) =>
  quotedPcr10(Object.fromEntries(banks.map((bank) => [bank, pcr10After(entries, bank)])));
const LIST = parse(ENTRIES);

describe('replaying a list', () => {
  test('gives the value of PCR 10 in every bank, violations as ones [IMA-12]', () => {
    const pcrs = replayIma(LIST, BANKS);
    for (const bank of BANKS) {
      expect(toHex(pcrs.get(bank)?.get(10) ?? new Uint8Array()), bank).toBe(toHex(pcr10After(ENTRIES, bank)));
    }
  });

  test.each(['padded', 'padded-legacy'] as const)(
    'gives what kernels extended with %s hashes [IMA-12]',
    (extension) => {
      const pcrs = replayIma(LIST, ['sha1', 'sha256'], { extension });
      expect(pcrs.get('sha1')?.get(10)).toEqual(pcr10After(ENTRIES, 'sha1'));
      expect(pcrs.get('sha256')?.get(10)).toEqual(pcr10After(ENTRIES, 'sha256', extension));
      expect(pcrs.get('sha256')?.get(10)).not.toEqual(pcr10After(ENTRIES, 'sha256'));
    },
  );

  test('gives the same from a list whose template hashes are of another bank', () => {
    const list = parseImaList(writeAscii(ENTRIES, { bank: 'sha256' }));
    for (const extension of IMA_EXTENSIONS) {
      const pcrs = replayIma(list, ['sha1', 'sha384'], { extension });
      expect(pcrs.get('sha1')?.get(10)).toEqual(pcr10After(ENTRIES, 'sha1'));
      expect(pcrs.get('sha384')?.get(10)).toEqual(pcr10After(ENTRIES, 'sha384', extension));
    }
  });

  test('of no entries gives the value after a reset', () => {
    expect(replayIma(parse([])).get('sha1')?.get(10)).toEqual(new Uint8Array(20));
  });

  test('keeps registers apart', () => {
    const pcrs = replayIma(parse([...ENTRIES, fileEntry('/other', '', { pcr: 11 })]), ['sha256']).get(
      'sha256',
    );
    expect(pcrs?.get(10)).toEqual(pcr10After(ENTRIES, 'sha256'));
    expect(pcrs?.get(11)).toEqual(pcr10After([fileEntry('/other', '')], 'sha256'));
  });
});

describe('holding a list against a quote', () => {
  test.each([['sha1'], ['sha256'], ['sha1', 'sha256'], ['sha384', 'sha512', 'sm3_256']] as ImaBank[][])(
    'accepts it in banks %s %s %s',
    (...banks) => {
      const found = verifyIma(LIST, quote(ENTRIES, ...banks.filter((bank) => bank !== undefined)));
      expect(Object.values(found.extensions)).toEqual(Object.values(found.extensions).map(() => 'template'));
      expect(found).toMatchObject({
        ok: true,
        reason: 'OK',
        matched: 5,
        violations: 1,
      });
    },
  );

  test('finds how many entries the quote vouches for when the list grew meanwhile [IMA-13]', () => {
    for (let count = 1; count <= ENTRIES.length; count++) {
      const found = verifyIma(LIST, quote(ENTRIES.slice(0, count), 'sha1', 'sha256'));
      expect(found).toMatchObject({ ok: true, matched: count, from: 0, to: count });
    }
  });

  test('tells how each bank was extended by its value, unless that is not wanted [IMA-12]', () => {
    const quoted = quotedPcr10({
      sha256: pcr10After(ENTRIES, 'sha256', 'padded-legacy'),
      sha384: pcr10After(ENTRIES, 'sha384', 'padded'),
      sha512: pcr10After(ENTRIES, 'sha512'),
    });
    const found = verifyIma(LIST, quoted);
    expect(found).toMatchObject({ ok: true, matched: 5 });
    expect(found.extensions).toEqual({ sha256: 'padded-legacy', sha384: 'padded', sha512: 'template' });
    expect(verifyIma(LIST, quoted, { extensions: ['template'] }).reason).toBe('PCR_MISMATCH');
    const { state } = verifyIma(
      LIST,
      quotedPcr10({ sha256: pcr10After(ENTRIES.slice(0, 2), 'sha256', 'padded') }),
    );
    const tail = parse(ENTRIES.slice(2), 2);
    const later = quotedPcr10({ sha256: pcr10After(ENTRIES, 'sha256', 'padded-legacy') });
    expect(verifyIma(tail, later, { state: state ?? undefined })).toMatchObject({ ok: true, matched: 5 });
  });

  test('refuses it when entries are missing, changed, added or in another order', () => {
    const others = [
      ENTRIES.slice(1),
      ENTRIES.slice(0, -1),
      ENTRIES.toReversed(),
      ENTRIES.with(1, fileEntry('/init', 'other content')),
      [fileEntry('/added'), ...ENTRIES],
      ENTRIES.filter(({ violation }) => violation !== true),
    ];
    for (const entries of others) {
      const found = verifyIma(parse(entries), quote(ENTRIES, 'sha1', 'sha256'));
      expect(found).toMatchObject({ ok: false, reason: 'PCR_MISMATCH', matched: 0, state: null });
    }
  });

  test('refuses it when the banks match at different entries', () => {
    const quoted = quotedPcr10({
      sha1: pcr10After(ENTRIES, 'sha1'),
      sha256: pcr10After(ENTRIES.slice(0, 3), 'sha256'),
    });
    expect(verifyIma(LIST, quoted).reason).toBe('PCR_MISMATCH');
  });

  test('takes a register that was never extended for no proof of anything [IMA-13]', () => {
    expect(verifyIma(LIST, quote([], 'sha256')).reason).toBe('PCR_UNUSED');
    expect(verifyIma(parse([]), quote([], 'sha256'))).toMatchObject({ ok: true, matched: 0 });
  });

  test('finds data that was changed under a template hash that was not [IMA-11]', () => {
    const bytes = writeBinary(ENTRIES);
    const at = new TextDecoder('latin1').decode(bytes).indexOf('/bin/sh');
    bytes[at + 5] = 'z'.charCodeAt(0);
    const found = verifyIma(parseImaList(bytes), quote(ENTRIES, 'sha1'));
    expect(found).toMatchObject({ ok: false, reason: 'BAD_ENTRIES', matched: 5 });
    expect(found.badEntries).toEqual([{ number: 3, reason: 'TEMPLATE_HASH_MISMATCH', path: '/bin/zh' }]);
    expect(verifyIma(parseImaList(bytes), quote(ENTRIES, 'sha256')).reason).toBe('PCR_MISMATCH');
  });

  test('finds a template hash that was zeroed to pass for a violation', () => {
    const entries = ENTRIES.with(3, { ...(ENTRIES[3] as WrittenEntry), violation: true });
    expect(verifyIma(parse(entries), quote(ENTRIES, 'sha1')).reason).toBe('PCR_MISMATCH');
  });

  test('finds entries of registers that were not quoted', () => {
    const entries = [...ENTRIES.slice(0, 2), fileEntry('/aside', '', { pcr: 11 }), ...ENTRIES.slice(2)];
    const found = verifyIma(parse(entries), quote(entries, 'sha256'));
    expect(found.badEntries).toEqual([{ number: 2, reason: 'PCR_NOT_QUOTED', path: '/aside' }]);
    const both = replayIma(parse(entries), ['sha256']);
    expect(verifyIma(parse(entries), both)).toMatchObject({ ok: true, matched: 6 });
  });

  test('needs a quoted value of the right length', () => {
    expect(() => verifyIma(LIST, new Map())).toThrow(ImaError);
    expect(() => verifyIma(LIST, quotedPcr10({ sha256: new Uint8Array(20) }))).toThrow(ImaError);
  });
});

describe('going on from where the last look ended', () => {
  const first = verifyIma(parse(ENTRIES.slice(0, 2)), quote(ENTRIES.slice(0, 2), 'sha1', 'sha256'));
  const state = parseImaState(JSON.parse(JSON.stringify(first.state)));

  test('takes only the tail of the list [IMA-14]', () => {
    const found = verifyIma(parse(ENTRIES.slice(2), 2), quote(ENTRIES, 'sha1', 'sha256'), { state });
    expect(found).toMatchObject({ ok: true, matched: 5, from: 0, to: 3, restarted: false });
    expect(found.state?.bootAggregate).toBe(state.bootAggregate);
  });

  test('takes the whole list, and judges only what is new', () => {
    const found = verifyIma(LIST, quote(ENTRIES, 'sha256'), { state });
    expect(found).toMatchObject({ ok: true, matched: 5, from: 2, to: 5, restarted: false });
  });

  test('is content when nothing came in addition, with an empty tail too', () => {
    const quoted = quote(ENTRIES.slice(0, 2), 'sha256');
    expect(verifyIma(LIST, quoted, { state })).toMatchObject({ ok: true, matched: 2, from: 2, to: 2 });
    expect(verifyIma(parse([]), quoted, { state })).toMatchObject({ ok: true, matched: 2 });
  });

  test('starts anew after a restart of the machine, with the same firmware or with another', () => {
    for (const firmware of ['firmware 1', 'firmware 2']) {
      const entries = [boot(firmware), fileEntry('/init2'), fileEntry('/bin/sh')];
      const found = verifyIma(parse(entries), quote(entries, 'sha256'), { state });
      expect(found).toMatchObject({ ok: true, matched: 3, from: 0, restarted: true });
      expect(found.state?.bootAggregate).toContain(toHex(digestOf(firmware)));
    }
    const short = [boot('firmware 1')];
    expect(verifyIma(parse(short), quote(short, 'sha256'), { state })).toMatchObject({
      matched: 1,
      restarted: true,
    });
  });

  test('refuses a tail with a gap before it, and one that does not follow', () => {
    const quoted = quote(ENTRIES, 'sha256');
    expect(verifyIma(parse(ENTRIES.slice(3), 3), quoted, { state }).reason).toBe('LIST_GAP');
    expect(verifyIma(parse(ENTRIES.slice(3), 2), quoted, { state }).reason).toBe('PCR_MISMATCH');
    expect(verifyIma(parse(ENTRIES.slice(2), 2), quoted).reason).toBe('LIST_GAP');
  });

  test('starts anew for a bank that was not quoted before', () => {
    expect(verifyIma(LIST, quote(ENTRIES, 'sha384'), { state })).toMatchObject({ ok: true, from: 0, to: 5 });
  });

  test.each([
    ['nothing', null],
    ['another version', { ...state, version: 2 }],
    ['a PCR that no TPM has', { ...state, pcrs: { sha1: { 99: '00'.repeat(20) } } }],
    ['a value of another bank', { ...state, pcrs: { sha256: { 10: '00'.repeat(20) } } }],
    ['more than it should', { ...state, trusted: true }],
  ])('refuses a state of %s', (_what, value) => {
    expect(() => parseImaState(value)).toThrow(ImaError);
  });
});

describe('boot_aggregate', () => {
  const pcrs = (bank: ImaBank, count: number) =>
    new Map([[bank, new Map(Array.from({ length: count }, (_, i) => [i, digestOf(`pcr ${i}`, bank)]))]]);
  const aggregate = (bank: ImaBank, count: number) => ({
    type: 'ima' as const,
    algorithm: bank,
    value: hash(bank, count),
  });
  const hash = (bank: ImaBank, count: number): Uint8Array => {
    const values = [...(pcrs(bank, count).get(bank)?.values() ?? [])];
    return digestOf(concatBytes(...values), bank);
  };

  test.each([
    ['sha1', 8],
    ['sha256', 8],
    ['sha256', 10],
    ['sha512', 10],
  ] as const)('of %s over %i registers is checked against them [IMA-15]', (bank, count) => {
    expect(checkBootAggregate(aggregate(bank, count), pcrs(bank, 10))).toEqual({
      ok: true,
      reason: 'OK',
      pcrCount: count,
    });
  });

  test('of other firmware is refused', () => {
    expect(
      checkBootAggregate({ ...aggregate('sha256', 8), value: digestOf('x') }, pcrs('sha256', 10)).reason,
    ).toBe('MISMATCH');
  });

  test('of SHA-1 never covers registers 8 and 9', () => {
    expect(checkBootAggregate(aggregate('sha1', 10), pcrs('sha1', 10)).reason).toBe('MISMATCH');
  });

  test('cannot be checked without the registers of its bank', () => {
    expect(checkBootAggregate(aggregate('sha256', 10), pcrs('sha1', 10)).reason).toBe('PCRS_MISSING');
    expect(checkBootAggregate(aggregate('sha256', 8), pcrs('sha256', 7)).reason).toBe('PCRS_MISSING');
    // PCR 0 to 7 alone do not refute what may cover PCR 8 and 9 as well.
    expect(checkBootAggregate(aggregate('sha256', 10), pcrs('sha256', 8)).reason).toBe('PCRS_MISSING');
  });
});
