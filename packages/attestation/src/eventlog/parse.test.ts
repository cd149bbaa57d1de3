import { concatBytes, fromUtf8 } from '@nemea/core';
import { describe, expect, test } from 'vitest';
import { EVENTLOG_LIMITS, EventLogError, parseEventLog, replayEventLog } from './index.ts';
import {
  action,
  agileRecord,
  bootEvents,
  noAction,
  separator,
  sha1Record,
  specIdData,
  startupLocality,
  u16,
  u32,
  writeAgileLog,
  writeSha1Log,
} from './testing.ts';

const LOG = writeAgileLog(['sha1', 'sha256'], bootEvents(40));
const HEADER_BYTES = writeAgileLog(['sha1', 'sha256'], []).length;
const ZERO_DIGEST = new Uint8Array(20);
const ZERO_RECORD_BYTES = 32;

function codeOf(bytes: Uint8Array, options: Parameters<typeof parseEventLog>[1] = {}): string {
  try {
    parseEventLog(bytes, options);
  } catch (error) {
    if (error instanceof EventLogError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

function quirksOf(bytes: Uint8Array): string[] {
  return parseEventLog(bytes).findings.map(({ quirk }) => quirk);
}

/** A log whose header has these bytes behind the Spec ID's fixed fields. */
function withHeader(algorithms: Uint8Array): Uint8Array {
  const fixed = specIdData(['sha256']).subarray(0, 24);
  return sha1Record(0, 3, ZERO_DIGEST, concatBytes(fixed, algorithms));
}

describe('a whole log [LOG-1]', () => {
  test('gives its events in order, with offsets and digests', () => {
    const log = parseEventLog(LOG);
    expect(log.format).toBe('crypto-agile');
    expect(log.banks).toEqual(['sha1', 'sha256']);
    expect(log.specId?.version).toBe('2.0.106');
    expect(log.startupLocality).toBe(3);
    expect(log.events.map(({ number }) => number)).toEqual([...Array(40).keys()]);
    expect(log.events[1]).toMatchObject({ pcr: 0, typeName: 'EV_NO_ACTION', offset: HEADER_BYTES });
    expect(log.findings).toEqual([]);
  });

  test('of SHA-1 alone needs no header [LOG-2]', () => {
    const log = parseEventLog(writeSha1Log([action(4, 'boot'), separator(4)]));
    expect({ format: log.format, banks: log.banks, specId: log.specId }).toEqual({
      format: 'sha1',
      banks: ['sha1'],
      specId: null,
    });
    expect(log.findings.map(({ quirk }) => quirk)).toEqual(['header-missing']);
  });

  test('of SHA-1 alone may have the header of its time', () => {
    const header = concatBytes(fromUtf8('Spec ID Event02\0'), u32(0), Uint8Array.of(2, 1, 2, 2, 0));
    const log = parseEventLog(writeSha1Log([{ pcr: 0, type: 'EV_NO_ACTION', data: header }, separator(4)]));
    expect(log.specId).toMatchObject({ signature: 'Spec ID Event02', version: '1.2.2', uintnBytes: 8 });
    expect(log.format).toBe('sha1');
  });

  test('keeps nothing of the input, not even of a Buffer', () => {
    const bytes = Buffer.from(LOG);
    const log = parseEventLog(bytes);
    const before = log.events[5]?.data.slice();
    bytes.fill(0);
    expect(log.events[5]?.data).toEqual(before);
  });

  test('may have any bank that a TPM can have', () => {
    const banks = ['sha384', 'sha512', 'sm3_256', 'sha3_256', 'sha3_384', 'sha3_512'] as const;
    expect(parseEventLog(writeAgileLog(banks, bootEvents(40))).banks).toEqual(banks);
  });
});

describe('a log that is cut [LOG-4]', () => {
  test('at any place but between two events is refused', () => {
    const bounds = new Set(parseEventLog(LOG).events.map(({ offset }) => offset));
    for (let length = 1; length < LOG.length; length++) {
      if (!bounds.has(length))
        expect(codeOf(LOG.subarray(0, length)), `${length} bytes`).toMatch(/^EVENTLOG_/);
    }
  });

  test('in SHA-1 form, too', () => {
    const sha1 = writeSha1Log(bootEvents(40).slice(1));
    const bounds = new Set(parseEventLog(sha1).events.map(({ offset }) => offset));
    for (let length = 1; length < sha1.length; length++) {
      if (!bounds.has(length))
        expect(codeOf(sha1.subarray(0, length)), `${length} bytes`).toMatch(/^EVENTLOG_/);
    }
  });

  test('down to nothing is refused', () => {
    expect(codeOf(new Uint8Array(0))).toBe('EVENTLOG_EMPTY');
    expect(codeOf(new Uint8Array(4096))).toBe('EVENTLOG_EMPTY');
    expect(codeOf(new Uint8Array(4096).fill(0xff))).toBe('EVENTLOG_EMPTY');
  });
});

describe('padding [LOG-5]', () => {
  test.each([8, 9, 100, 65536])('of %i zero bytes ends the log', (length) => {
    const padded = concatBytes(LOG, new Uint8Array(length));
    expect(parseEventLog(padded).events).toHaveLength(40);
    expect(quirksOf(padded)).toEqual(['padding-zeros']);
  });

  test.each([4, 5, 100, 65536])('of %i FF bytes ends the log', (length) => {
    const padded = concatBytes(LOG, new Uint8Array(length).fill(0xff));
    expect(parseEventLog(padded).events).toHaveLength(40);
    expect(quirksOf(padded)).toEqual(['padding-ones']);
  });

  test('may be the FFFFFFFF that ends a table, and zeros behind it', () => {
    const padded = concatBytes(LOG, u32(0xffffffff), new Uint8Array(100));
    expect(parseEventLog(padded).events).toHaveLength(40);
    expect(quirksOf(padded)).toEqual(['padding-ones']);
  });

  test('is told from 65,536 events of nothing but zeros without looking at every byte for each of them', () => {
    const zeros = new Uint8Array(EVENTLOG_LIMITS.events * ZERO_RECORD_BYTES + 1);
    zeros[zeros.length - 1] = 1;
    expect(codeOf(zeros)).toBe('EVENTLOG_TOO_LARGE');
  });

  test.each([1, 4, 7])('of %i zero bytes could be the start of an event and is refused', (length) => {
    expect(codeOf(concatBytes(LOG, new Uint8Array(length)))).toBe('EVENTLOG_TRUNCATED');
  });

  test('with something behind it is refused', () => {
    const ones = new Uint8Array(64).fill(0xff);
    expect(codeOf(concatBytes(LOG, ones, Uint8Array.of(1)))).toBe('EVENTLOG_TRAILING_DATA');
    expect(codeOf(concatBytes(LOG, new Uint8Array(64), Uint8Array.of(1)))).toMatch(/^EVENTLOG_/);
    expect(codeOf(concatBytes(LOG, new Uint8Array(64), LOG))).toMatch(/^EVENTLOG_/);
  });

  test('is not taken for a no-action event without register, which Windows writes', () => {
    const event = noAction('WBCL', new Uint8Array(4), 0xffffffff);
    const log = parseEventLog(concatBytes(LOG, agileRecord(['sha1', 'sha256'], event)));
    expect(log.events).toHaveLength(41);
    expect(log.findings).toEqual([]);
  });
});

describe('limits [LOG-3]', () => {
  test('refuse a length field of 4 GiB without taking memory', () => {
    const record = agileRecord(['sha1', 'sha256'], separator(3));
    record.set(u32(0xffffffff), record.length - 8);
    expect(codeOf(concatBytes(LOG, record))).toBe('EVENTLOG_TOO_LARGE');
  });

  test('refuse a log, an event and a number of events beyond them', () => {
    expect(codeOf(new Uint8Array(EVENTLOG_LIMITS.bytes + 1))).toBe('EVENTLOG_TOO_LARGE');
    const big = { ...separator(3), data: new Uint8Array(EVENTLOG_LIMITS.eventDataBytes + 1) };
    expect(codeOf(writeSha1Log([big]))).toBe('EVENTLOG_TOO_LARGE');
    const record = sha1Record(
      4,
      5,
      ZERO_DIGEST.map(() => 1),
      new Uint8Array(0),
    );
    const many = new Uint8Array(record.length * (EVENTLOG_LIMITS.events + 1));
    for (let i = 0; i <= EVENTLOG_LIMITS.events; i++) many.set(record, i * record.length);
    expect(codeOf(many)).toBe('EVENTLOG_TOO_LARGE');
    expect(parseEventLog(many.subarray(record.length)).events).toHaveLength(EVENTLOG_LIMITS.events);
  });

  test('refuse more banks than they allow, and a count that would be 4 billion', () => {
    const nine = concatBytes(
      u32(9),
      ...Array.from({ length: 9 }, (_, i) => concatBytes(u16(0x100 + i), u16(32))),
    );
    expect(codeOf(withHeader(concatBytes(nine, Uint8Array.of(0))))).toBe('EVENTLOG_HEADER_INVALID');
    expect(codeOf(withHeader(concatBytes(u32(0xffffffff), Uint8Array.of(0))))).toBe(
      'EVENTLOG_HEADER_INVALID',
    );
    expect(codeOf(withHeader(concatBytes(u32(0), Uint8Array.of(0))))).toBe('EVENTLOG_HEADER_INVALID');
  });
});

describe('the header [LOG-2]', () => {
  const sha256 = concatBytes(u16(0x000b), u16(32));

  test('that announces a bank twice is refused', () => {
    expect(codeOf(withHeader(concatBytes(u32(2), sha256, sha256, Uint8Array.of(0))))).toBe(
      'EVENTLOG_DUPLICATE_BANK',
    );
  });

  test('with a digest of the wrong size, or of a version that nobody knows, is refused', () => {
    const short = concatBytes(u16(0x000b), u16(20));
    expect(codeOf(withHeader(concatBytes(u32(1), short, Uint8Array.of(0))))).toBe('EVENTLOG_HEADER_INVALID');
    expect(codeOf(withHeader(u32(1)))).toBe('EVENTLOG_HEADER_INVALID');
    const unknown = sha1Record(0, 3, ZERO_DIGEST, fromUtf8('Spec ID Event99\0 and more'));
    expect(codeOf(unknown)).toBe('EVENTLOG_HEADER_INVALID');
  });

  test('with a hash that is unknown here lets the other banks be read', () => {
    const header = withHeader(concatBytes(u32(2), u16(0x0999), u16(24), sha256, Uint8Array.of(0)));
    const digests = concatBytes(
      u32(2),
      u16(0x0999),
      new Uint8Array(24),
      u16(0x000b),
      new Uint8Array(32).fill(7),
    );
    const log = parseEventLog(concatBytes(header, u32(4), u32(5), digests, u32(0)));
    expect(log.banks).toEqual(['sha256']);
    expect(log.events[1]?.digests).toEqual({ sha256: new Uint8Array(32).fill(7) });
    expect(log.findings.map(({ quirk }) => quirk)).toEqual(['algorithm-unknown']);
    const alone = withHeader(concatBytes(u32(1), u16(0x0999), u16(24), Uint8Array.of(0)));
    expect(codeOf(alone)).toBe('EVENTLOG_ALGORITHM_UNKNOWN');
  });

  test('with odd vendor information or a digest is read, and told', () => {
    const vendor = concatBytes(u32(1), sha256, Uint8Array.of(9), fromUtf8('Example'));
    expect(quirksOf(withHeader(vendor))).toEqual(['header-vendor-info']);
    expect(quirksOf(withHeader(concatBytes(u32(1), sha256)))).toEqual(['header-vendor-info']);
    const digest = new Uint8Array(20).fill(1);
    expect(quirksOf(sha1Record(0, 3, digest, specIdData(['sha256'])))).toEqual(['header-digest']);
  });
});

describe('the digests of an event', () => {
  const banks = ['sha1', 'sha256'] as const;
  const header = writeAgileLog(banks, []);
  const record = (count: number, ...digests: Uint8Array[]): Uint8Array =>
    concatBytes(header, u32(4), u32(5), u32(count), ...digests, u32(0));
  const sha1 = concatBytes(u16(4), new Uint8Array(20).fill(1));
  const sha256 = concatBytes(u16(11), new Uint8Array(32).fill(2));

  test('are refused when a bank comes twice, was not announced, or there are too many or none', () => {
    expect(codeOf(record(2, sha1, sha1))).toBe('EVENTLOG_DUPLICATE_BANK');
    expect(codeOf(record(1, concatBytes(u16(12), new Uint8Array(48))))).toBe('EVENTLOG_ALGORITHM_UNKNOWN');
    expect(codeOf(record(3, sha1, sha256, sha1))).toBe('EVENTLOG_DIGESTS_INVALID');
    expect(codeOf(record(0xffffffff, sha1))).toBe('EVENTLOG_DIGESTS_INVALID');
    expect(codeOf(record(0))).toBe('EVENTLOG_DIGESTS_INVALID');
  });

  test('may stand in another order; one that is missing is told', () => {
    expect(quirksOf(record(2, sha256, sha1))).toEqual([]);
    const second = record(2, sha1, sha256).subarray(header.length);
    expect(parseEventLog(concatBytes(record(1, sha256), second)).findings).toEqual([
      { quirk: 'digest-missing', event: 1, message: 'no sha1 digest' },
    ]);
  });

  test('may be missing in all events of a bank, which is told once', () => {
    const event = record(1, sha256).subarray(header.length);
    const log = parseEventLog(concatBytes(header, event, event, event));
    expect(log.findings).toEqual([
      { quirk: 'digest-missing', event: null, message: 'no sha1 digest, in every event' },
    ]);
    expect(replayEventLog(log).get('sha1')).toEqual(new Map());
    expect(replayEventLog(log).get('sha256')?.size).toBe(1);
  });

  test('of all zeros or all ones are told', () => {
    const zeros = concatBytes(u16(4), new Uint8Array(20));
    const ones = concatBytes(u16(11), new Uint8Array(32).fill(0xff));
    expect(quirksOf(record(2, zeros, ones))).toEqual(['digest-constant', 'digest-constant']);
  });
});

describe('registers [LOG-7]', () => {
  test('beyond the last one mean that the frame is lost', () => {
    expect(codeOf(writeSha1Log([separator(24)]))).toBe('EVENTLOG_PCR_INVALID');
    expect(codeOf(writeAgileLog(['sha256'], [separator(0x02000000)]))).toBe('EVENTLOG_PCR_INVALID');
    expect(codeOf(writeAgileLog(['sha384'], [separator(5)]), { registers: 'cc' })).toBe(
      'EVENTLOG_PCR_INVALID',
    );
  });

  test('may be NV indices, and in a no-action event anything', () => {
    expect(codeOf(writeAgileLog(['sha256'], [separator(0x01c40200)]))).toBe('nothing thrown');
    expect(quirksOf(writeAgileLog(['sha256'], [noAction('x', u32(0), 99)]))).toEqual(['no-action-pcr']);
  });
});

describe('the startup locality [LOG-9]', () => {
  test.each([0, 3, 4])('%i is as it should be', (locality) => {
    const bytes = writeAgileLog(['sha256'], [startupLocality(locality), separator(0)]);
    expect(parseEventLog(bytes).startupLocality).toBe(locality);
    expect(quirksOf(bytes)).toEqual([]);
  });

  test('is told when it comes late, twice, or cannot be; the first one counts', () => {
    const late = writeAgileLog(['sha256'], [separator(0), startupLocality(3)]);
    const twice = writeAgileLog(['sha256'], [startupLocality(3), startupLocality(0)]);
    const odd = writeAgileLog(['sha256'], [startupLocality(77)]);
    const short = writeAgileLog(['sha256'], [noAction('StartupLocality', new Uint8Array(0))]);
    for (const bytes of [late, twice, odd, short]) expect(quirksOf(bytes)).toEqual(['startup-locality']);
    expect([late, twice, odd, short].map((bytes) => parseEventLog(bytes).startupLocality)).toEqual([
      3,
      3,
      77,
      null,
    ]);
  });
});

test('an error says which event broke, and where', () => {
  const cut = LOG.subarray(0, LOG.length - 1);
  expect(() => parseEventLog(cut)).toThrow(/^event 39 at offset \d+: wanted 40 bytes, got 39$/);
});
