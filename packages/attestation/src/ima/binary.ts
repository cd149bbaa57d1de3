import { ImaError } from './errors.ts';
import { bankBytes } from './hash.ts';
import {
  IMA_ENTRIES_MAX,
  IMA_TEMPLATE_DATA_BYTES_MAX,
  IMA_TEMPLATE_NAME_BYTES_MAX,
  PCR_MAX,
} from './limits.ts';
import type { ByteOrder, ImaBank, ImaEntry, ImaList } from './list.ts';
import { decodeName } from './name.ts';
import { fieldsOfTemplate, LEGACY_NAME_BYTES, LEGACY_TEMPLATE, parseTemplateData } from './template.ts';

const SHA1_BYTES = 20;
/** In this order: a list of SHA-1 hashes never reads as one of another by chance, and it is by far the most common. */
const DETECTED: readonly ImaBank[] = ['sha1', 'sha256', 'sha384', 'sha512'];
const ENTRIES_LOOKED_AT = 3;
const PRINTABLE = /^[!-~]+$/;

export interface BinaryOptions {
  readonly byteOrder?: ByteOrder;
  readonly templateHashAlgorithm?: ImaBank;
  readonly firstNumber: number;
}

/**
 * binary_runtime_measurements (Linux, security/integrity/ima/ima_fs.c): pcr u32, template hash, name length u32, name,
 * data length u32, data. Template `ima` has no data length: digest of 20 bytes, name length u32, name.
 */
export function parseBinary(bytes: Uint8Array, options: BinaryOptions): ImaList {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const byteOrder = options.byteOrder ?? detectByteOrder(view);
  const little = byteOrder === 'little';
  const templateHashAlgorithm = options.templateHashAlgorithm ?? detectHash(view, little);
  const hashBytes = bankBytes(templateHashAlgorithm);
  const entries: ImaEntry[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const number = options.firstNumber + entries.length;
    if (entries.length === IMA_ENTRIES_MAX) {
      throw new ImaError('IMA_TOO_LARGE', `more than ${IMA_ENTRIES_MAX} entries`);
    }
    const header = readHeader(view, offset, hashBytes, little, number);
    const templateHash = bytes.subarray(offset + 4, offset + 4 + hashBytes);
    const templateData =
      header.template === LEGACY_TEMPLATE
        ? legacyData(bytes, header.dataAt, header.dataEnd)
        : bytes.subarray(header.dataAt, header.dataEnd);
    const ids = fieldsOfTemplate(header.template);
    entries.push({
      number,
      pcr: header.pcr,
      templateHash,
      template: header.template,
      templateData,
      fields:
        ids === null ? { kind: 'unknown' } : parseTemplateData(header.template, ids, templateData, byteOrder),
      violation: isZero(templateHash),
    });
    offset = header.dataEnd;
  }
  return { form: 'binary', byteOrder, templateHashAlgorithm, entries };
}

interface Header {
  readonly pcr: number;
  readonly template: string;
  readonly dataAt: number;
  readonly dataEnd: number;
}

function readHeader(
  view: DataView,
  start: number,
  hashBytes: number,
  little: boolean,
  number: number,
): Header {
  const need = (at: number, length: number): void => {
    if (length > view.byteLength - at) {
      throw new ImaError('IMA_TRUNCATED', `entry ${number}: wanted ${length} bytes at offset ${at}`, {
        data: { number, offset: at },
      });
    }
  };
  const nameAt = start + 4 + hashBytes + 4;
  need(start, 4 + hashBytes + 4);
  const pcr = view.getUint32(start, little);
  if (pcr > PCR_MAX) throw invalid(number, `PCR ${pcr}`);
  const nameBytes = view.getUint32(nameAt - 4, little);
  if (nameBytes === 0 || nameBytes > IMA_TEMPLATE_NAME_BYTES_MAX) {
    throw invalid(number, `a template name of ${nameBytes} bytes`);
  }
  need(nameAt, nameBytes);
  const template = decodeName(new Uint8Array(view.buffer, view.byteOffset + nameAt, nameBytes));
  if (!PRINTABLE.test(template)) throw invalid(number, 'a template name that is not printable ASCII');
  const legacy = template === LEGACY_TEMPLATE;
  const lengthAt = nameAt + nameBytes + (legacy ? SHA1_BYTES : 0);
  need(nameAt + nameBytes, lengthAt - nameAt - nameBytes + 4);
  const length = view.getUint32(lengthAt, little);
  if (length > (legacy ? LEGACY_NAME_BYTES : IMA_TEMPLATE_DATA_BYTES_MAX)) {
    throw new ImaError('IMA_TOO_LARGE', `entry ${number}: template data of ${length} bytes`, {
      data: { number },
    });
  }
  need(lengthAt + 4, length);
  return {
    pcr,
    template,
    dataAt: legacy ? nameAt + nameBytes : lengthAt + 4,
    dataEnd: lengthAt + 4 + length,
  };
}

/** What the kernel hashes for template `ima`: the digest, and the name padded with zeros. */
function legacyData(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const data = new Uint8Array(SHA1_BYTES + LEGACY_NAME_BYTES);
  data.set(bytes.subarray(start, start + SHA1_BYTES));
  data.set(bytes.subarray(start + SHA1_BYTES + 4, end), SHA1_BYTES);
  return data;
}

/** PCR numbers are small: only one order makes the first of them so. */
function detectByteOrder(view: DataView): ByteOrder {
  if (view.byteLength < 4) return 'little';
  return view.getUint32(0, true) > PCR_MAX && view.getUint32(0, false) <= PCR_MAX ? 'big' : 'little';
}

/** The length of template hashes is nowhere said: take the first with which some entries make sense. [IMA-5] */
function detectHash(view: DataView, little: boolean): ImaBank {
  return DETECTED.find((bank) => makesSense(view, bankBytes(bank), little)) ?? 'sha1';
}

function makesSense(view: DataView, hashBytes: number, little: boolean): boolean {
  try {
    let offset = 0;
    for (let i = 0; i < ENTRIES_LOOKED_AT && offset < view.byteLength; i++) {
      offset = readHeader(view, offset, hashBytes, little, i).dataEnd;
    }
    return true;
  } catch (error) {
    if (error instanceof ImaError) return false;
    throw error;
  }
}

export function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}

function invalid(number: number, message: string): ImaError {
  return new ImaError('IMA_ENTRY_INVALID', `entry ${number}: ${message}`, { data: { number } });
}
