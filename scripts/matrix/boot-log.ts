import type { Appraisal } from '@nemea/attestation';
import { parseEventLog } from '@nemea/attestation/eventlog';
import {
  noAction,
  separator,
  startupLocality,
  type WrittenEvent,
  writeAgileLog,
} from '@nemea/attestation/eventlog/testing';
import { concatBytes, fromUtf8 } from '@nemea/core';
import { flipped, flips, readVector, spliced } from './bytes.ts';
import { boundaries, FIRST, HEADER, put, RECORD, u32 } from './event-log.ts';
import { BOOT, bootedMachine, codeOfAppraisal, recordedMachine } from './machine.ts';
import { type Row, rowsOf, type Tampering } from './row.ts';

type MachineTampering = Tampering<Appraisal>;

const withLog =
  (change: (log: Uint8Array) => Uint8Array | readonly Uint8Array[]) =>
  (it: Appraisal): Appraisal[] => {
    const changed = change(it.evidence.eventLog ?? new Uint8Array(0));
    return (changed instanceof Uint8Array ? [changed] : changed).map((eventLog) => ({
      ...it,
      evidence: { ...it.evidence, eventLog },
    }));
  };

/** The record of the event of that number, and where it is. */
function record(log: Uint8Array, number: number): { start: number; bytes: Uint8Array } {
  const offsets = [...boundaries(log), log.length];
  const [start = 0, end = 0] = offsets.slice(number, number + 2);
  return { start, bytes: log.slice(start, end) };
}

function onRecord(number: number, [start, end]: readonly [number, number]) {
  return withLog((log) => {
    const { start: at } = record(log, number);
    return flips(log, at + start, at + end);
  });
}

function exchanged(log: Uint8Array, number: number): Uint8Array {
  const [first, second] = [record(log, number), record(log, number + 1)];
  return put(log, first.start, concatBytes(second.bytes, first.bytes));
}

/** Events of the recorded boot with Secure Boot. */
const EVENT = { version: 1, blob: 2, secureBoot: 4, separator: 9, authority: 22 } as const;

/** What a log says of a boot that it did not see: the quote decides. */
const replays: readonly MachineTampering[] = [
  [
    'with any bit of a SHA-256 digest flipped',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'ATT-24',
    onRecord(EVENT.version, RECORD.sha256),
  ],
  [
    'with an event in another PCR',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'ATT-24',
    withLog((log) => [1, 7].map((pcr) => log.with(FIRST, pcr))),
  ],
  [
    'with any bit of the size of its header flipped',
    'FIRMWARE_LOG_MALFORMED',
    'ATT-24',
    withLog((log) => flips(log, ...HEADER.size)),
  ],
  [
    'with any bit of the type of its header flipped',
    'FIRMWARE_LOG_MALFORMED',
    'ATT-24',
    withLog((log) => flips(log, ...HEADER.type)),
  ],
  [
    'with any bit of the name of its Spec ID event flipped',
    'FIRMWARE_LOG_MALFORMED',
    'ATT-24',
    withLog((log) => flips(log, ...HEADER.signature)),
  ],
  [
    "with any bit of the id of its header's first hash flipped",
    'FIRMWARE_LOG_MALFORMED',
    'ATT-24',
    withLog((log) => flips(log, ...HEADER.algorithm)),
  ],
  [
    "with any bit of the id of an event's hash flipped",
    'FIRMWARE_LOG_MALFORMED',
    'ATT-24',
    onRecord(EVENT.version, RECORD.algorithm),
  ],
  [
    "with any bit of the size of an event's data flipped",
    'FIRMWARE_LOG_MALFORMED',
    'ATT-24',
    onRecord(EVENT.version, RECORD.size),
  ],
  [
    'with any bit of the digest of its header flipped, which is not extended',
    'FIRMWARE_FINDING',
    'ATT-27',
    withLog((log) => flips(log, ...HEADER.digest)),
  ],
  [
    'with any bit of a digest of a bank flipped that was not quoted',
    'FIRMWARE_FINDING',
    'ATT-27',
    withLog((log) => [...flips(log, FIRST + 14, FIRST + 34), ...flips(log, FIRST + 120, FIRST + 184)]),
  ],
  [
    'with any bit of measured data flipped',
    'FIRMWARE_FINDING',
    'ATT-27',
    onRecord(EVENT.version, RECORD.data),
  ],
  [
    'with the SecureBoot variable showing another value',
    'SECURE_BOOT_KEY_UNKNOWN+FIRMWARE_FINDING',
    'ATT-25',
    withLog((log) =>
      flipped(log, record(log, EVENT.secureBoot).start + record(log, EVENT.secureBoot).bytes.length - 1),
    ),
  ],
  [
    'cut between any two events',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-4',
    withLog((log) =>
      boundaries(log)
        .slice(1, 24)
        .map((offset) => log.slice(0, offset)),
    ),
  ],
  [
    'with any one event of PCR 0 to 7 left out',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-10',
    withLog((log) =>
      parseEventLog(log)
        .events.filter(({ number, pcr }) => number > 0 && pcr <= 7)
        .map(({ number, offset }) => spliced(log, offset, record(log, number).bytes.length)),
    ),
  ],
  [
    'with an event twice',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-10',
    withLog((log) => spliced(log, FIRST, 0, record(log, EVENT.version).bytes)),
  ],
  [
    'with an event inserted',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-10',
    withLog((log) => spliced(log, FIRST, 0, record(log, EVENT.separator).bytes)),
  ],
  [
    'with an event after its last one',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-10',
    withLog((log) => concatBytes(log, record(log, EVENT.separator).bytes)),
  ],
  [
    'with two events of one PCR in another order',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-10',
    withLog((log) => [exchanged(log, EVENT.version), exchanged(log, EVENT.secureBoot)]),
  ],
  [
    'with an event declared as no-action',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-6',
    withLog((log) =>
      parseEventLog(log)
        .events.filter(({ number, pcr }) => number > 0 && pcr <= 7)
        .map(({ offset }) => put(log, offset + RECORD.type[0], u32(3))),
    ),
  ],
  [
    'with its header, a no-action event, declared as one that is extended',
    'FIRMWARE_LOG_MALFORMED',
    'LOG-6',
    withLog((log) => put(log, HEADER.type[0], u32(8))),
  ],
  [
    'with the SHA-256 digest of another event',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-8',
    withLog((log) =>
      put(log, FIRST + RECORD.sha256[0], record(log, EVENT.blob).bytes.slice(...RECORD.sha256)),
    ),
  ],
  [
    'with the digest of another bank, cut to its size',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-8',
    withLog((log) =>
      put(log, FIRST + RECORD.sha256[0], log.slice(FIRST + RECORD.sha512[0], FIRST + RECORD.sha512[0] + 32)),
    ),
  ],
  [
    'without the SHA-256 bank',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-10',
    withLog(() => writeAgileLog(['sha1'], BOOT)),
  ],
  [
    'of another machine',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-10',
    withLog(() => readVector('eventlog/ovmf-kernel.bin')),
  ],
  [
    'left out',
    'FIRMWARE_NO_EVENT_LOG',
    'ATT-24',
    ({ evidence: { eventLog: _, ...evidence }, ...it }) => ({ ...it, evidence }),
  ],
  [
    'with another platform class and version in its header, which nothing measures',
    'OK',
    'LOG-6',
    withLog((log) => flips(log, ...HEADER.platform)),
  ],
  [
    'with another address of a firmware blob, which its digest does not cover',
    'OK',
    'LOG-12',
    onRecord(EVENT.blob, RECORD.data),
  ],
];

