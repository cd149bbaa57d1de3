import { parseEventLog } from '@nemea/attestation/eventlog';
import { concatBytes, fromUtf8 } from '@nemea/core';
import { cuts, flips, readVector, spliced } from './bytes.ts';
import { type Row, rowsOf, type Tampering } from './row.ts';

/** Where the fields of the recorded header are, and those of a record behind its offset: four banks (PFP 1.06, 10.4.5). */
export const HEADER = {
  pcr: [0, 4],
  type: [4, 8],
  digest: [8, 28],
  size: [28, 32],
  signature: [32, 48],
  platform: [48, 56],
  count: [56, 60],
  algorithm: [60, 62],
  digestSize: [62, 64],
  secondAlgorithm: [64, 66],
} as const;
export const RECORD = {
  pcr: [0, 4],
  type: [4, 8],
  count: [8, 12],
  algorithm: [12, 14],
  sha1: [14, 34],
  secondAlgorithm: [34, 36],
  sha256: [36, 68],
  sha512: [120, 184],
  size: [184, 188],
  data: [188, 189],
} as const;
const SHA1_SHARE = 22;
export const FIRST = 77;

type LogTampering = Tampering<Uint8Array>;

export const u32 = (value: number): Uint8Array =>
  Uint8Array.of(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24);
export const put = (bytes: Uint8Array, at: number, value: Uint8Array): Uint8Array =>
  spliced(bytes, at, value.length, value);
export const boundaries = (log: Uint8Array): readonly number[] =>
  parseEventLog(log).events.map(({ offset }) => offset);

function bits(
  name: string,
  [start, end]: readonly [number, number],
  expected: string,
  rule: string,
  at = 0,
): LogTampering {
  return [`with any bit of ${name} flipped`, expected, rule, (log) => flips(log, at + start, at + end)];
}

/** What the frame itself betrays. */
const frames: readonly LogTampering[] = [
  ['of no byte', 'EVENTLOG_EMPTY', 'LOG-1', () => new Uint8Array(0)],
  ['of zeros', 'EVENTLOG_EMPTY', 'LOG-5', () => new Uint8Array(4096)],
  [
    'cut at every byte that is no boundary of events',
    'EVENTLOG_TRUNCATED',
    'LOG-4',
    (log) => cuts(log, 1).filter((cut) => !boundaries(log).includes(cut.length)),
  ],
  ['larger than the limit', 'EVENTLOG_TOO_LARGE', 'LOG-3', () => new Uint8Array(16 * 1024 * 1024 + 1)],
  [
    "with a length of 4 GiB for its header's data",
    'EVENTLOG_TOO_LARGE',
    'LOG-3',
    (log) => put(log, HEADER.size[0], u32(0xffffffff)),
  ],
  [
    "with a length of 4 GiB for an event's data",
    'EVENTLOG_TOO_LARGE',
    'LOG-3',
    (log) => put(log, FIRST + RECORD.size[0], u32(0xffffffff)),
  ],
  [
    'with an event whose data would go on past its end',
    'EVENTLOG_TRUNCATED',
    'LOG-4',
    (log) => put(log, FIRST + RECORD.size[0], u32(log.length)),
  ],
  bits('the signature of its Spec ID event', [47, 48], 'EVENTLOG_HEADER_INVALID', 'LOG-2'),
  bits('its count of banks', HEADER.count, 'EVENTLOG_HEADER_INVALID', 'LOG-2'),
  ['with no bank', 'EVENTLOG_HEADER_INVALID', 'LOG-2', (log) => put(log, HEADER.count[0], u32(0))],
  [
    'with more banks than are allowed',
    'EVENTLOG_HEADER_INVALID',
    'LOG-3',
    (log) => put(log, HEADER.count[0], u32(9)),
  ],
  ['with 4 G banks', 'EVENTLOG_HEADER_INVALID', 'LOG-3', (log) => put(log, HEADER.count[0], u32(0xffffffff))],
  [
    'with the same bank twice in its header',
    'EVENTLOG_DUPLICATE_BANK',
    'LOG-2',
    (log) => put(log, HEADER.secondAlgorithm[0], log.slice(60, 64)),
  ],
  bits("the size of a bank's digests", HEADER.digestSize, 'EVENTLOG_HEADER_INVALID', 'LOG-2'),
  [
    'with a bank that its events have and its header does not',
    'EVENTLOG_ALGORITHM_UNKNOWN',
    'LOG-2',
    (log) => log.with(HEADER.algorithm[0], 0x77),
  ],
  ['with no bank that is known', 'EVENTLOG_ALGORITHM_UNKNOWN', 'LOG-2', unknownBanks],
  [
    'with an event of a PCR that does not exist',
    'EVENTLOG_PCR_INVALID',
    'LOG-7',
    (log) => [24, 31, 255].map((pcr) => log.with(FIRST, pcr)),
  ],
  bits('the count of digests of an event', RECORD.count, 'EVENTLOG_DIGESTS_INVALID', 'LOG-1', FIRST),
  [
    'with an event without digest',
    'EVENTLOG_DIGESTS_INVALID',
    'LOG-1',
    (log) => put(log, FIRST + RECORD.count[0], u32(0)),
  ],
  [
    'with an event of an unknown hash',
    'EVENTLOG_ALGORITHM_UNKNOWN',
    'LOG-2',
    (log) => log.with(FIRST + RECORD.algorithm[0], 0x77),
  ],
  [
    'with an event of two digests for one bank',
    'EVENTLOG_DUPLICATE_BANK',
    'LOG-1',
    (log) =>
      spliced(
        log,
        FIRST + RECORD.algorithm[0] + SHA1_SHARE,
        34,
        log.slice(FIRST + RECORD.algorithm[0], FIRST + RECORD.algorithm[0] + SHA1_SHARE),
      ),
  ],
  [
    'with up to seven zeros after its end',
    'EVENTLOG_TRUNCATED',
    'LOG-5',
    (log) => [1, 2, 3, 4, 5, 6, 7].map((count) => concatBytes(log, new Uint8Array(count))),
  ],
  ['with text after its end', 'EVENTLOG_TRUNCATED', 'LOG-4', (log) => concatBytes(log, fromUtf8('more'))],
  [
    'with something behind FF padding',
    'EVENTLOG_TRAILING_DATA',
    'LOG-5',
    (log) => concatBytes(log, new Uint8Array(16).fill(0xff), Uint8Array.of(1)),
  ],
  [
    'with something behind zero padding',
    'EVENTLOG_DIGESTS_INVALID',
    'LOG-5',
    (log) => concatBytes(log, new Uint8Array(16), Uint8Array.of(1)),
  ],
];

/** The header names hashes that nobody knows, with digests of the same size. */
function unknownBanks(log: Uint8Array): Uint8Array {
  const header = [0, 4, 8, 12].reduce(
    (changed, at) => put(changed, HEADER.algorithm[0] + at, Uint8Array.of(0x70 + at, 0x7f)),
    log,
  );
  return header;
}

export const eventLogRows: readonly Row[] = rowsOf(
  {
    artefact: 'an event log',
    by: 'parseEventLog',
    honest: () => readVector('eventlog/ovmf-kernel.bin'),
    judge: (log) => (parseEventLog(log).findings.length === 0 ? 'OK' : 'FINDING'),
  },
  frames,
);
