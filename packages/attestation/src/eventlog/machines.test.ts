import { concatBytes, fromHex, fromUtf8, sha1, sha256 } from '@nemea/core';
import { expect, test } from 'vitest';
import { algorithmOf, type Bank } from './algorithms.ts';
import {
  decodeEvent,
  describeBoot,
  inspectEventLog,
  looksConfidential,
  parseEventLog,
  replayEventLog,
  unverifiedEvents,
} from './index.ts';
import {
  agileRecord,
  bootEvents,
  guid,
  noAction,
  OWNER,
  separator,
  sha1Record,
  specIdData,
  startupLocality,
  u16,
  u32,
  u64,
  utf16le,
  type WrittenEvent,
  writeAgileLog,
  writeSha1Log,
} from './testing.ts';

/** A log as some make of machine writes it, and what it must be read as. */
interface Machine {
  readonly log: Uint8Array;
  /** `bank: registers` that have a value. */
  readonly pcrs: readonly string[];
  readonly secureBoot: boolean | null;
  /** Findings, and how many of each. */
  readonly findings?: Readonly<Record<string, number>>;
  readonly registers?: 'cc';
}

const BOOT = bootEvents(30);
const LINUX = '0,1,2,3,4,5,6,7,8,9';
const opaque = (pcr: number, type: WrittenEvent['type'], data: Uint8Array): WrittenEvent => {
  return { pcr, type, data, measured: fromUtf8('what is not in the log') };
};
const tag = (id: number, data: Uint8Array): Uint8Array => concatBytes(u32(id), u32(data.length), data);

const windows: readonly WrittenEvent[] = [
  { pcr: 12, type: 'EV_EVENT_TAG', data: tag(0x40010001, tag(0x00060001, u32(0))) },
  opaque(11, 'EV_COMPACT_HASH', u32(0)),
  { pcr: 13, type: 'EV_EVENT_TAG', data: tag(0x40010003, tag(0x00070004, new Uint8Array(32))) },
  ...[11, 12, 13, 14].map((pcr): WrittenEvent => ({ pcr, type: 'EV_SEPARATOR', data: fromUtf8('WBCL') })),
  { pcr: 0xffffffff, type: 'EV_NO_ACTION', data: tag(0xc0010004, tag(0x80080001, new Uint8Array(145))) },
];

/** What firmware of several makers measures beside what the profile wants. */
const makers: readonly WrittenEvent[] = [
  opaque(1, 'EV_CPU_MICROCODE', new Uint8Array(0)),
  opaque(1, 'EV_CPU_MICROCODE', fromUtf8('CPU Microcode\0')),
  opaque(1, 'EV_EFI_HANDOFF_TABLES', concatBytes(u64(1), guid(OWNER), u64(0x1234))),
  opaque(1, 'EV_EFI_HANDOFF_TABLES2', concatBytes(text8('SMBIOS\0'), u64(1), guid(OWNER), u64(0x1234))),
  opaque(1, 'EV_TABLE_OF_DEVICES', new Uint8Array(30).fill(3)),
  opaque(2, 'EV_NONHOST_CODE', concatBytes(u64(1), u64(2))),
  opaque(3, 'EV_NONHOST_CONFIG', Uint8Array.of(1, 2, 3)),
  opaque(0, 'EV_POST_CODE', fromUtf8('ACPI DATA')),
  opaque(0, 'EV_POST_CODE2', concatBytes(text8('ACPI DATA\0'), u64(1), u64(2))),
  opaque(0, 'EV_S_CRTM_CONTENTS', fromUtf8('Boot Guard Measured S-CRTM\0')),
  opaque(6, 'EV_COMPACT_HASH', fromUtf8('Dell Configuration Information 1\0')),
  opaque(4, 'EV_IPL', fromUtf8('MBR')),
  opaque(5, 'EV_IPL_PARTITION_DATA', fromUtf8('MBR PARTITION TABLE')),
  { pcr: 4, type: 'EV_OMIT_BOOT_DEVICE_EVENTS', data: fromUtf8('BOOT ATTEMPTS OMITTED') },
  ...[0x80000020, 0x800000ff, 0x80008086].map((type) => opaque(1, type, new Uint8Array(7))),
];

