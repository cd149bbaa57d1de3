const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of a path [IMA-8]: UTF-8 as it stands; when it is not UTF-8, every byte above 7F becomes `\xNN`. */
export function decodeName(data: Uint8Array, start = 0, end = data.length): string {
  const bytes = data.subarray(start, end);
  try {
    return utf8.decode(bytes);
  } catch {
    // Linux file names are bytes: one that is no text still has to be named in a verdict.
    return escapeBytes(bytes);
  }
}

function escapeBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    text += byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`;
  }
  return text;
}
