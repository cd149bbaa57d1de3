import { ByteReader, CodedError } from '@nemea/core';
import { invalid } from './buffer.ts';

/**
 * The little of X.509 that a TPM's user needs to know: where a certificate ends, and which key is in it. Whoever wants
 * to believe a certificate checks it with `@nemea/attestation/endorsement`.
 */

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;
const VERSION = 0xa0;
const CERTIFICATES_MAX = 16;
// TBSCertificate (RFC 5280, 4.1) behind its version: serial, signature, issuer, validity, subject, then the key.
const FIELDS_BEFORE_KEY = 5;
// TCG PC Client Implementation Specification (TPM 1.2), 7.3.2: some makers still write this before a certificate.
const STORED_HEADER = [0x10, 0x01, 0x00] as const;
const STORED_HEADER_BYTES = 5;

/** The certificate at the start of an NV index, without an old header before it and padding behind. Throws `TPM_STRUCTURE_INVALID`. */
export function trimCertificate(stored: Uint8Array): Uint8Array {
  const hasHeader = STORED_HEADER.every((byte, i) => stored[i] === byte);
  return readElement(new ByteReader(hasHeader ? stored.subarray(STORED_HEADER_BYTES) : stored), SEQUENCE)
    .whole;
}

/** Certificates one after the other, up to padding or the end. Throws `TPM_STRUCTURE_INVALID`. */
export function splitCertificates(stored: Uint8Array): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  for (let rest = stored; rest[0] === SEQUENCE; rest = rest.subarray(certificates.at(-1)?.length ?? 0)) {
    if (certificates.length === CERTIFICATES_MAX) throw invalid(`more than ${CERTIFICATES_MAX} certificates`);
    certificates.push(readElement(new ByteReader(rest), SEQUENCE).whole);
  }
  return certificates;
}

/**
 * The key bits of a certificate: of SubjectPublicKeyInfo without its algorithm, because makers name an RSA key in two
 * ways. Compare with those of `toSpki`. Throws `TPM_STRUCTURE_INVALID`.
 */
export function certificateKeyBits(certificate: Uint8Array): Uint8Array {
  const outer = readElement(new ByteReader(certificate), SEQUENCE);
  const fields = new ByteReader(readElement(new ByteReader(outer.content), SEQUENCE).content);
  let element = readElement(fields);
  if (element.tag === VERSION) element = readElement(fields);
  for (let i = 0; i < FIELDS_BEFORE_KEY; i++) element = readElement(fields);
  return spkiKeyBits(element.whole);
}

/** The BIT STRING of a SubjectPublicKeyInfo. Throws `TPM_STRUCTURE_INVALID`. */
export function spkiKeyBits(spki: Uint8Array): Uint8Array {
  const fields = new ByteReader(readElement(new ByteReader(spki), SEQUENCE).content);
  readElement(fields, SEQUENCE);
  return readElement(fields, BIT_STRING).content;
}

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

function readElement(reader: ByteReader, wanted?: number): Element {
  try {
    return read(reader, wanted);
  } catch (cause) {
    if (!(cause instanceof CodedError)) throw cause;
    throw invalid(`certificate: ${cause.message}`, cause);
  }
}

/** One DER element of at most 64 kB. */
function read(reader: ByteReader, wanted: number | undefined): Element {
  const tag = reader.u8();
  if (wanted !== undefined && tag !== wanted) throw invalid(`tag: got ${tag}, want ${wanted}`);
  const first = reader.u8();
  if (first > 0x82 || first === 0x80) throw invalid('a length of more than two bytes');
  const length = first === 0x82 ? reader.u16() : first === 0x81 ? reader.u8() : first;
  const content = reader.bytes(length);
  const head =
    first === 0x82
      ? [tag, first, length >> 8, length & 0xff]
      : first === 0x81
        ? [tag, first, length]
        : [tag, first];
  const whole = new Uint8Array(head.length + length);
  whole.set(head);
  whole.set(content, head.length);
  return { tag, content, whole };
}
