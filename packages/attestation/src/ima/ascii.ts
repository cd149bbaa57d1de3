import { isZero } from './binary.ts';
import { ImaError } from './errors.ts';
import { bankBytes } from './hash.ts';
import {
  IMA_ENTRIES_MAX,
  IMA_PATH_BYTES_MAX,
  IMA_TEMPLATE_DATA_BYTES_MAX,
  IMA_TEMPLATE_NAME_BYTES_MAX,
  PCR_MAX,
} from './limits.ts';
import { type ByteOrder, IMA_BANKS, type ImaBank, type ImaEntry, type ImaList } from './list.ts';
import { decodeName } from './name.ts';
import {
  FIELD_FORMATS,
  type FieldId,
  fieldsOfTemplate,
  LEGACY_NAME_BYTES,
  LEGACY_TEMPLATE,
  parseTemplateData,
} from './template.ts';

const [LF, CR, SPACE, COLON] = [0x0a, 0x0d, 0x20, 0x3a];
const HEX = hexTable();
const PRINTABLE = /^[!-~]+$/;

export interface AsciiOptions {
  readonly byteOrder: ByteOrder;
  readonly templateHashAlgorithm?: ImaBank;
  readonly firstNumber: number;
}

/**
 * ascii_runtime_measurements: `pcr hash template field field ...`, one space between, a field may be empty. Template
 * data is built again from the text, as the kernel hashed it [IMA-7]. A line feed in a file name is not escaped, so it ends the
 * line: what is left is no entry, or one with a wrong template hash [IMA-10].
 */
export function parseAscii(bytes: Uint8Array, options: AsciiOptions): ImaList {
  const crlf = hasCrlf(bytes);
  const arena = openArena();
  const entries: ImaEntry[] = [];
  let hash = options.templateHashAlgorithm;
  for (let start = 0; start < bytes.length; ) {
    const at = bytes.indexOf(LF, start);
    const end = at < 0 ? bytes.length : at;
    const number = options.firstNumber + entries.length;
    if (entries.length === IMA_ENTRIES_MAX) {
      throw new ImaError('IMA_TOO_LARGE', `more than ${IMA_ENTRIES_MAX} entries`);
    }
    const line = bytes.subarray(start, crlf && bytes[end - 1] === CR ? end - 1 : end);
    const entry = parseLine(line, number, options.byteOrder, arena);
    hash ??= bankOfLength(entry.templateHash.length);
    if (hash === undefined || entry.templateHash.length !== bankBytes(hash)) {
      throw invalid(number, `a template hash of ${entry.templateHash.length} bytes`);
    }
    entries.push(entry);
    start = end + 1;
  }
  return { form: 'ascii', byteOrder: options.byteOrder, templateHashAlgorithm: hash ?? 'sha1', entries };
}

/** Zeroed bytes of a length. Entries share blocks, because a buffer of its own costs each one more than its parsing. */
type Arena = (length: number) => Uint8Array;
const ARENA_BLOCK_BYTES = 2 ** 18;

function openArena(): Arena {
  let block = new Uint8Array(0);
  let used = 0;
  return (length) => {
    if (length > block.length - used) {
      block = new Uint8Array(Math.max(length, ARENA_BLOCK_BYTES));
      used = 0;
    }
    used += length;
    return block.subarray(used - length, used);
  };
}

/** [IMA-4] A list that went through a Windows tool has CR at the end of every line; a file name may end in CR too. */
function hasCrlf(bytes: Uint8Array): boolean {
  const end = bytes.indexOf(LF);
  return end > 0 && bytes[end - 1] === CR;
}

function bankOfLength(length: number): ImaBank | undefined {
  return IMA_BANKS.find((bank) => bankBytes(bank) === length);
}

