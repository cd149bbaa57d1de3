import {
  decodeEvent,
  EVENT_TYPE,
  type EventBody,
  type EventTypeName,
  type RawEvent,
  type TaggedEvent,
} from '@nemea/attestation/eventlog';
import { printable, toHex } from '@nemea/core';

/** Short enough for a column; what is not here is shown by its full name, cut. */
const SHORT: Readonly<Partial<Record<EventTypeName, string>>> = {
  EV_NO_ACTION: 'no action',
  EV_SEPARATOR: 'separator',
  EV_ACTION: 'action',
  EV_EFI_ACTION: 'action',
  EV_EVENT_TAG: 'tag',
  EV_IPL: 'boot loader',
  EV_S_CRTM_CONTENTS: 'crtm',
  EV_S_CRTM_VERSION: 'crtm version',
  EV_POST_CODE: 'post code',
  EV_POST_CODE2: 'post code',
  EV_CPU_MICROCODE: 'microcode',
  EV_PLATFORM_CONFIG_FLAGS: 'config flags',
  EV_TABLE_OF_DEVICES: 'devices',
  EV_COMPACT_HASH: 'compact hash',
  EV_IPL_PARTITION_DATA: 'partition',
  EV_NONHOST_CODE: 'nonhost code',
  EV_NONHOST_CONFIG: 'nonhost conf',
  EV_NONHOST_INFO: 'nonhost info',
  EV_OMIT_BOOT_DEVICE_EVENTS: 'omit boot',
  EV_EFI_VARIABLE_DRIVER_CONFIG: 'variable',
  EV_EFI_VARIABLE_BOOT: 'boot var',
  EV_EFI_VARIABLE_BOOT2: 'boot var',
  EV_EFI_VARIABLE_AUTHORITY: 'authority',
  EV_EFI_BOOT_SERVICES_APPLICATION: 'load app',
  EV_EFI_BOOT_SERVICES_DRIVER: 'load driver',
  EV_EFI_RUNTIME_SERVICES_DRIVER: 'load runtime',
  EV_EFI_GPT_EVENT: 'gpt',
  EV_EFI_GPT_EVENT2: 'gpt',
  EV_EFI_PLATFORM_FIRMWARE_BLOB: 'firmware',
  EV_EFI_PLATFORM_FIRMWARE_BLOB2: 'firmware',
  EV_EFI_HANDOFF_TABLES: 'tables',
  EV_EFI_HANDOFF_TABLES2: 'tables',
  EV_EFI_HCRTM_EVENT: 'h-crtm',
  EV_EFI_SPDM_FIRMWARE_BLOB: 'device code',
  EV_EFI_SPDM_FIRMWARE_CONFIG: 'device conf',
  EV_EFI_SPDM_DEVICE_POLICY: 'device policy',
  EV_EFI_SPDM_DEVICE_AUTHORITY: 'device auth',
};
const TYPE_COLUMNS = 13;
const OPAQUE_BYTES = 16;
/** Where a no-action event of Windows, or of a firmware's manufacturer, names none. */
const NO_REGISTER = 0xffffffff;

/** One line of at most `columns` characters: number, PCR, `!` when there is a finding, type, what it says. */
export function eventLine(event: RawEvent, hasFinding: boolean, columns: number): string {
  const register = event.pcr === NO_REGISTER ? '-' : event.pcr > 99 ? 'nv' : String(event.pcr);
  const type = clip(
    SHORT[event.typeName as EventTypeName] ?? event.typeName.replace('EVTYPE_', ''),
    TYPE_COLUMNS,
  ).padEnd(TYPE_COLUMNS);
  const head = `${String(event.number).padStart(4)} ${register.padStart(3)}${hasFinding ? '!' : ' '} ${type} `;
  // No more than a line of what may be a megabyte.
  const said = printable(describeEvent(event).slice(0, columns).trim());
  return (head + clip(said, columns - head.length)).trimEnd();
}

