import { concatBytes, fromHex, fromUtf8 } from '@nemea/core';
import { algorithmOf, type Bank } from './algorithms.ts';
import { EVENT_TYPE, type EventTypeName } from './event-types.ts';
import { EFI_GLOBAL_VARIABLE, EFI_IMAGE_SECURITY_DATABASE } from './variable.ts';

/** For tests and benchmarks: one event to write. Digests are those of `data` unless it says otherwise. */
export interface WrittenEvent {
  readonly pcr: number;
  readonly type: number | EventTypeName;
  readonly data: Uint8Array;
  /** What the digests cover instead of the data. */
  readonly measured?: Uint8Array;
  /** Digests as they are, for some banks. */
  readonly digests?: Readonly<Partial<Record<Bank, Uint8Array>>>;
}

const ALGORITHM_IDS: Readonly<Record<Bank, number>> = {
  sha1: 0x0004,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  sm3_256: 0x0012,
  sha3_256: 0x0027,
  sha3_384: 0x0028,
  sha3_512: 0x0029,
};

/** A crypto-agile log with its Spec ID event. */
export function writeAgileLog(banks: readonly Bank[], events: readonly WrittenEvent[]): Uint8Array {
  const header = sha1Record(0, EVENT_TYPE.EV_NO_ACTION, new Uint8Array(20), specIdData(banks));
  return concatBytes(header, ...events.map((event) => agileRecord(banks, event)));
}

/** A SHA-1 log as BIOS and TPM 1.2 wrote it, without header. */
export function writeSha1Log(events: readonly WrittenEvent[]): Uint8Array {
  return concatBytes(
    ...events.map((event) => {
      const { pcr, type, data } = event;
      return sha1Record(pcr, typeNumber(type), digestOf(event, 'sha1'), data);
    }),
  );
}

export function specIdData(banks: readonly Bank[]): Uint8Array {
  const algorithms = banks.map((bank) =>
    concatBytes(u16(ALGORITHM_IDS[bank]), u16(algorithmOf(bank).digestBytes)),
  );
  return concatBytes(
    fromUtf8('Spec ID Event03\0'),
    u32(0),
    Uint8Array.of(0, 2, 106, 2),
    u32(banks.length),
    ...algorithms,
    Uint8Array.of(0),
  );
}

export function sha1Record(pcr: number, type: number, digest: Uint8Array, data: Uint8Array): Uint8Array {
  return concatBytes(u32(pcr), u32(type), digest, u32(data.length), data);
}

export function agileRecord(banks: readonly Bank[], event: WrittenEvent): Uint8Array {
  const { pcr, type, data } = event;
  const digests = banks.map((bank) => concatBytes(u16(ALGORITHM_IDS[bank]), digestOf(event, bank)));
  return concatBytes(u32(pcr), u32(typeNumber(type)), u32(banks.length), ...digests, u32(data.length), data);
}

function digestOf({ type, data, measured, digests }: WrittenEvent, bank: Bank): Uint8Array {
  const { hash, digestBytes } = algorithmOf(bank);
  if (digests?.[bank] !== undefined) return digests[bank];
  return typeNumber(type) === EVENT_TYPE.EV_NO_ACTION ? new Uint8Array(digestBytes) : hash(measured ?? data);
}

