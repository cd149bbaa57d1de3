import { type ByteReader, type ByteWriter, readWhole } from '@nemea/core';
import { TpmError } from '../errors.ts';

/** No structure a TPM returns is larger than its largest response (TPM 2.0 Part 2, TPM2_MAX_RESPONSE_SIZE). */
export const STRUCTURE_BYTES_MAX = 4096;

/** Runs `read` over all of `bytes`: bounded, to the exact end, and with no error but `TpmError`. */
export function parseWhole<T>(name: string, bytes: Uint8Array, read: (reader: ByteReader) => T): T {
  if (bytes.length > STRUCTURE_BYTES_MAX) {
    throw invalid(`${name}: got ${bytes.length} bytes, want at most ${STRUCTURE_BYTES_MAX}`);
  }
  return readWhole(
    bytes,
    read,
    (cause) => new TpmError('TPM_STRUCTURE_INVALID', `${name}: ${cause.message}`, { cause }),
  );
}

/** A TPM2B: u16 length, then that many bytes, at most `bytesMax`. */
export function readSized(reader: ByteReader, name: string, bytesMax: number): Uint8Array {
  const length = reader.u16();
  if (length > bytesMax) throw invalid(`${name}: got ${length} bytes, want at most ${bytesMax}`);
  return reader.bytes(length);
}

export function writeSized(writer: ByteWriter, bytes: Uint8Array): ByteWriter {
  if (bytes.length > 0xffff) {
    throw new TpmError('TPM_ARGUMENT_INVALID', `sized buffer: got ${bytes.length} bytes, want at most 65535`);
  }
  return writer.u16(bytes.length).bytes(bytes);
}

export function invalid(message: string, cause?: unknown): TpmError {
  return new TpmError('TPM_STRUCTURE_INVALID', message, { cause });
}

export function leftPad(value: Uint8Array, width: number): Uint8Array {
  if (value.length >= width) return value;
  const padded = new Uint8Array(width);
  padded.set(value, width - value.length);
  return padded;
}
