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

export const BUILT_IN_TEMPLATES: readonly string[] = [...TEMPLATES.keys()];

/** The legacy template: its data has no lengths, and its name is padded with zeros. */
export const LEGACY_TEMPLATE = 'ima';
export const LEGACY_NAME_BYTES = 256;
const SHA1_BYTES = 20;
const MD5_BYTES = 16;
const COLON = 0x3a;
/** HASH_MAX_DIGESTSIZE of the kernel's crypto API: SHA-512. */
const DIGEST_BYTES_MAX = 64;

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
  const little = order === 'little';
  let digest: ImaDigest | null = null;
  let name: string | null = null;
  const more: Partial<Record<FieldId, Uint8Array>> = {};
  let offset = 0;
  for (const id of ids) {
    const start = offset + 4;
    if (start > data.length) throw invalid(`${template}: no length of field ${id}`);
    offset = start + readU32(data, offset, little);
    if (offset > data.length) throw invalid(`${template}: field ${id} overruns its data`);
    // Lists have a hundred thousand entries and more, nearly all of just these fields: no view of what is read at once.
    if (id === 'd-ng' || id === 'd-ngv2') digest = parsePrefixedDigest(data, start, offset);
    else if (id === 'n-ng' || id === 'n') name = parseName(data, start, offset);
    else if (id === 'd') digest = bareDigest(data.subarray(start, offset));
    else if (offset > start || id === 'buf' || id === 'evmsig') more[id] = data.subarray(start, offset);
  }
  if (offset !== data.length)
    throw invalid(`${template}: ${data.length - offset} bytes after the last field`);
  if (digest === null || name === null) return { kind: 'unknown' };
  if (more.buf !== undefined) return { kind: 'buffer', digest, name, buffer: more.buf };
  return {
    kind: 'file',
    digest,
    path: name,
    signature: more.sig ?? null,
    modsig: more.modsig === undefined ? null : parseModsig(more.modsig, more['d-modsig']),
    evm: more.evmsig === undefined && more.xattrvalues === undefined ? null : parseEvm(more, little),
  };
}

function parseLegacy(data: Uint8Array): ImaFields {
  const end = data.length - LEGACY_NAME_BYTES;
  if (end < 0) throw invalid(`ima: got ${data.length} bytes`);
  const digest = bareDigest(data.subarray(0, end));
  const path = parseName(data, end, data.length);
  return { kind: 'file', digest, path, signature: null, modsig: null, evm: null };
}

/** `sha256:`, NUL, digest; d-ngv2 with `ima:` or `verity:` before it. The name may be left out for SHA-1 and MD5. */
function parsePrefixedDigest(data: Uint8Array, start: number, end: number): ImaDigest {
  const nul = data.indexOf(0, start);
  if (nul <= start || nul >= end || data[nul - 1] !== COLON)
    throw invalid('a digest has no name of its hash');
  const value = data.subarray(nul + 1, end);
  if (nul - 1 === start) return bareDigest(value);
  if (value.length > DIGEST_BYTES_MAX) throw invalid(`a digest: got ${value.length} bytes, want at most 64`);
  const prefix = prefixText(data, start, nul - 1);
  const colon = prefix.indexOf(':');
  if (colon < 0) return { type: 'ima', algorithm: prefix, value };
  const type = prefix.slice(0, colon);
  if (type !== 'ima' && type !== 'verity') throw invalid(`digest type: got ${JSON.stringify(type)}`);
  return { type, algorithm: prefix.slice(colon + 1), value };
}

const PREFIX_BYTES_MAX = 64;
const PRINTABLE = /^[!-~]+$/;

function prefixText(data: Uint8Array, start: number, end: number): string {
  if (end - start > PREFIX_BYTES_MAX) throw invalid(`the name of a hash: got ${end - start} bytes`);
  const text = decodeName(data, start, end);
  if (!PRINTABLE.test(text)) throw invalid('the name of a hash is not printable ASCII');
  return text;
}

/** A digest without a name is SHA-1 or MD5. */
function bareDigest(value: Uint8Array): ImaDigest {
  if (value.length !== SHA1_BYTES && value.length !== MD5_BYTES) {
    throw invalid(`a digest without the name of its hash: got ${value.length} bytes, want 20 or 16`);
  }
  return { type: 'ima', algorithm: value.length === SHA1_BYTES ? 'sha1' : 'md5', value };
}

/** The text before its NUL; nothing but NULs may follow. */
function parseName(data: Uint8Array, start: number, fieldEnd: number): string {
  let end = fieldEnd;
  while (end > start && data[end - 1] === 0) end--;
  if (end === fieldEnd) throw invalid('a name does not end in NUL');
  const nul = data.indexOf(0, start);
  if (nul < end) throw invalid('a name has NUL inside');
  return decodeName(data, start, end);
}

function parseModsig(pkcs7: Uint8Array, digest: Uint8Array | undefined): ImaModsig {
  return { digest: digest === undefined ? null : parsePrefixedDigest(digest, 0, digest.length), pkcs7 };
}

function parseEvm(parts: Partial<Record<FieldId, Uint8Array>>, little: boolean): ImaEvm {
  const { evmsig, xattrnames, xattrlengths = new Uint8Array(), xattrvalues = new Uint8Array() } = parts;
  return {
    signature: evmsig === undefined || evmsig.length === 0 ? null : evmsig,
    xattrNames: xattrnames === undefined ? [] : parseName(xattrnames, 0, xattrnames.length).split('|'),
    xattrValues: splitValues(xattrlengths, xattrvalues, little),
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
  if (bytes === undefined) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 2) return view.getUint16(0, little);
  if (bytes.length === 4) return view.getUint32(0, little);
  throw invalid(`a number: got ${bytes.length} bytes, want 2 or 4`);
}

function readU32(data: Uint8Array, at: number, little: boolean): number {
  const [a, b, c, d] = [
    data[at] as number,
    data[at + 1] as number,
    data[at + 2] as number,
    data[at + 3] as number,
  ];
  return (little ? a | (b << 8) | (c << 16) | (d << 24) : d | (c << 8) | (b << 16) | (a << 24)) >>> 0;
}

function invalid(message: string): ImaError {
  return new ImaError('IMA_TEMPLATE_INVALID', message);
}
