import { CodedError } from '@nemea/core';
import { ALG, parseAttest, parseSignature, TpmError } from '@nemea/tpm/structures';
import { readFile } from '../files.ts';

/** What cannot be read at all, so that nothing can be said about it. */
export class UnreadableError extends CodedError<
  'ATTEST_UNREADABLE' | 'SIGNATURE_UNREADABLE' | 'KEY_UNREADABLE' | 'NONCE_UNREADABLE' | 'PCRS_UNREADABLE'
> {}

const FILE_BYTES_MAX = 1 << 16;
const TPM_GENERATED = Uint8Array.of(0xff, 0x54, 0x43, 0x47);
const SIZE_BYTES = 2;

export function readSmall(path: string): Uint8Array {
  return readFile(path, { bytesMax: FILE_BYTES_MAX });
}

/**
 * TPMS_ATTEST out of a file that holds it bare, as tpm2_quote writes it, or in a TPM2B. Any file that begins with the
 * magic is taken for one, however broken, and so is one that would parse if it did: those are for the verifier to refuse.
 */
export function readAttestFile(path: string): Uint8Array {
  const file = readSmall(path);
  const attest = unwrapped(file);
  if (startsWith(attest, TPM_GENERATED) || parses(parseAttest, overwritten(attest, TPM_GENERATED)))
    return attest;
  throw new UnreadableError('ATTEST_UNREADABLE', `${path}: no TPMS_ATTEST`);
}

/** A bare statement begins with FF54, which is the length of no TPM2B that is read here. */
function unwrapped(file: Uint8Array): Uint8Array {
  const body = file.subarray(SIZE_BYTES);
  if (file.length < SIZE_BYTES || !startsWith(body, TPM_GENERATED)) return file;
  const size = new DataView(file.buffer, file.byteOffset).getUint16(0);
  return size === body.length ? body : file;
}

/** TPMT_SIGNATURE. A file that would be one if it named a known scheme is for the verifier to refuse. */
export function readSignatureFile(path: string): Uint8Array {
  const file = readSmall(path);
  if (namesScheme(file)) return file;
  const schemes = [ALG.ecdsa, ALG.rsassa].map((scheme) => Uint8Array.of(scheme >> 8, scheme & 0xff));
  if (schemes.some((scheme) => parses(parseSignature, overwritten(file, scheme)))) return file;
  throw new UnreadableError('SIGNATURE_UNREADABLE', `${path}: no TPMT_SIGNATURE`);
}

function namesScheme(file: Uint8Array): boolean {
  if (file.length < SIZE_BYTES) return false;
  const scheme = new DataView(file.buffer, file.byteOffset).getUint16(0);
  const { ecdsa, ecdaa, rsassa, rsapss, sm2, ecschnorr, hmac } = ALG;
  return [ecdsa, ecdaa, rsassa, rsapss, sm2, ecschnorr, hmac].some((known) => known === scheme);
}

function parses(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    parse(bytes);
    return true;
  } catch (error) {
    if (error instanceof TpmError) return false;
    throw error;
  }
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, i) => bytes[i] === byte);
}

function overwritten(bytes: Uint8Array, start: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  if (copy.length >= start.length) copy.set(start);
  return copy;
}