const section = (name: string): WrittenEvent[] => {
  const data = utf16le(`${name}\0`);
  return [{ pcr: 11, type: 'EV_IPL', data, measured: fromUtf8(`${name}\0`) }, opaque(11, 'EV_IPL', data)];
};
const line = utf16le('root=/dev/sda1 quiet\0');
const unified: readonly WrittenEvent[] = [
  ...['.linux', '.osrel', '.cmdline', '.initrd', '.ucode', '.uname', '.sbat', '.dtb'].flatMap(section),
  { pcr: 12, type: 'EV_IPL', data: line, measured: line },
  opaque(12, 'EV_IPL', utf16le('Credentials initrd\0')),
  opaque(13, 'EV_IPL', utf16le('System extension initrd\0')),
  opaque(5, 'EV_EVENT_TAG', tag(0xf5bc582a, utf16le('loader.conf\0'))),
  opaque(9, 'EV_EVENT_TAG', tag(0x8f3b22ed, fromUtf8('LOADED_IMAGE::LoadOptions\0'))),
  opaque(9, 'EV_EVENT_TAG', tag(0x8f3b22ec, fromUtf8('Linux initrd\0'))),
];

const launch = [0x402, 0x40a, 0x40b, 0x40c, 0x40f, 0x410, 0x414, 0x404, 0x4ff, 0x502].map((type, i) =>
  opaque(17 + (i % 2), type, u32(i)),
);

/** The registers of a confidential VM that stand for those PCRs (UEFI 2.10, 38.4.1). */
const inConfidentialVm = BOOT.filter(({ type }) => type !== 'EV_NO_ACTION').map((event): WrittenEvent => {
  const pcr = event.pcr === 0 ? 0 : [1, 7].includes(event.pcr) ? 1 : event.pcr <= 6 ? 2 : 3;
  return { ...event, pcr };
});

/** coreboot's table: a fixed number of records with names of 50 bytes, which the vendor part of the header counts. */
function coreboot(used: number, free: number): Uint8Array {
  const vendor = concatBytes(
    Uint8Array.of(0, 1, 0),
    fromHex('31544243'),
    u16(used + free),
    u16(used),
    u32(96),
  );
  const spec = specIdData(['sha256']).subarray(0, -1);
  const name = (i: number) => concatBytes(fromUtf8(`CBFS: stage ${i}`), new Uint8Array(37));
  const records = Array.from({ length: used }, (_, i) => {
    return agileRecord(['sha256'], opaque(2, 'EV_ACTION', name(i)));
  });
  const header = concatBytes(spec, Uint8Array.of(vendor.length), vendor);
  return concatBytes(sha1Record(0, 3, new Uint8Array(20), header), ...records, new Uint8Array(free * 96));
}

function text8(text: string): Uint8Array {
  return concatBytes(Uint8Array.of(text.length), fromUtf8(text));
}

function agile(more: readonly WrittenEvent[], banks: readonly Bank[] = ['sha1', 'sha256']): Uint8Array {
  return writeAgileLog(banks, [...BOOT, ...more]);
}

/** With the Spec ID event of an older profile, and digests by SHA-1 alone. */
function older(signature: string, version: string, events: readonly WrittenEvent[]): Uint8Array {
  const data = concatBytes(fromUtf8(`${signature}\0`), u32(0), fromHex(version), Uint8Array.of(0));
  return concatBytes(sha1Record(0, 3, new Uint8Array(20), data), writeSha1Log(events));
}

const filled = (fill: number) => ({
  sha1: new Uint8Array(20).fill(fill),
  sha384: new Uint8Array(48).fill(fill),
});
const bothBanks = (registers: string): string[] => [`sha1: ${registers}`, `sha256: ${registers}`];
const nonHost = concatBytes(fromUtf8('GCE NonHostInfo\0'), Uint8Array.of(4), new Uint8Array(15));