function typeNumber(type: number | EventTypeName): number {
  return typeof type === 'number' ? type : EVENT_TYPE[type];
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >> 8) & 0xff);
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function u64(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

export function utf16le(text: string): Uint8Array {
  return concatBytes(...[...text].map((char) => u16(char.charCodeAt(0))));
}

/** The bytes of a GUID in its text form. */
export function guid(text: string): Uint8Array {
  const bytes = fromHex(text.replaceAll('-', ''));
  const part = (from: number, to: number): Uint8Array => bytes.subarray(from, to).toReversed();
  return concatBytes(part(0, 4), part(4, 6), part(6, 8), bytes.subarray(8));
}

export function noAction(signature: string, body: Uint8Array, pcr = 0): WrittenEvent {
  const head = new Uint8Array(16);
  head.set(fromUtf8(signature));
  return { pcr, type: 'EV_NO_ACTION', data: concatBytes(head, body) };
}

export function startupLocality(locality: number): WrittenEvent {
  return noAction('StartupLocality', Uint8Array.of(locality));
}

export function separator(pcr: number, value = 0): WrittenEvent {
  return { pcr, type: 'EV_SEPARATOR', data: u32(value) };
}

export function action(pcr: number, text: string): WrittenEvent {
  return { pcr, type: 'EV_EFI_ACTION', data: fromUtf8(text) };
}

export function variableData(name: string, value: Uint8Array, vendor = EFI_GLOBAL_VARIABLE): Uint8Array {
  return concatBytes(guid(vendor), u64(name.length), u64(value.length), utf16le(name), value);
}

export function secureBootVariable(name: string, value: Uint8Array): WrittenEvent {
  const vendor = /^db/.test(name) ? EFI_IMAGE_SECURITY_DATABASE : EFI_GLOBAL_VARIABLE;
  return { pcr: 7, type: 'EV_EFI_VARIABLE_DRIVER_CONFIG', data: variableData(name, value, vendor) };
}

export function authority(
  name: string,
  value: Uint8Array,
  vendor = EFI_IMAGE_SECURITY_DATABASE,
): WrittenEvent {
  return { pcr: 7, type: 'EV_EFI_VARIABLE_AUTHORITY', data: variableData(name, value, vendor) };
}

/** The digest of a boot variable covers its value alone. */
export function bootVariable(name: string, value: Uint8Array): WrittenEvent {
  return { pcr: 1, type: 'EV_EFI_VARIABLE_BOOT', data: variableData(name, value), measured: value };
}

export function signatureList(
  typeGuid: string,
  signatures: readonly Uint8Array[],
  owner = OWNER,
): Uint8Array {
  const size = 16 + (signatures[0]?.length ?? 0);
  const entries = signatures.map((data) => concatBytes(guid(owner), data));
  return concatBytes(guid(typeGuid), u32(28 + size * signatures.length), u32(0), u32(size), ...entries);
}

export const OWNER = '77fa9abd-0359-4d32-bd60-28f4e78f784b';
export const X509_LIST = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072';
export const SHA256_LIST = 'c1c41626-504c-4092-aca9-41f936934328';

/** DER that has the outside of a certificate, which is all that the log's reader looks at. */
export function certificateOf(length: number, fill: number): Uint8Array {
  const body = new Uint8Array(length).fill(fill);
  return concatBytes(Uint8Array.of(0x30, 0x82, length >> 8, length & 0xff), body);
}

export function pathNode(type: number, subType: number, data: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(type, subType), u16(4 + data.length), data);
}

export const PATH_END = pathNode(0x7f, 0xff, new Uint8Array(0));

export function filePath(path: string): Uint8Array {
  return concatBytes(pathNode(4, 4, utf16le(`${path}\0`)), PATH_END);
}

export function loadOption(description: string, path: Uint8Array, isActive = true): Uint8Array {
  return concatBytes(u32(isActive ? 1 : 0), u16(path.length), utf16le(`${description}\0`), path);
}

/** An image whose Authenticode digest is that of `image`. */
export function imageLoad(
  path: Uint8Array,
  image: Uint8Array,
  pcr = 4,
  type: EventTypeName = 'EV_EFI_BOOT_SERVICES_APPLICATION',
): WrittenEvent {
  const data = concatBytes(u64(0x7f000000), u64(image.length), u64(0), u64(path.length), path);
  return { pcr, type, data, measured: image };
}

