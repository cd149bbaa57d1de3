import { parseAscii } from './ascii.ts';
import { parseBinary } from './binary.ts';
import { ImaError } from './errors.ts';
import { IMA_BYTES_MAX } from './limits.ts';
import type { ByteOrder, ImaBank, ImaList } from './list.ts';

/** What cannot be seen in the list itself, or should not be guessed. */
export interface ParseImaOptions {
  /** Detected when absent: only a binary list has a zero in its first four bytes. [IMA-3] */
  readonly form?: 'ascii' | 'binary';
  /** Detected in a binary list, and little in an ASCII one, when absent. */
  readonly byteOrder?: ByteOrder;
  /** Told by its length when absent; SM3 has to be said, because it is as long as SHA-256. */
  readonly templateHashAlgorithm?: ImaBank;
  /** The number of the first entry, for the tail of a list. */
  readonly firstNumber?: number;
}

/**
 * Parses ascii_runtime_measurements or binary_runtime_measurements of any kernel, or their siblings for one bank. Says
 * nothing about truth: `verifyIma` does. The list refers to `bytes`, which must not change. Throws only `ImaError`. [IMA-1]
 */
export function parseImaList(bytes: Uint8Array, options: ParseImaOptions = {}): ImaList {
  if (bytes.length > IMA_BYTES_MAX) {
    throw new ImaError('IMA_TOO_LARGE', `got ${bytes.length} bytes, want at most ${IMA_BYTES_MAX}`);
  }
  const { form = detectForm(bytes), firstNumber = 0, ...rest } = options;
  return form === 'binary'
    ? parseBinary(bytes, { ...rest, firstNumber })
    : parseAscii(bytes, { byteOrder: 'little', ...rest, firstNumber });
}

function detectForm(bytes: Uint8Array): 'ascii' | 'binary' {
  return bytes.subarray(0, 4).includes(0) ? 'binary' : 'ascii';
}
