import { createHash, type KeyObject, sign } from 'node:crypto';
import { concatBytes, fromUtf8, toHex } from '@nemea/core';
import type { ByteOrder, ImaBank } from './list.ts';

/** For tests: lists as a kernel writes them, from its documentation and not from the parser. */
export interface WrittenField {
  readonly bytes: Uint8Array;
  readonly text: string;
}

export interface WrittenEntry {
  readonly template: string;
  readonly fields: readonly WrittenField[];
  readonly pcr?: number;
  readonly violation?: boolean;
}

export interface WriteOptions {
  readonly order?: ByteOrder;
  /** What template hashes are made with. */
  readonly bank?: ImaBank;
}

export function digestOf(content: string | Uint8Array, algorithm = 'sha256'): Uint8Array {
  return new Uint8Array(createHash(algorithm).update(content).digest());
}

/** d-ng, or d-ngv2 with a type. */
export function digestField(digest: Uint8Array, algorithm = 'sha256', type = ''): WrittenField {
  const prefix = `${type === '' ? '' : `${type}:`}${algorithm}:`;
  return { bytes: concatBytes(fromUtf8(`${prefix}\0`), digest), text: prefix + toHex(digest) };
}

export function nameField(name: string): WrittenField {
  return { bytes: fromUtf8(`${name}\0`), text: name };
}

export function hexField(bytes: Uint8Array): WrittenField {
  return { bytes, text: toHex(bytes) };
}

export function integerField(value: number, bytes: 2 | 4, order: ByteOrder = 'little'): WrittenField {
  return { bytes: integer(value, bytes, order), text: String(value) };
}

export function integer(value: number, bytes: number, order: ByteOrder): Uint8Array {
  const out = Buffer.alloc(bytes);
  if (order === 'little') out.writeUIntLE(value, 0, bytes);
  else out.writeUIntBE(value, 0, bytes);
  return new Uint8Array(out);
}

/** The most common entry: template ima-ng. */
export function fileEntry(path: string, content = path, more: Partial<WrittenEntry> = {}): WrittenEntry {
  return { template: 'ima-ng', fields: [digestField(digestOf(content)), nameField(path)], ...more };
}

export function signedEntry(path: string, signature: Uint8Array, content = path): WrittenEntry {
  return {
    template: 'ima-sig',
    fields: [digestField(digestOf(content)), nameField(path), hexField(signature)],
  };
}

export function bufferEntry(name: string, buffer: Uint8Array): WrittenEntry {
  return { template: 'ima-buf', fields: [digestField(digestOf(buffer)), nameField(name), hexField(buffer)] };
}

/** What template hashes are over. */
export function templateDataOf(entry: WrittenEntry, order: ByteOrder = 'little'): Uint8Array {
  if (entry.template !== 'ima') {
    return concatBytes(...entry.fields.flatMap(({ bytes }) => [integer(bytes.length, 4, order), bytes]));
  }
  const [digest, name] = entry.fields as [WrittenField, WrittenField];
  const padded = new Uint8Array(256);
  padded.set(name.bytes);
  return concatBytes(digest.bytes, padded);
}

export function templateHashOf(entry: WrittenEntry, options: WriteOptions = {}): Uint8Array {
  const hash = createHash(nodeName(options.bank ?? 'sha1'));
  const digest = new Uint8Array(hash.update(templateDataOf(entry, options.order)).digest());
  return entry.violation === true ? new Uint8Array(digest.length) : digest;
}

export function writeAscii(entries: readonly WrittenEntry[], options: WriteOptions = {}): Uint8Array {
  const lines = entries.map((entry) => {
    const pcr = String(entry.pcr ?? 10).padStart(2);
    const hash = toHex(templateHashOf(entry, options));
    return `${pcr} ${hash} ${entry.template} ${entry.fields.map(({ text }) => text).join(' ')}\n`;
  });
  return fromUtf8(lines.join(''));
}

export function writeBinary(entries: readonly WrittenEntry[], options: WriteOptions = {}): Uint8Array {
  const order = options.order ?? 'little';
  return concatBytes(...entries.map((entry) => writeBinaryEntry(entry, order, options)));
}

function writeBinaryEntry(entry: WrittenEntry, order: ByteOrder, options: WriteOptions): Uint8Array {
  const name = fromUtf8(entry.template);
  const header = concatBytes(
    integer(entry.pcr ?? 10, 4, order),
    templateHashOf(entry, options),
    integer(name.length, 4, order),
    name,
  );
  if (entry.template === 'ima') {
    const [digest, path] = entry.fields as [WrittenField, WrittenField];
    const text = path.bytes.subarray(0, -1);
    return concatBytes(header, digest.bytes, integer(text.length, 4, order), text);
  }
  const data = templateDataOf(entry, order);
  return concatBytes(header, integer(data.length, 4, order), data);
}

/** PCR 10 after these entries, extended as kernels since 5.8 do, or with SHA-1 hashes that are padded with zeros. */
export function pcr10After(
  entries: readonly WrittenEntry[],
  bank: ImaBank,
  extension: 'template' | 'padded' | 'padded-legacy' = 'template',
): Uint8Array {
  const length = templateHashOf(fileEntry('x'), { bank }).length;
  let value = new Uint8Array(length);
  for (const entry of entries) {
    if ((entry.pcr ?? 10) !== 10) continue;
    const digest = new Uint8Array(length);
    const source: ImaBank = extension === 'template' ? bank : 'sha1';
    const hash = templateHashOf({ ...entry, violation: false }, { bank: source });
    if (entry.violation === true) digest.fill(0xff, 0, extension === 'padded-legacy' ? 20 : length);
    else digest.set(hash);
    value = new Uint8Array(createHash(nodeName(bank)).update(value).update(digest).digest());
  }
  return value;
}

/** security.ima of version 2, over a digest that was made before. */
export function imaSignature(
  keyId: Uint8Array,
  signature: Uint8Array,
  { type = 3, version = 2, hash = 4 } = {},
): Uint8Array {
  const header = concatBytes(Uint8Array.of(type, version, hash), keyId, integer(signature.length, 2, 'big'));
  return concatBytes(header, signature);
}

/** Signs a message; what is in the signature is its SHA-256 digest. ECDSA comes as DER, RSA as PKCS#1 v1.5. */
export function signMessage(key: KeyObject, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign('sha256', message, key));
}

function nodeName(bank: ImaBank): string {
  return bank === 'sm3_256' ? 'sm3' : bank;
}
