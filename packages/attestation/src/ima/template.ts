import { ImaError } from './errors.ts';
import type { ByteOrder, ImaDigest, ImaEvm, ImaFields, ImaModsig } from './list.ts';
import { decodeName } from './name.ts';

/** Fields of templates: Linux, Documentation/security/IMA-templates.rst. */
export type FieldId =
  | 'd'
  | 'd-ng'
  | 'd-ngv2'
  | 'n'
  | 'n-ng'
  | 'sig'
  | 'buf'
  | 'd-modsig'
  | 'modsig'
  | 'evmsig'
  | 'xattrnames'
  | 'xattrlengths'
  | 'xattrvalues'
  | 'iuid'
  | 'igid'
  | 'imode';

/** How a field is written in an ASCII list. */
export const FIELD_FORMATS: Readonly<
  Record<FieldId, 'digest' | 'prefixed' | 'text' | 'hex' | 'u32' | 'u16'>
> = {
  d: 'digest',
  'd-ng': 'prefixed',
  'd-ngv2': 'prefixed',
  n: 'text',
  'n-ng': 'text',
  sig: 'hex',
  buf: 'hex',
  'd-modsig': 'prefixed',
  modsig: 'hex',
  evmsig: 'hex',
  xattrnames: 'text',
  xattrlengths: 'hex',
  xattrvalues: 'hex',
  iuid: 'u32',
  igid: 'u32',
  imode: 'u16',
};

const EVM_FIELDS = 'evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode';
const TEMPLATES: ReadonlyMap<string, readonly FieldId[]> = new Map(
  [
    ['ima', 'd|n'],
    ['ima-ng', 'd-ng|n-ng'],
    ['ima-ngv2', 'd-ngv2|n-ng'],
    ['ima-sig', 'd-ng|n-ng|sig'],
    ['ima-sigv2', 'd-ngv2|n-ng|sig'],
    ['ima-buf', 'd-ng|n-ng|buf'],
    ['ima-modsig', 'd-ng|n-ng|sig|d-modsig|modsig'],
    ['evm-sig', `d-ng|n-ng|${EVM_FIELDS}`],
  ].map(([name, fields]) => [name as string, (fields as string).split('|').filter(isFieldId)]),
);

/** The legacy template: its data has no lengths, and its name is padded with zeros. */
export const LEGACY_TEMPLATE = 'ima';
export const LEGACY_NAME_BYTES = 256;
const SHA1_BYTES = 20;
const MD5_BYTES = 16;
const COLON = 0x3a;

/** The fields of a template, or of a custom one that is named by its fields; null when it is not known here. [IMA-6] */
export function fieldsOfTemplate(template: string): readonly FieldId[] | null {
  const known = TEMPLATES.get(template);
  if (known !== undefined) return known;
  const ids = template.split('|');
  if (!ids.every(isFieldId) || new Set(ids).size !== ids.length) return null;
  return ids;
}

function isFieldId(id: string): id is FieldId {
  return Object.hasOwn(FIELD_FORMATS, id);
}

/** Reads template data by its fields. Throws `IMA_TEMPLATE_INVALID`. */
export function parseTemplateData(
  template: string,
  ids: readonly FieldId[],
  data: Uint8Array,
  order: ByteOrder,
): ImaFields {
  if (template === LEGACY_TEMPLATE) return parseLegacy(data);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const little = order === 'little';
  const parts: Partial<Record<FieldId, Uint8Array>> = {};
  let offset = 0;
  for (const id of ids) {
    if (data.length - offset < 4) throw invalid(`${template}: no length of field ${id}`);
    const length = view.getUint32(offset, little);
    offset += 4;
    if (length > data.length - offset) throw invalid(`${template}: field ${id} of ${length} bytes overruns`);
    parts[id] = data.subarray(offset, offset + length);
    offset += length;
  }
  if (offset !== data.length)
    throw invalid(`${template}: ${data.length - offset} bytes after the last field`);
  return assemble(parts, little);
}

function assemble(parts: Partial<Record<FieldId, Uint8Array>>, little: boolean): ImaFields {
  const digest = digestOf(parts);
  const nameBytes = parts['n-ng'] ?? parts.n;
  if (digest === null || nameBytes === undefined) return { kind: 'unknown' };
  const name = decodeName(terminated(nameBytes));
  if (parts.buf !== undefined) return { kind: 'buffer', digest, name, buffer: parts.buf };
  return {
    kind: 'file',
    digest,
    path: name,
    signature: orNull(parts.sig),
    modsig: modsigOf(parts),
    evm: evmOf(parts, little),
  };
}

function digestOf(parts: Partial<Record<FieldId, Uint8Array>>): ImaDigest | null {
  const prefixed = parts['d-ngv2'] ?? parts['d-ng'];
  if (prefixed !== undefined) return parsePrefixedDigest(prefixed);
  return parts.d === undefined ? null : bareDigest(parts.d);
}

