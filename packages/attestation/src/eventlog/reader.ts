/** A body that does not decode. It never leaves this folder: the decoder turns it into a finding. */
export class BodyError extends Error {}

/** Reads little-endian fields, as UEFI and TCG logs have them, with a bounds check at each step. Copies nothing. */
export class LittleEndianReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  #advance(length: number): number {
    if (length > this.remaining) throw new BodyError(`wanted ${length} bytes, got ${this.remaining}`);
    const at = this.#offset;
    this.#offset += length;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /** A u64 that counts bytes or entries. One above 2^53 is longer than any log, so its exact value does not matter. */
  length64(): number {
    return Number(this.u64());
  }

  guid(): string {
    const at = this.#advance(16);
    return formatGuid(this.#bytes.subarray(at, at + 16));
  }

  bytes(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  end(): void {
    if (this.remaining !== 0) throw new BodyError(`${this.remaining} bytes behind the end`);
  }
}

/** Byte order and dashes of an EFI_GUID: the first three fields are little-endian (UEFI 2.10, appendix A). */
const GUID_ORDER = [3, 2, 1, 0, '-', 5, 4, '-', 7, 6, '-', 8, 9, '-', 10, 11, 12, 13, 14, 15] as const;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function formatGuid(bytes: Uint8Array): string {
  let text = '';
  for (const at of GUID_ORDER) text += at === '-' ? at : HEX[bytes[at] as number];
  return text;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Without the NULs at the end. No regular expression: those try again from every NUL, in square time. */
export function trimNuls(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end--;
  return text.slice(0, end);
}

/** Strict UTF-8, or null. */
export function textOrNull(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null; // Not a text: the caller keeps the bytes.
  }
}

/** UTF-16LE as firmware writes it: unpaired surrogates become U+FFFD. */
export function utf16(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    text += String.fromCharCode((bytes[i] as number) | ((bytes[i + 1] as number) << 8));
  }
  return text.toWellFormed();
}

/** Up to the first NUL, the whole when there is none. */
export function utf16UntilNul(bytes: Uint8Array): string {
  const text = utf16(bytes);
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}
