import { closeSync, type Dirent, openSync, readdirSync, readSync } from 'node:fs';
import { join, relative } from 'node:path';

const PIECE_BYTES = 1 << 20;

export interface LeakCheck {
  filesScanned: number;
  bytesScanned: number;
  names: number;
  /** How many hits; zero is the only good answer. */
  found: number;
  /** "file: what" for every hit. The name itself is not repeated. */
  hits: string[];
}

/**
 * Searches every file below a folder for names that must be nowhere: as UTF-8, as hex (layer 1 keeps calldata so) and
 * as base64. Folders in `except` hold what a receiver opened on purpose.
 */
export function searchForNames(dir: string, names: readonly string[], except: readonly string[]): LeakCheck {
  const patterns = names.flatMap((name, index) =>
    formsOf(name).map(([form, bytes]) => ({ index, form, bytes })),
  );
  const longest = Math.max(1, ...patterns.map(({ bytes }) => bytes.length));
  const check: LeakCheck = { filesScanned: 0, bytesScanned: 0, names: names.length, found: 0, hits: [] };
  for (const file of filesBelow(dir, except)) {
    check.filesScanned++;
    check.bytesScanned += scan(file, longest, (piece) => {
      for (const { index, form, bytes } of patterns) {
        if (piece.includes(bytes)) check.hits.push(`${relative(dir, file)}: name ${index} as ${form}`);
      }
    });
  }
  const hits = [...new Set(check.hits)];
  return { ...check, hits, found: hits.length };
}

/** Base64 depends on the position in the stream: the middle of each of the three alignments is searched. */
function formsOf(name: string): [string, Buffer][] {
  const bytes = Buffer.from(name, 'utf8');
  const forms: [string, Buffer][] = [
    ['text', bytes],
    ['hex', Buffer.from(bytes.toString('hex'), 'latin1')],
  ];
  for (let shift = 0; shift < 3; shift++) {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replaceAll('=', '');
    const middle = encoded.slice(shift === 0 ? 0 : shift + 1, -2);
    if (middle.length >= 8) forms.push(['base64', Buffer.from(middle, 'latin1')]);
  }
  return forms;
}

function scan(file: string, overlap: number, look: (piece: Buffer) => void): number {
  const handle = openSync(file, 'r');
  const buffer = Buffer.alloc(PIECE_BYTES + overlap);
  let carried = 0;
  let total = 0;
  try {
    for (;;) {
      const read = readSync(handle, buffer, carried, PIECE_BYTES, null);
      if (read === 0) return total;
      total += read;
      const piece = buffer.subarray(0, carried + read);
      look(piece);
      carried = Math.min(overlap, piece.length);
      piece.copy(buffer, 0, piece.length - carried);
    }
  } finally {
    closeSync(handle);
  }
}

function* filesBelow(dir: string, except: readonly string[]): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true }) as Dirent[]) {
    const path = join(dir, entry.name);
    if (except.includes(path)) continue;
    if (entry.isDirectory()) yield* filesBelow(path, except);
    else if (entry.isFile()) yield path;
  }
}
