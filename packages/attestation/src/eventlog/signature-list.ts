import { BodyError, LittleEndianReader } from './reader.ts';

/** What an EFI_SIGNATURE_LIST holds, by its GUID (UEFI 2.10, 32.4.1). */
const SIGNATURE_TYPES: Readonly<Record<string, SignatureType>> = {
  'a5c059a1-94e4-4aa7-87b5-ab155c2bf072': 'x509',
  'c1c41626-504c-4092-aca9-41f936934328': 'sha256',
  '826ca512-cf10-4ac9-b187-be01496631bd': 'sha1',
  '0b6e5233-a65c-44c9-9407-d9ab83bfc8bd': 'sha224',
  'ff3e5307-9fd0-48c9-85f1-8ad56c701e01': 'sha384',
  '093e0fae-a6c4-4f50-9f1b-d41e2b89c19a': 'sha512',
  '3c5766e8-269c-4e34-aa14-ed776e85b3b6': 'rsa2048',
  'e2b36190-879b-4a3d-ad8d-f2e7bba32784': 'rsa2048-sha256',
  '67f8444f-8743-48f1-a328-1eaab8736080': 'rsa2048-sha1',
  '3bd2a492-96c0-4079-b420-fcf98ef103ed': 'x509-sha256',
  '7076876e-80c2-4ee6-aad2-28b349a6865b': 'x509-sha384',
  '446dbf63-2502-4cda-bcfa-2465d2b0fe9d': 'x509-sha512',
  '45c7c8ae-750a-4fbd-9ea0-14dc7ac1fb0b': 'x509-sm3',
  '57347f87-7a9b-403a-b93c-dc4afb7a0ebc': 'sm3',
  '4aafd29d-68df-49ee-8aa9-347d375665a7': 'pkcs7',
};

/** What the entries of a list are. */
export type SignatureType =
  | 'x509'
  | 'sha1'
  | 'sha224'
  | 'sha256'
  | 'sha384'
  | 'sha512'
  | 'sm3'
  | 'rsa2048'
  | 'rsa2048-sha1'
  | 'rsa2048-sha256'
  | 'x509-sha256'
  | 'x509-sha384'
  | 'x509-sha512'
  | 'x509-sm3'
  | 'pkcs7'
  | 'unknown';

/** One entry of a signature database: a certificate in DER, or a hash of what may or may not run. */
export interface Signature {
  readonly owner: string;
  readonly data: Uint8Array;
}

/** An EFI_SIGNATURE_LIST: certificates or hashes of one type. */
export interface SignatureList {
  readonly type: SignatureType;
  readonly typeGuid: string;
  readonly signatures: readonly Signature[];
}

const LIST_HEADER_BYTES = 28;
const OWNER_BYTES = 16;

/** Parses the value of PK, KEK, db, dbx and their kin. Throws `BodyError`. */
export function parseSignatureLists(bytes: Uint8Array): SignatureList[] {
  const reader = new LittleEndianReader(bytes);
  const lists: SignatureList[] = [];
  while (reader.remaining > 0) lists.push(readList(reader));
  return lists;
}

function readList(reader: LittleEndianReader): SignatureList {
  const typeGuid = reader.guid();
  const [listBytes, headerBytes, signatureBytes] = [reader.u32(), reader.u32(), reader.u32()];
  if (listBytes < LIST_HEADER_BYTES + headerBytes)
    throw new BodyError(`signature list of ${listBytes} bytes`);
  reader.bytes(headerBytes);
  const body = new LittleEndianReader(reader.bytes(listBytes - LIST_HEADER_BYTES - headerBytes));
  if (signatureBytes < OWNER_BYTES) throw new BodyError(`signature of ${signatureBytes} bytes`);
  const signatures: Signature[] = [];
  while (body.remaining > 0)
    signatures.push({ owner: body.guid(), data: body.bytes(signatureBytes - OWNER_BYTES) });
  return { type: SIGNATURE_TYPES[typeGuid] ?? 'unknown', typeGuid, signatures };
}

/** An EFI_SIGNATURE_DATA that stands alone, as an authority event has it. */
export function parseSignature(bytes: Uint8Array): Signature {
  const reader = new LittleEndianReader(bytes);
  return { owner: reader.guid(), data: reader.rest() };
}

/** An X.509 certificate is a DER SEQUENCE with a length of two bytes that covers the rest, give or take padding. */
export function looksLikeCertificate(bytes: Uint8Array): boolean {
  if (bytes.length < 64 || bytes[0] !== 0x30 || bytes[1] !== 0x82) return false;
  return 4 + ((bytes[2] as number) << 8) + (bytes[3] as number) <= bytes.length;
}
