import { closeSync, openSync, readSync } from 'node:fs';

const PIECE_BYTES = 1 << 16;
/** Read as it is: a socket in its place could not be opened again by name. */
const STDIN = 0;

/**
 * The bytes of a file, of standard input for `-`; null when there are more than `bytesMax`. Piece by piece: the kernel's
 * files have no size before they are read, and a device would never end. Throws what the file system throws.
 */
export function readBounded(path: string, bytesMax: number): Uint8Array<ArrayBuffer> | null {
  const file = path === '-' ? STDIN : openSync(path, 'r');
  try {
    const pieces: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const piece = new Uint8Array(PIECE_BYTES);
      const length = readSync(file, piece);
      if (length === 0) return new Uint8Array(Buffer.concat(pieces, total));
      pieces.push(length === PIECE_BYTES ? piece : piece.slice(0, length));
      total += length;
      if (total > bytesMax) return null;
    }
  } finally {
    if (file !== STDIN) closeSync(file);
  }
}
