import { type DevicePathNode, formatDevicePath, parseDevicePath } from './device-path.ts';
import { BodyError, LittleEndianReader, textOrNull, trimNuls, utf16 } from './reader.ts';
import {
  looksLikeCertificate,
  parseSignature,
  parseSignatureLists,
  type SignatureList,
} from './signature-list.ts';

export const EFI_GLOBAL_VARIABLE = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
export const EFI_IMAGE_SECURITY_DATABASE = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
export const SHIM_LOCK = '605dab50-e046-4300-abb6-3dd810dd8b23';

/** EFI_LOAD_OPTION (UEFI 2.10, 3.1.3). */
export interface LoadOption {
  readonly attributes: number;
  /** LOAD_OPTION_ACTIVE. */
  readonly isActive: boolean;
  readonly description: string;
  readonly devicePath: string;
  readonly optionalData: Uint8Array;
}

/** What the value of a variable says, as far as its name tells how to read it. */
export type VariableContent =
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'signature-lists'; readonly lists: readonly SignatureList[] }
  | { readonly kind: 'authority'; readonly owner: string | null; readonly certificate: Uint8Array | null }
  | { readonly kind: 'boot-order'; readonly order: readonly number[] }
  | { readonly kind: 'load-option'; readonly option: LoadOption }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'opaque' };

/** UEFI_VARIABLE_DATA (TCG PFP 1.06, 10.2.6). */
export interface Variable {
  readonly guid: string;
  readonly name: string;
  readonly value: Uint8Array;
  /** Bytes behind the value, which no specification has. */
  readonly trailing: number;
}

const HEADER_BYTES = { 4: 24, 8: 32 } as const;

/** Lengths are u64, in old logs of 32-bit firmware u32: the one that fits decides. Throws `BodyError`. */
export function parseVariable(data: Uint8Array): Variable {
  const variable = readVariable(data, 8) ?? readVariable(data, 4);
  if (variable === null) throw new BodyError(`variable: lengths do not fit ${data.length} bytes`);
  return variable;
}

function readVariable(data: Uint8Array, uintnBytes: 4 | 8): Variable | null {
  if (data.length < HEADER_BYTES[uintnBytes]) return null;
  const reader = new LittleEndianReader(data);
  const guid = reader.guid();
  const length = (): number => (uintnBytes === 8 ? reader.length64() : reader.u32());
  const [nameChars, valueBytes] = [length(), length()];
  if (nameChars * 2 + valueBytes > reader.remaining) return null;
  const name = trimNuls(utf16(reader.bytes(nameChars * 2)));
  const value = reader.bytes(valueBytes);
  return { guid, name, value, trailing: reader.remaining };
}

const BOOLEANS = new Set([
  'SecureBoot',
  'SetupMode',
  'AuditMode',
  'DeployedMode',
  'VendorKeys',
  'MokListTrusted',
]);
const DATABASES = new Set([
  'PK',
  'KEK',
  'db',
  'dbx',
  'dbt',
  'dbr',
  'MokList',
  'MokListX',
  'devdb',
  'spdmdb',
  'spdmdbx',
]);

/** Reads the value by the variable's name. Throws `BodyError` when it does not fit the name. */
export function decodeVariableContent({ name, value }: Variable): VariableContent {
  if (BOOLEANS.has(name)) return decodeBoolean(value);
  if (DATABASES.has(name)) return { kind: 'signature-lists', lists: parseSignatureLists(value) };
  if (name === 'BootOrder' || name === 'DriverOrder') return { kind: 'boot-order', order: readU16s(value) };
  if (name === 'BootNext' || name === 'BootCurrent') return { kind: 'boot-order', order: readU16s(value) };
  if (/^(?:Boot|Driver|SysPrep|PlatformRecovery|OsRecovery)[0-9A-Fa-f]{4}$/.test(name)) {
    return { kind: 'load-option', option: parseLoadOption(value) };
  }
  const text = name.startsWith('Sbat') ? textOrNull(value) : null;
  return text === null ? { kind: 'opaque' } : { kind: 'text', text: trimNuls(text) };
}

function decodeBoolean(value: Uint8Array): VariableContent {
  if (value.length === 0) return { kind: 'opaque' }; // The variable does not exist, and so it was measured.
  if (value.length !== 1 || (value[0] as number) > 1)
    throw new BodyError('value of a boolean variable is not 0 or 1');
  return { kind: 'boolean', value: value[0] === 1 };
}

function readU16s(value: Uint8Array): number[] {
  if (value.length % 2 !== 0) throw new BodyError(`list of u16 in ${value.length} bytes`);
  const reader = new LittleEndianReader(value);
  return Array.from({ length: value.length / 2 }, () => reader.u16());
}

/** Throws `BodyError`. */
export function parseLoadOption(value: Uint8Array): LoadOption {
  const reader = new LittleEndianReader(value);
  const [attributes, pathBytes] = [reader.u32(), reader.u16()];
  let description = '';
  for (let char = reader.u16(); char !== 0; char = reader.u16()) description += String.fromCharCode(char);
  const nodes: readonly DevicePathNode[] = parseDevicePath(reader.bytes(pathBytes));
  return {
    attributes,
    isActive: (attributes & 1) === 1,
    description: description.toWellFormed(),
    devicePath: formatDevicePath(nodes),
    optionalData: reader.rest(),
  };
}

/**
 * The value of EV_EFI_VARIABLE_AUTHORITY: the EFI_SIGNATURE_DATA that let an image run. Old shims leave out the owner
 * or measure the bare certificate; for SBAT and trust flags shim measures a value of another kind.
 */
export function decodeAuthority(variable: Variable): VariableContent {
  const { name, value } = variable;
  if (name.startsWith('Sbat') || name === 'MokListTrusted') return decodeVariableContent(variable);
  if (looksLikeCertificate(value)) return { kind: 'authority', owner: null, certificate: value };
  const { owner, data } = parseSignature(value);
  return { kind: 'authority', owner, certificate: looksLikeCertificate(data) ? data : null };
}