const machines: Readonly<Record<string, Machine>> = {
  'Windows, with BitLocker': {
    log: agile(windows),
    pcrs: bothBanks(`${LINUX},11,12,13,14`),
    secureBoot: true,
  },
  'Windows, whose trust point has digests of one bank only': {
    log: concatBytes(agile(windows.slice(0, -1)), agileRecord(['sha256'], windows.at(-1) as WrittenEvent)),
    pcrs: bothBanks(`${LINUX},11,12,13,14`),
    secureBoot: true,
  },
  'events of several makers': {
    log: agile(makers),
    pcrs: bothBanks(LINUX),
    secureBoot: true,
    findings: { 'type-unknown': 3 },
  },
  'systemd-boot and a unified kernel image': {
    log: agile(unified, ['sha256', 'sha384']),
    pcrs: [`sha256: ${LINUX},11,12,13`, `sha384: ${LINUX},11,12,13`],
    secureBoot: true,
  },
  'Intel TXT, the log of the dynamic launch alone': {
    log: writeAgileLog(['sha256'], launch),
    pcrs: ['sha256: 17,18'],
    secureBoot: null,
  },
  'Intel TXT behind the boot': { log: agile(launch), pcrs: bothBanks(`${LINUX},17,18`), secureBoot: true },
  'an H-CRTM from locality 4': {
    log: writeAgileLog(
      ['sha256'],
      [
        startupLocality(4),
        noAction('H-CRTM CompMeas', concatBytes(text8('ACM'), Uint8Array.of(0), u16(2), u16(11))),
        { pcr: 0, type: 'EV_EFI_HCRTM_EVENT', data: fromUtf8('HCRTM') },
        ...BOOT.slice(1),
      ],
    ),
    pcrs: [`sha256: ${LINUX}`],
    secureBoot: true,
  },
  'a virtual TPM of Google': {
    log: agile([{ pcr: 0, type: 'EV_NONHOST_INFO', data: nonHost }], ['sha1', 'sha256', 'sha384']),
    pcrs: [...bothBanks(LINUX), `sha384: ${LINUX}`],
    secureBoot: true,
  },
  'a TDX VM, its table filled with FF': {
    log: concatBytes(writeAgileLog(['sha384'], inConfidentialVm), new Uint8Array(5000).fill(0xff)),
    pcrs: ['sha384: 0,1,2,3'],
    secureBoot: true,
    findings: { 'padding-ones': 1 },
    registers: 'cc',
  },
  'coreboot, its table half used': {
    log: coreboot(8, 12),
    pcrs: ['sha256: 2'],
    secureBoot: null,
    findings: { 'padding-zeros': 1, 'digest-mismatch': 8, 'separator-missing': 1 },
  },
  'a BIOS with TPM 1.2, without header': {
    log: writeSha1Log([
      opaque(4, 'EV_IPL', fromUtf8('MBR')),
      { pcr: 4, type: 'EV_ACTION', data: fromUtf8('Calling INT 19h') },
      ...[0, 4].map((pcr) => separator(pcr, 0xffffffff)),
    ]),
    pcrs: ['sha1: 0,4'],
    secureBoot: null,
    findings: { 'header-missing': 1 },
  },
  'a BIOS with TPM 1.2, its table of 64 KiB': {
    log: concatBytes(older('Spec ID Event00', '15010200', [separator(0)]), new Uint8Array(65_536)),
    pcrs: ['sha1: 0'],
    secureBoot: null,
    findings: { 'padding-zeros': 1 },
  },
  'UEFI with TPM 1.2': {
    log: older('Spec ID Event02', '02010202', BOOT.slice(1)),
    pcrs: [`sha1: ${LINUX}`],
    secureBoot: true,
  },
  'SHA-384 alone': { log: agile([], ['sha384']), pcrs: [`sha384: ${LINUX}`], secureBoot: true },
  'SM3 alone': { log: agile([], ['sm3_256']), pcrs: [`sm3_256: ${LINUX}`], secureBoot: true },
  'SHA-3 alone': { log: agile([], ['sha3_384']), pcrs: [`sha3_384: ${LINUX}`], secureBoot: true },
  'a header with banks that no event has': {
    log: concatBytes(
      sha1Record(0, 3, new Uint8Array(20), specIdData(['sha1', 'sha256', 'sha384'])),
      ...BOOT.map((event) => agileRecord(['sha256'], event)),
    ),
    pcrs: ['sha1: ', `sha256: ${LINUX}`, 'sha384: '],
    secureBoot: true,
    findings: { 'digest-missing': 2 },
  },
  ...Object.fromEntries(
    [0, 0xff].map((fill): [string, Machine] => [
      `firmware that fills two of three banks with ${fill}`,
      {
        log: writeAgileLog(
          ['sha1', 'sha256', 'sha384'],
          BOOT.map((event) => (event.type === 'EV_NO_ACTION' ? event : { ...event, digests: filled(fill) })),
        ),
        pcrs: [...bothBanks(LINUX), `sha384: ${LINUX}`],
        secureBoot: true,
        findings: { 'digest-constant': 2 },
      },
    ]),
  ),
  'firmware that met an error': {
    log: writeAgileLog(
      ['sha256'],
      [0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => separator(pcr, 1)),
    ),
    pcrs: ['sha256: 0,1,2,3,4,5,6,7'],
    secureBoot: null,
    findings: { 'separator-error': 8 },
  },
};

