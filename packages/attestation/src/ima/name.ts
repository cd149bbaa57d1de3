const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Long enough for most paths, short enough for the arguments of one call. */
const ASCII_BYTES_MAX = 512;

/**
 * The text of a path [IMA-8]: UTF-8 as it stands; when it is not UTF-8, every byte above 7F becomes `\xNN`.
 */
export function decodeName(bytes: Uint8Array): string {
  if (bytes.length <= ASCII_BYTES_MAX && isAscii(bytes)) {
    return Reflect.apply(String.fromCharCode, undefined, bytes);
  }
  try {
    return utf8.decode(bytes);
  } catch {
    // Linux file names are bytes: one that is no text still has to be named in a verdict.
    return escapeBytes(bytes);
  }
}

function isAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] as number) >= 0x80) return false;
  return true;
}

function escapeBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    text += byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`;
  }
  return text;
}