function parseLine(line: Uint8Array, number: number, order: ByteOrder, arena: Arena): ImaEntry {
  let start = 0;
  while (line[start] === SPACE) start++;
  const pcrEnd = tokenEnd(line, start, number);
  const hashEnd = tokenEnd(line, pcrEnd + 1, number);
  const templateEnd = tokenEnd(line, hashEnd + 1, number);
  const pcr = parseNumber(line, start, pcrEnd, PCR_MAX, number);
  const templateHash = arena((hashEnd - pcrEnd - 1) >> 1);
  putHex(line, pcrEnd + 1, hashEnd, templateHash, 0, number);
  const template = parseTemplateName(line, hashEnd + 1, templateEnd, number);
  const ids = fieldsOfTemplate(template);
  if (ids === null) {
    throw new ImaError('IMA_TEMPLATE_UNKNOWN', `entry ${number}: template ${template}; use the binary list`, {
      data: { number, template },
    });
  }
  const tokens = splitFields(line, templateEnd + 1, ids, number);
  const templateData = buildTemplateData(line, template, ids, tokens, order, number, arena);
  return {
    number,
    pcr,
    templateHash,
    template,
    templateData,
    fields: parseTemplateData(template, ids, templateData, order),
    violation: isZero(templateHash),
  };
}

function tokenEnd(line: Uint8Array, start: number, number: number): number {
  const end = line.indexOf(SPACE, start);
  if (end <= start) throw invalid(number, 'fewer than four fields');
  return end;
}

function parseTemplateName(line: Uint8Array, start: number, end: number, number: number): string {
  if (end - start > IMA_TEMPLATE_NAME_BYTES_MAX)
    throw invalid(number, `a template name of ${end - start} bytes`);
  const name = decodeName(line, start, end);
  if (!PRINTABLE.test(name)) throw invalid(number, 'a template name that is not printable ASCII');
  return name;
}

/** Where each field starts and ends: [start, end, start, end, ...]. */
function splitFields(line: Uint8Array, start: number, ids: readonly FieldId[], number: number): number[] {
  const bounds: number[] = [];
  const boundsMax = 2 * (ids.length + IMA_PATH_BYTES_MAX);
  for (let at = start; ; ) {
    if (bounds.length >= boundsMax) throw invalid(number, `more than ${boundsMax / 2} fields`);
    const space = line.indexOf(SPACE, at);
    bounds.push(at, space < 0 ? line.length : space);
    if (space < 0) break;
    at = space + 1;
  }
  // [IMA-9] Spaces beyond what the template has belong to the name: kernels write `_` for them, older ones did not.
  const more = bounds.length - 2 * ids.length;
  if (more > 0) {
    const name = ids.findIndex((id) => id === 'n' || id === 'n-ng');
    if (name < 0) throw invalid(number, 'more fields than its template has');
    bounds.splice(2 * name + 1, more);
  }
  // [IMA-9] Empty last fields are lost where editors cut spaces at the end of lines. The hash says if that was all.
  while (bounds.length < 2 * ids.length) bounds.push(line.length, line.length);
  return bounds;
}

function buildTemplateData(
  line: Uint8Array,
  template: string,
  ids: readonly FieldId[],
  tokens: readonly number[],
  order: ByteOrder,
  number: number,
  arena: Arena,
): Uint8Array {
  if (template === LEGACY_TEMPLATE) return buildLegacyData(line, tokens, number);
  let total = 0;
  for (let i = 0; i < ids.length; i++) {
    total += 4 + fieldBytes(line, ids[i] as FieldId, tokens[2 * i] as number, tokens[2 * i + 1] as number);
  }
  if (total > IMA_TEMPLATE_DATA_BYTES_MAX) {
    throw new ImaError('IMA_TOO_LARGE', `entry ${number}: template data of ${total} bytes`, {
      data: { number },
    });
  }
  const data = arena(total);
  let offset = 0;
  for (let i = 0; i < ids.length; i++) {
    const [id, start, end] = [ids[i] as FieldId, tokens[2 * i] as number, tokens[2 * i + 1] as number];
    const length = fieldBytes(line, id, start, end);
    putInteger(data, offset, length, 4, order);
    offset += 4;
    if (length > 0) putField(line, id, start, end, data, offset, order, number);
    offset += length;
  }
  return data;
}