/** `sha256:`, NUL, digest; d-ngv2 with `ima:` or `verity:` before it. Kernels before 3.14 may leave the name out. */
function parsePrefixedDigest(bytes: Uint8Array): ImaDigest {
  const end = bytes.indexOf(0);
  if (end < 1 || bytes[end - 1] !== COLON) throw invalid('a digest has no name of its hash');
  const value = bytes.subarray(end + 1);
  if (end === 1) return bareDigest(value);
  const prefix = prefixText(bytes, end - 1);
  const colon = prefix.indexOf(':');
  if (colon < 0) return { type: 'ima', algorithm: prefix, value };
  const type = prefix.slice(0, colon);
  if (type !== 'ima' && type !== 'verity') throw invalid(`digest type: got ${JSON.stringify(type)}`);
  return { type, algorithm: prefix.slice(colon + 1), value };
}

const PREFIX_BYTES_MAX = 64;

function prefixText(bytes: Uint8Array, length: number): string {
  if (length > PREFIX_BYTES_MAX) throw invalid(`the name of a hash: got ${length} bytes`);
  let text = '';
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] as number;
    if (byte <= 0x20 || byte >= 0x7f) throw invalid('the name of a hash is not printable ASCII');
    text += String.fromCharCode(byte);
  }
  return text;
}

/** A digest without a name is SHA-1 or MD5. */
function bareDigest(value: Uint8Array): ImaDigest {
  if (value.length !== SHA1_BYTES && value.length !== MD5_BYTES) {
    throw invalid(`a digest without the name of its hash: got ${value.length} bytes, want 20 or 16`);
  }
  return { type: 'ima', algorithm: value.length === SHA1_BYTES ? 'sha1' : 'md5', value };
}

function parseLegacy(data: Uint8Array): ImaFields {
  const end = data.length - LEGACY_NAME_BYTES;
  if (end < 0) throw invalid(`ima: got ${data.length} bytes`);
  const digest = bareDigest(data.subarray(0, end));
  const path = decodeName(terminated(data.subarray(end)));
  return { kind: 'file', digest, path, signature: null, modsig: null, evm: null };
}

/** The text before its NUL; nothing but NULs may follow. */
function terminated(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  if (end === bytes.length) throw invalid('a name does not end in NUL');
  const text = bytes.subarray(0, end);
  if (text.includes(0)) throw invalid('a name has NUL inside');
  return text;
}

function modsigOf(parts: Partial<Record<FieldId, Uint8Array>>): ImaModsig | null {
  const pkcs7 = orNull(parts.modsig);
  if (pkcs7 === null) return null;
  const digest = orNull(parts['d-modsig']);
  return { digest: digest === null ? null : parsePrefixedDigest(digest), pkcs7 };
}

function evmOf(parts: Partial<Record<FieldId, Uint8Array>>, little: boolean): ImaEvm | null {
  const { evmsig, xattrnames, xattrlengths, xattrvalues } = parts;
  if (evmsig === undefined && xattrvalues === undefined) return null;
  return {
    signature: orNull(evmsig),
    xattrNames:
      orNull(xattrnames) === null ? [] : decodeName(terminated(xattrnames as Uint8Array)).split('|'),
    xattrValues: splitValues(xattrlengths ?? new Uint8Array(), xattrvalues ?? new Uint8Array(), little),
    uid: integer(parts.iuid, little),
    gid: integer(parts.igid, little),
    mode: integer(parts.imode, little),
  };
}

function splitValues(lengths: Uint8Array, values: Uint8Array, little: boolean): Uint8Array[] {
  if (lengths.length % 4 !== 0) throw invalid(`xattrlengths: got ${lengths.length} bytes`);
  const view = new DataView(lengths.buffer, lengths.byteOffset, lengths.byteLength);
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (let at = 0; at < lengths.length; at += 4) {
    const length = view.getUint32(at, little);
    if (length > values.length - offset) throw invalid('xattrvalues end before xattrlengths say');
    parts.push(values.subarray(offset, offset + length));
    offset += length;
  }
  if (offset !== values.length) throw invalid('xattrvalues go on after xattrlengths end');
  return parts;
}

function integer(bytes: Uint8Array | undefined, little: boolean): number | null {
  if (bytes === undefined || bytes.length === 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 2) return view.getUint16(0, little);
  if (bytes.length === 4) return view.getUint32(0, little);
  throw invalid(`a number: got ${bytes.length} bytes, want 2 or 4`);
}

function orNull(bytes: Uint8Array | undefined): Uint8Array | null {
  return bytes === undefined || bytes.length === 0 ? null : bytes;
}

function invalid(message: string): ImaError {
  return new ImaError('IMA_TEMPLATE_INVALID', message);
}