/** The start of a text that is too long; a character is taken for one column. */
export function clip(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}~`;
}

function describeEvent(event: RawEvent): string {
  const { body } = decodeEvent(event);
  return body.kind === 'opaque' ? describeBytes(event.data) : describeBody(body, event);
}

function describeBytes(data: Uint8Array): string {
  if (data.length === 0) return '(empty)';
  const hex = toHex(data.subarray(0, OPAQUE_BYTES));
  return data.length <= OPAQUE_BYTES ? hex : `${hex}... (${data.length} bytes)`;
}

function describeBody(body: Exclude<EventBody, { kind: 'opaque' }>, event: RawEvent): string {
  switch (body.kind) {
    case 'spec-id': {
      const banks = body.specId.algorithms.map(({ bank, id }) => bank ?? `0x${id.toString(16)}`);
      return `${body.specId.signature}, ${body.specId.version}: ${banks.join(' ') || 'sha1'}`;
    }
    case 'startup-locality':
      return `startup locality ${body.locality}`;
    case 'hcrtm-component':
      return `H-CRTM component ${body.description}`;
    case 'platform-id':
      return `SP800-155: ${body.platform?.platformModel ?? `vendor ${body.vendorId}`} ${body.referenceManifestGuid}`;
    case 'nv-index-instance':
      return `NV index: device ${body.device.authState ?? ''}`;
    case 'nv-index-dynamic':
      return `NV index: ${body.description}`;
    case 'no-action':
      return body.signature ?? describeBytes(event.data);
    case 'separator':
      return body.meaning === 'unknown' ? describeBytes(event.data) : body.meaning;
    case 'text':
      return body.text === '' ? '(empty)' : body.text;
    case 'guid':
      return body.guid;
    case 'firmware-blob':
      return `${body.description ?? ''} 0x${body.base.toString(16)}, 0x${body.length.toString(16)} bytes`.trim();
    case 'tables':
      return `${body.description ?? ''} ${body.tables.map(({ guid }) => guid).join(' ')}`.trim();
    case 'variable':
      return describeVariable(body, event.type === EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY);
    case 'image-load':
      return lastNodes(body.image.devicePath) || '(no path)';
    case 'gpt':
      return body.gpt.partitions.map(({ name, type }) => name || type).join(', ');
    case 'tagged':
      return body.events.map(describeTagged).join(', ');
    case 'loader':
      return LOADER_PREFIXES[body.what] + body.text;
    case 'device':
      return `${body.device.deviceType} ${body.device.devicePath ?? ''} ${body.device.content.kind}`;
  }
}

function describeTagged({ name, id, data, children }: TaggedEvent): string {
  const label = name ?? `0x${id.toString(16)}`;
  if (children.length === 0) return `${label} (${data.length} bytes)`;
  return `${label}: ${children.map(describeTagged).join(', ')}`;
}

const LOADER_PREFIXES = {
  'grub-command': 'grub: ',
  'grub-kernel-command-line': 'kernel: ',
  'grub-file': 'file ',
  'shim-variable': 'shim: ',
  section: 'section ',
  systemd: 'systemd: ',
  text: '',
} as const;

function describeVariable(
  { variable, content }: Extract<EventBody, { kind: 'variable' }>,
  isUse: boolean,
): string {
  const { name, value } = variable;
  switch (content.kind) {
    case 'boolean':
      return `${name} = ${content.value ? 1 : 0}`;
    case 'signature-lists': {
      const certificates = content.lists
        .filter(({ type }) => type === 'x509')
        .flatMap(({ signatures }) => signatures);
      const others = content.lists
        .filter(({ type }) => type !== 'x509')
        .flatMap(({ signatures }) => signatures);
      return `${name}: ${certificates.length} certificates, ${others.length} hashes`;
    }
    case 'authority':
      return `${name}: ${content.certificate === null ? 'a hash' : 'a certificate'} let it run`;
    case 'boot-order':
      return `${name}: ${content.order.map((option) => option.toString(16).padStart(4, '0')).join(' ')}`;
    case 'load-option':
      return `${name}: ${content.option.description}, ${lastNodes(content.option.devicePath)}`;
    case 'text':
      return `${name}: ${content.text}`;
    case 'opaque':
      return `${name}${isUse ? ' (used)' : ''}: ${describeBytes(value)}`;
  }
}

/** The file when there is one, else the end of the path, where it differs. */
export function lastNodes(path: string): string {
  const file = path.indexOf('\\');
  if (file >= 0) return path.slice(file);
  return path.split('/').slice(-2).join('/');
}
