import type { Appraisal } from '@nemea/attestation';
import { type ImaBank, type PcrBanks, parseImaList, verifyIma } from '@nemea/attestation/ima';
import { concatBytes, fromHex, fromUtf8 } from '@nemea/core';
import { cuts, flipped, flips, readVector, readVectorJson, spliced } from './bytes.ts';
import { codeOfAppraisal, type RecordedBoot, recordedMachine } from './machine.ts';
import { type Row, rowsOf, type Tampering } from './row.ts';

/** A list with the registers that vouch for it. */
interface QuotedList {
  readonly list: Uint8Array;
  readonly quoted: PcrBanks;
}

/** Where the second record of the binary list is, and its fields behind that: ima-sig, an entry of a file without signature. */
const SECOND = 106;
const AT = {
  pcr: [0, 4],
  hash: [4, 24],
  nameLength: [24, 28],
  name: [28, 35],
  dataLength: [35, 39],
  digestLength: [39, 43],
  digest: [51, 83],
  pathLength: [83, 87],
  path: [87, 105],
} as const;
const RECORD_BYTES = 109;

function recorded(form: 'bin' | 'txt', banks: readonly ('sha1' | 'sha256')[]): QuotedList {
  const { pcrs } = readVectorJson<RecordedBoot>('eventlog/ovmf-kernel.json');
  const quoted = banks.map((bank): [ImaBank, ReadonlyMap<number, Uint8Array>] => [
    bank,
    new Map([[10, fromHex(pcrs[bank][10] ?? '')]]),
  ]);
  return { list: readVector(`eventlog/ovmf-kernel.ima.${form}`), quoted: new Map(quoted) };
}

/** The reason, and of bad entries their defects. */
function codeOfList({ list, quoted }: QuotedList): string {
  const parsed = parseImaList(list);
  const { ok, reason, badEntries } = verifyIma(parsed, quoted);
  if (ok) return 'OK';
  return reason === 'BAD_ENTRIES' ? [...new Set(badEntries.map((entry) => entry.reason))].join(' ') : reason;
}

type ListTampering = Tampering<QuotedList>;

const onList =
  (change: (list: Uint8Array) => Uint8Array | readonly Uint8Array[]) =>
  (it: QuotedList): QuotedList[] => {
    const changed = change(it.list);
    return (changed instanceof Uint8Array ? [changed] : changed).map((list) => ({ ...it, list }));
  };
const bits = ([start, end]: readonly [number, number]) =>
  onList((list) => flips(list, SECOND + start, SECOND + end));
const put = (at: number, bytes: readonly number[]) =>
  onList((list) => spliced(list, SECOND + at, bytes.length, Uint8Array.from(bytes)));
const record = (list: Uint8Array): Uint8Array => list.slice(SECOND, SECOND + RECORD_BYTES);
const boundaries = (list: Uint8Array): readonly number[] => {
  const { entries } = parseImaList(list);
  return entries.map(({ templateData }) => templateData.byteOffset - list.byteOffset + templateData.length);
};