test.each(Object.entries(machines))(
  'the log of %s is read whole, with its registers [LOG-1]',
  (_, machine) => {
    const plain = parseEventLog(machine.log);
    const isConfidential = looksConfidential(plain);
    expect(isConfidential).toBe(machine.registers === 'cc');
    const log = isConfidential ? parseEventLog(machine.log, { registers: 'cc' }) : plain;
    const pcrs = [...replayEventLog(log)].map(([bank, values]) => {
      return `${bank}: ${[...values.keys()].sort((a, b) => a - b).join(',')}`;
    });
    expect(pcrs).toEqual(machine.pcrs);
    expect(describeBoot(unverifiedEvents(log)).secureBoot.enabled).toBe(machine.secureBoot);
    const findings = Object.fromEntries(
      [...Map.groupBy(inspectEventLog(log), ({ quirk }) => quirk)].map(([quirk, all]) => [quirk, all.length]),
    );
    expect(findings).toEqual(machine.findings ?? {});
    for (const event of log.events) expect(decodeEvent(event).problem).toBeNull();
  },
);

test('a dynamic launch extends zeros, and its events have names [LOG-9]', () => {
  const log = parseEventLog(writeAgileLog(['sha256'], launch.slice(0, 1)));
  const digest = sha256(fromUtf8('what is not in the log'));
  expect(replayEventLog(log).get('sha256')).toEqual(new Map([[17, sha256(new Uint8Array(32), digest)]]));
  expect(log.events.at(-1)?.typeName).toBe('EVTYPE_HASH_START');
});

test('a log of SHA-1 alone extends nothing else [LOG-8]', () => {
  const log = parseEventLog(writeSha1Log([separator(3)]));
  const value = sha1(new Uint8Array(20), algorithmOf('sha1').hash(u32(0)));
  expect(replayEventLog(log)).toEqual(new Map([['sha1', new Map([[3, value]])]]));
});

test.each<[string, string, Uint8Array]>([
  ['cut at a page by the kernel', 'EVENTLOG_TRUNCATED', agile([]).subarray(0, 4096)],
  ['without its first record', 'EVENTLOG_PCR_INVALID', agile([]).subarray(32 + 37)],
  ['behind another', 'EVENTLOG_DIGESTS_INVALID', concatBytes(agile([]), agile([]))],
  [
    'of tboot, in its own container',
    'EVENTLOG_PCR_INVALID',
    concatBytes(fromUtf8('TXT Event Container\0'), new Uint8Array(28), writeSha1Log([separator(17)])),
  ],
])('a log %s is refused [LOG-1]', (_, code, log) => {
  expect(() => parseEventLog(log)).toThrow(expect.objectContaining({ code }));
});
