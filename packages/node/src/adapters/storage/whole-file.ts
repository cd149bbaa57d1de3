import * as fs from 'node:fs';
import { dirname } from 'node:path';

/** The calls that put a file in place. */
export type Disk = Pick<
  typeof fs,
  'closeSync' | 'fsyncSync' | 'openSync' | 'renameSync' | 'rmSync' | 'writeFileSync'
>;

/** Ends the name of a file that is not whole yet. */
export const UNFINISHED = '.new';

/**
 * Writes a file that its owner alone can read. Whenever the power fails, its name stands for what it was before or for these
 * bytes, whole; once this returns, for these. Where they find no room, all is as before.
 */
export function writeWhole(path: string, bytes: Uint8Array, disk: Disk = fs): void {
  const unfinished = `${path}${UNFINISHED}`;
  try {
    inFile(disk, unfinished, 'w', (file) => {
      disk.writeFileSync(file, bytes);
      disk.fsyncSync(file);
    });
    disk.renameSync(unfinished, path);
  } catch (error) {
    disk.rmSync(unfinished, { force: true });
    throw error;
  }
  // A name is kept in the folder, which is written apart from the file.
  inFile(disk, dirname(path), 'r', (folder) => disk.fsyncSync(folder));
}

function inFile(disk: Disk, path: string, flags: 'r' | 'w', use: (file: number) => void): void {
  const file = disk.openSync(path, flags, 0o600);
  try {
    use(file);
  } finally {
    disk.closeSync(file);
  }
}