const binary: readonly ListTampering[] = [
  ['with the PCR of an entry changed to another', 'PCR_MISMATCH', 'IMA-13', put(AT.pcr[0], [11])],
  [
    'with a PCR that does not exist',
    'IMA_ENTRY_INVALID',
    'IMA-1',
    onList((list) => [32, 64, 255].map((pcr) => list.with(SECOND, pcr))),
  ],
  ['with any bit of a template hash flipped', 'PCR_MISMATCH', 'IMA-13', bits(AT.hash)],
  ['with no template name', 'IMA_ENTRY_INVALID', 'IMA-2', put(AT.nameLength[0], [0, 0, 0, 0])],
  [
    'with a template name of 4 GiB',
    'IMA_ENTRY_INVALID',
    'IMA-2',
    put(AT.nameLength[0], [255, 255, 255, 255]),
  ],
  ['with template data of 4 GiB', 'IMA_TOO_LARGE', 'IMA-2', put(AT.dataLength[0], [255, 255, 255, 255])],
  [
    'with template data that would go on past its end',
    'IMA_TRUNCATED',
    'IMA-1',
    put(AT.dataLength[0], [0, 0, 1, 0]),
  ],
  ['with any bit of the length of a field flipped', 'IMA_TEMPLATE_INVALID', 'IMA-7', bits(AT.digestLength)],
  ['with a name without its NUL', 'IMA_TEMPLATE_INVALID', 'IMA-7', put(AT.path[1] - 1, [0x2f])],
  ['with any bit of the digest of a file flipped', 'PCR_MISMATCH', 'IMA-13', bits(AT.digest)],
  ['with a letter of a path changed', 'PCR_MISMATCH', 'IMA-13', put(AT.path[0] + 1, [0x65])],
  [
    'cut inside any entry',
    'IMA_TRUNCATED',
    'IMA-1',
    onList((list) => cuts(list, 107).filter((cut) => !boundaries(list).includes(cut.length))),
  ],
  [
    'cut between any two entries',
    'PCR_MISMATCH',
    'IMA-13',
    onList((list) =>
      boundaries(list)
        .slice(0, -1)
        .map((end) => list.slice(0, end)),
    ),
  ],
  ['with an entry left out', 'PCR_MISMATCH', 'IMA-13', onList((list) => spliced(list, SECOND, RECORD_BYTES))],
  ['with an entry twice', 'PCR_MISMATCH', 'IMA-13', onList((list) => spliced(list, SECOND, 0, record(list)))],
  [
    'with two entries in another order',
    'PCR_MISMATCH',
    'IMA-13',
    onList((list) =>
      concatBytes(record(list), list.subarray(0, SECOND), list.subarray(SECOND + RECORD_BYTES)),
    ),
  ],
  [
    'with an entry shown as a violation',
    'PCR_MISMATCH',
    'IMA-12',
    put(AT.hash[0], new Array<number>(20).fill(0)),
  ],
  ['without entries', 'PCR_MISMATCH', 'IMA-13', onList(() => new Uint8Array(0))],
  [
    'against another value of PCR 10',
    'PCR_MISMATCH',
    'IMA-13',
    (it) => ({ ...it, quoted: new Map([['sha256', new Map([[10, new Uint8Array(32).fill(1)]])]]) }),
  ],
  [
    'against a PCR 10 that was never extended',
    'PCR_UNUSED',
    'IMA-13',
    (it) => ({ ...it, quoted: new Map([['sha256', new Map([[10, new Uint8Array(32)]])]]) }),
  ],
  [
    'against a PCR that it does not extend',
    'PCR_UNUSED',
    'IMA-13',
    (it) => ({ ...it, quoted: new Map([['sha256', new Map([[11, new Uint8Array(32)]])]]) }),
  ],
  [
    'with an entry after those that the quote explains',
    'OK',
    'IMA-13',
    onList((list) => concatBytes(list, record(list))),
  ],
];

/** SHA-256 registers alone: there the recorded SHA-1 hashes are not extended, and must still be right. */
const sha256Only: readonly ListTampering[] = [
  [
    'with any bit of a template hash flipped, where SHA-256 is quoted',
    'TEMPLATE_HASH_MISMATCH',
    'IMA-11',
    bits(AT.hash),
  ],
  [
    'with any bit of the digest of a file flipped, where SHA-256 is quoted',
    'PCR_MISMATCH',
    'IMA-12',
    bits(AT.digest),
  ],
];

const onText = (change: (text: string) => string) =>
  onList((list) => fromUtf8(change(new TextDecoder().decode(list))));

