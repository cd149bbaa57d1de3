import { readFileSync, statSync } from 'node:fs';
import { CodedError, toUtf8 } from '@nemea/core';

const PAYLOAD_BYTES_MAX = 256 << 20;

export type PayloadErrorCode = 'LIST_EMPTY' | 'LIST_MISSING' | 'LIST_NOT_UTF8' | 'PAYLOAD_TOO_LARGE';
export class PayloadError extends CodedError<PayloadErrorCode> {}

/** Reads a payload: present, not empty, valid UTF-8, and small enough to be held in RAM. */
export function readPayload(file: string): Uint8Array {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true)
    throw new PayloadError('LIST_MISSING', `no file ${file}`);
  const bytes = new Uint8Array(readFileSync(file));
  if (bytes.length === 0) throw new PayloadError('LIST_EMPTY', `${file} is empty`);
  if (bytes.length > PAYLOAD_BYTES_MAX) {
    throw new PayloadError(
      'PAYLOAD_TOO_LARGE',
      `${file}: got ${bytes.length} bytes, want at most ${PAYLOAD_BYTES_MAX}`,
    );
  }
  try {
    toUtf8(bytes);
  } catch (cause) {
    throw new PayloadError('LIST_NOT_UTF8', `${file} is not valid UTF-8`, { cause });
  }
  return bytes;
}