const changed = (change: (events: readonly WrittenEvent[]) => readonly WrittenEvent[]) => (): Appraisal =>
  bootedMachine({ log: writeAgileLog(['sha256'], change(BOOT)) });
const replaced = (number: number, event: WrittenEvent) => (events: readonly WrittenEvent[]) =>
  events.with(number, event);
const LOCALITY = 0;
const SEPARATOR_OF_PCR_7 = 8;

/** What a machine truly measured, or its log pretends, where the recorded machines have no such event. */
const boots: readonly MachineTampering[] = [
  [
    'with its startup locality forged',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-9',
    () => [0, 4].map((locality) => changed(replaced(LOCALITY, startupLocality(locality)))()),
  ],
  [
    'with its startup locality left out',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-9',
    changed((events) => events.slice(1)),
  ],
  [
    'with a second startup locality',
    'FIRMWARE_FINDING',
    'LOG-9',
    changed((events) => [...events, startupLocality(0)]),
  ],
  [
    'with an H-CRTM event in place of the startup locality',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-9',
    changed(replaced(LOCALITY, { pcr: 0, type: 'EV_EFI_HCRTM_EVENT', data: fromUtf8('HCRTM') })),
  ],
  [
    'with an error separator that was not measured',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-10',
    changed(replaced(SEPARATOR_OF_PCR_7, separator(7, 1))),
  ],
  ['with an error separator that was measured', 'FIRMWARE_ERROR_SEPARATOR', 'ATT-27', errorSeparators],
  [
    'with a no-action event whose digest was extended',
    'FIRMWARE_LOG_REPLAY_WRONG',
    'LOG-6',
    () => noActionExtended(),
  ],
  [
    'with a no-action event added, which extends nothing',
    'OK',
    'LOG-6',
    changed((events) => [...events, noAction('SP800-155 Event', new Uint8Array(20))]),
  ],
];

/** The firmware told an error in one of PCR 0 to 7. */
function errorSeparators(): Appraisal[] {
  return BOOT.flatMap(({ type, pcr }, number) =>
    type === 'EV_SEPARATOR' ? [bootedMachine({ events: BOOT.with(number, separator(pcr, 1)) })] : [],
  );
}

/** The TPM holds what an extend of the no-action event gives. */
function noActionExtended(): Appraisal {
  const event: WrittenEvent = { pcr: 6, type: 'EV_COMPACT_HASH', data: fromUtf8('extended') };
  return bootedMachine({
    events: [...BOOT, event],
    log: writeAgileLog(['sha256'], [...BOOT, { ...event, type: 'EV_NO_ACTION', digests: {} }]),
  });
}

const recorded = () => recordedMachine('ovmf-secure-boot');

export const bootLogRows: readonly Row[] = [
  ...rowsOf({ artefact: 'an event log', by: 'appraise', honest: recorded, judge: codeOfAppraisal }, replays),
  ...rowsOf(
    { artefact: 'an event log', by: 'appraise', honest: bootedMachine, judge: codeOfAppraisal },
    boots,
  ),
];