const ascii: readonly ListTampering[] = [
  [
    'in text with another template hash',
    'PCR_MISMATCH',
    'IMA-13',
    onText((text) => text.replace('b16364', 'b16365')),
  ],
  [
    'in text with another digest of a file',
    'PCR_MISMATCH',
    'IMA-13',
    onText((text) => text.replace('sha256:3d9f', 'sha256:3d9e')),
  ],
  [
    'in text with another path',
    'PCR_MISMATCH',
    'IMA-13',
    onText((text) => text.replace('/data/bin/busybox', '/data/bin/busybex')),
  ],
  [
    'in text with an odd number of hex digits',
    'IMA_LINE_INVALID',
    'IMA-1',
    onText((text) => text.replace('sha256:3d9f', 'sha256:3d9')),
  ],
  [
    'in text with a PCR that does not exist',
    'IMA_LINE_INVALID',
    'IMA-1',
    onText((text) => text.replace('10 b16364', '99 b16364')),
  ],
  [
    'in text with a template that nobody knows',
    'IMA_TEMPLATE_UNKNOWN',
    'IMA-6',
    onText((text) => text.replace('ima-sig', 'ima-sigx')),
  ],
  [
    'in text with template hashes of two lengths',
    'IMA_LINE_INVALID',
    'IMA-5',
    onText((text) => text.replace('b16364', `b16364${'00'.repeat(12)}`)),
  ],
  ['in text with an empty line', 'IMA_LINE_INVALID', 'IMA-4', onText((text) => `${text}\n`)],
];

const onEvidence =
  (change: (list: Uint8Array) => Uint8Array) =>
  (it: Appraisal): Appraisal => ({
    ...it,
    evidence: { ...it.evidence, imaList: change(it.evidence.imaList ?? new Uint8Array(0)) },
  });

const judged: readonly Tampering<Appraisal>[] = [
  [
    'left out',
    'IMA_LIST_MISSING',
    'ATT-28',
    ({ evidence: { imaList: _, ...evidence }, ...it }) => ({ ...it, evidence }),
  ],
  ['that is none', 'IMA_LIST_MALFORMED', 'ATT-28', onEvidence(() => fromUtf8('no list'))],
  [
    'with an entry left out',
    'IMA_REPLAY_WRONG',
    'ATT-28',
    onEvidence((list) => spliced(list, SECOND, RECORD_BYTES)),
  ],
  [
    'with the template of an entry renamed, which no hash covers',
    'IMA_FILE_UNKNOWN',
    'IMA-22',
    onEvidence((list) => flipped(list, SECOND + AT.name[0])),
  ],
  [
    'of another machine',
    'IMA_REPLAY_WRONG',
    'ATT-28',
    onEvidence(() => readVector('eventlog/ovmf-secure-boot.ima.bin')),
  ],
  [
    'with a file that is no reference value',
    'IMA_FILE_UNKNOWN',
    'ATT-28',
    (it) => ({
      ...it,
      referenceValues: {
        ...it.referenceValues,
        components: new Map([...(it.referenceValues.components ?? [])].filter(([kind]) => kind !== 'file')),
      },
    }),
  ],
  [
    'with a violation, where the policy allows none',
    'IMA_VIOLATION',
    'ATT-28',
    (it) => ({ ...it, policy: { ...it.policy, ima: { ...it.policy.ima, violations: 'refuse' } } }),
  ],
];

const list = { artefact: 'an IMA list', by: 'verifyIma', judge: codeOfList } as const;

export const imaRows: readonly Row[] = [
  ...rowsOf({ ...list, honest: () => recorded('bin', ['sha1', 'sha256']) }, binary),
  ...rowsOf({ ...list, honest: () => recorded('bin', ['sha256']) }, sha256Only),
  ...rowsOf({ ...list, honest: () => recorded('txt', ['sha1', 'sha256']) }, ascii),
  ...rowsOf(
    {
      artefact: 'an IMA list',
      by: 'appraise',
      honest: () => recordedMachine('ovmf-kernel'),
      judge: codeOfAppraisal,
    },
    judged,
  ),
];