export function gptData(partitions: readonly string[]): Uint8Array {
  const entry = (name: string): Uint8Array => {
    const bytes = new Uint8Array(128);
    bytes.set(
      concatBytes(guid('c12a7328-f81f-11d2-ba4b-00a0c93ec93b'), guid(OWNER), u64(2048), u64(4095), u64(0)),
    );
    bytes.set(utf16le(name), 56);
    return bytes;
  };
  const header = concatBytes(
    fromUtf8('EFI PART'),
    u32(0x10000),
    u32(92),
    u32(0),
    u32(0),
    u64(1),
    u64(99999),
    u64(34),
    u64(99966),
    guid(OWNER),
    u64(2),
    u32(128),
    u32(128),
    u32(0),
  );
  return concatBytes(header, u64(partitions.length), ...partitions.map(entry));
}

/** GRUB hashes the text without prefix and NUL. */
export function grubText(prefix: string, text: string): WrittenEvent {
  return { pcr: 8, type: 'EV_IPL', data: fromUtf8(`${prefix}${text}\0`), measured: fromUtf8(text) };
}

export function grubFile(path: string, content: Uint8Array): WrittenEvent {
  return { pcr: 9, type: 'EV_IPL', data: fromUtf8(`${path}\0`), measured: content };
}

/** shim logs the name of a variable and measures its content, into PCR 14. */
export function shimVariable(name: string, content: Uint8Array): WrittenEvent {
  return { pcr: 14, type: 'EV_IPL', data: fromUtf8(`${name}\0`), measured: content };
}

/** The boot of a machine with Secure Boot, shim and GRUB, filled with GRUB commands to `count` events. */
export function bootEvents(count: number, options: { isSecureBoot?: boolean } = {}): WrittenEvent[] {
  const kernel = fromUtf8('kernel');
  const vendor = certificateOf(1500, 1);
  const head: WrittenEvent[] = [
    startupLocality(3),
    { pcr: 0, type: 'EV_S_CRTM_VERSION', data: utf16le('Firmware 1.2\0') },
    {
      pcr: 0,
      type: 'EV_EFI_PLATFORM_FIRMWARE_BLOB',
      data: concatBytes(u64(0x820000), u64(0xe0000)),
      measured: fromUtf8('PEI'),
    },
    secureBootVariable('SecureBoot', Uint8Array.of(options.isSecureBoot === false ? 0 : 1)),
    secureBootVariable('PK', signatureList(X509_LIST, [certificateOf(800, 2)])),
    secureBootVariable('KEK', signatureList(X509_LIST, [certificateOf(1400, 3)])),
    secureBootVariable('db', signatureList(X509_LIST, [vendor])),
    secureBootVariable('dbx', signatureList(SHA256_LIST, hashes(200))),
    separator(7),
    bootVariable('BootOrder', concatBytes(u16(1), u16(0))),
    bootVariable('Boot0001', loadOption('linux', filePath('\\EFI\\linux\\shimx64.efi'))),
    action(4, 'Calling EFI Application from Boot Option'),
    ...[0, 1, 2, 3, 4, 5, 6].map((pcr) => separator(pcr)),
    { pcr: 5, type: 'EV_EFI_GPT_EVENT', data: gptData(['EFI', 'root']) },
    authority('db', concatBytes(guid(OWNER), vendor)),
    imageLoad(filePath('\\EFI\\linux\\shimx64.efi'), fromUtf8('shim')),
    imageLoad(filePath('\\EFI\\linux\\grubx64.efi'), fromUtf8('grub')),
  ];
  const tail: WrittenEvent[] = [
    grubFile('/boot/vmlinuz-6.1', kernel),
    imageLoad(new Uint8Array(0), kernel),
    grubText('kernel_cmdline: ', '/boot/vmlinuz-6.1 root=LABEL=root ro quiet'),
    grubFile('/boot/initrd.img-6.1', fromUtf8('initrd')),
    action(5, 'Exit Boot Services Invocation'),
    action(5, 'Exit Boot Services Returned with Success'),
  ];
  const missing = Math.max(0, count - 1 - head.length - tail.length);
  const commands = Array.from({ length: missing }, (_, i) =>
    grubText('grub_cmd: ', `set variable_${i}=value_${i}`),
  );
  return [...head, ...commands, ...tail];
}

function hashes(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => algorithmOf('sha256').hash(u32(i)));
}