/** The bytes of a field, from its text. An odd number of digits is found when they are read. */
function fieldBytes(line: Uint8Array, id: FieldId, start: number, end: number): number {
  if (start === end) return FIELD_FORMATS[id] === 'text' && id !== 'xattrnames' ? 1 : 0;
  switch (FIELD_FORMATS[id]) {
    case 'digest':
    case 'hex':
      return (end - start) >> 1;
    case 'prefixed': {
      const colon = lastColon(line, start, end);
      return colon < start ? 2 + ((end - start) >> 1) : colon - start + 2 + ((end - colon - 1) >> 1);
    }
    case 'text':
      return end - start + 1;
    case 'u32':
      return 4;
    case 'u16':
      return 2;
  }
}

function putField(
  line: Uint8Array,
  id: FieldId,
  start: number,
  end: number,
  out: Uint8Array,
  offset: number,
  order: ByteOrder,
  number: number,
): void {
  switch (FIELD_FORMATS[id]) {
    case 'digest':
    case 'hex':
      putHex(line, start, end, out, offset, number);
      return;
    case 'prefixed': {
      const colon = lastColon(line, start, end);
      const prefix = Math.max(colon - start, 0);
      copy(line, start, start + prefix, out, offset);
      out[offset + prefix] = COLON;
      putHex(line, colon < start ? start : colon + 1, end, out, offset + prefix + 2, number);
      return;
    }
    case 'text':
      copy(line, start, end, out, offset);
      return;
    case 'u32':
      putInteger(out, offset, parseNumber(line, start, end, 0xffffffff, number), 4, order);
      return;
    case 'u16':
      putInteger(out, offset, parseNumber(line, start, end, 0xffff, number), 2, order);
      return;
  }
}

function buildLegacyData(line: Uint8Array, tokens: readonly number[], number: number): Uint8Array {
  const [digestAt, digestEnd, nameAt, nameEnd] = tokens as [number, number, number, number];
  const digestBytes = (digestEnd - digestAt) >> 1;
  if (nameEnd - nameAt >= LEGACY_NAME_BYTES) throw invalid(number, `a name of ${nameEnd - nameAt} bytes`);
  const data = new Uint8Array(digestBytes + LEGACY_NAME_BYTES);
  putHex(line, digestAt, digestEnd, data, 0, number);
  data.set(line.subarray(nameAt, nameEnd), digestBytes);
  return data;
}

function copy(line: Uint8Array, start: number, end: number, out: Uint8Array, offset: number): void {
  for (let i = start, at = offset; i < end; i++, at++) out[at] = line[i] as number;
}

function lastColon(line: Uint8Array, start: number, end: number): number {
  for (let i = end - 1; i >= start; i--) if (line[i] === COLON) return i;
  return -1;
}

function putHex(
  line: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  offset: number,
  number: number,
): void {
  if ((end - start) % 2 !== 0) throw invalid(number, 'an odd number of hex digits');
  for (let i = start, at = offset; i < end; i += 2, at++) {
    const high = HEX[line[i] as number] as number;
    const low = HEX[line[i + 1] as number] as number;
    if ((high | low) > 15) throw invalid(number, 'not a hex string');
    out[at] = (high << 4) | low;
  }
}

function putInteger(out: Uint8Array, offset: number, value: number, bytes: number, order: ByteOrder): void {
  for (let i = 0; i < bytes; i++) {
    const shift = 8 * (order === 'little' ? i : bytes - 1 - i);
    out[offset + i] = value >>> shift;
  }
}

function parseNumber(line: Uint8Array, start: number, end: number, max: number, number: number): number {
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = (line[i] as number) - 0x30;
    if (digit < 0 || digit > 9) throw invalid(number, 'not a decimal number');
    value = 10 * value + digit;
    if (value > max) throw invalid(number, `a number above ${max}`);
  }
  return value;
}

/** The value of each hex digit, and 255 of every other character. */
function hexTable(): Uint8Array {
  const table = new Uint8Array(256).fill(255);
  for (let i = 0; i < 16; i++) {
    table[i.toString(16).charCodeAt(0)] = i;
    table[i.toString(16).toUpperCase().charCodeAt(0)] = i;
  }
  return table;
}

function invalid(number: number, message: string): ImaError {
  return new ImaError('IMA_LINE_INVALID', `entry ${number}: ${message}`, { data: { number } });
}
