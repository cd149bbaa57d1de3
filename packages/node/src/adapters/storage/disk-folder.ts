import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Folder } from '../../ports/folder.ts';
import { type Disk, UNFINISHED, writeWhole } from './whole-file.ts';

/** A folder on disk that its owner alone can read; it is made when it is not there. */
export function openDiskFolder(dir: string, disk?: Disk): Folder {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = (name: string): string => join(dir, name);
  return {
    names: () => readdirSync(dir).filter((name) => !name.endsWith(UNFINISHED)),
    read: (name) => (existsSync(path(name)) ? new Uint8Array(readFileSync(path(name))) : undefined),
    write: (name, bytes) => writeWhole(path(name), bytes, disk),
    remove: (name) => rmSync(path(name), { force: true }),
  };
}
