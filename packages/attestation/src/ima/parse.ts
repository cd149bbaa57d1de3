import { parseAscii } from './ascii.ts';
import { parseBinary } from './binary.ts';
import { findBadEntries } from './check.ts';
import { ImaError } from './errors.ts';
import { IMA_BYTES_MAX } from './limits.ts';
import type { ByteOrder, ImaBank, ImaList } from './list.ts';

/** What cannot be seen in the list itself, or should not be guessed. */
export interface ParseImaOptions {
  /** Detected when absent: only a binary list has a zero in its first four bytes. [IMA-3] */
  readonly form?: 'ascii' | 'binary';
  /** Detected when absent: by the first PCR number of a binary list, by the first template hashes of an ASCII one. */
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
    : parseAscii(bytes, { byteOrder: detectAsciiOrder(bytes, rest), ...rest, firstNumber });
}

const LINES_LOOKED_AT = 16;

/**
 * The text does not tell the order of the lengths that the kernel hashed, but only one gives its template hashes. Where
 * none does, as when the first lines were tampered with, it is little. [IMA-5]
 */
function detectAsciiOrder(
  bytes: Uint8Array,
  options: Omit<ParseImaOptions, 'form' | 'firstNumber'>,
): ByteOrder {
  let end = 0;
  for (let line = 0; line < LINES_LOOKED_AT && end >= 0; line++) end = bytes.indexOf(LF, end) + 1 || -1;
  const head = end < 0 ? bytes : bytes.subarray(0, end);
  const badCount = (byteOrder: ByteOrder): number =>
    findBadEntries(parseAscii(head, { ...options, byteOrder, firstNumber: 0 })).length;
  try {
    const bad = badCount('little');
    return bad > 0 && badCount('big') < bad ? 'big' : 'little';
  } catch (error) {
    if (error instanceof ImaError) return 'little'; // Whatever is wrong is told when the whole list is read.
    throw error;
  }
}

const LF = 0x0a;

function detectForm(bytes: Uint8Array): 'ascii' | 'binary' {
  return bytes.subarray(0, 4).includes(0) ? 'binary' : 'ascii';
}
