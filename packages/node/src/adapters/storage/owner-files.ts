import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, toUtf8 } from '@nemea/core';

const PAYLOAD_BYTES_MAX = 256 << 20;

export type PayloadErrorCode = 'LIST_EMPTY' | 'LIST_MISSING' | 'LIST_NOT_UTF8' | 'PAYLOAD_TOO_LARGE';
export class PayloadError extends CodedError<PayloadErrorCode> {}

/** Keys of an owner's capsules, each wrapped by the device's TPM, one file a capsule. */
export class KeyFiles {
  readonly #dir: string;

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#dir = dir;
  }

  get count(): number {
    return readdirSync(this.#dir).filter((name) => name.endsWith('.key')).length;
  }

  save(capsuleId: string, wrapped: Uint8Array): void {
    writeFileSync(join(this.#dir, `${capsuleId}.key`), wrapped, { mode: 0o600 });
  }

  /** The wrapped key; undefined for a capsule that is not held here. */
  read(capsuleId: string): Uint8Array | undefined {
    const file = join(this.#dir, `${capsuleId}.key`);
    return existsSync(file) ? new Uint8Array(readFileSync(file)) : undefined;
  }
}

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
