import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Folder } from '../../ports/folder.ts';

/** Ends the name of a file that is not whole yet. */
const UNFINISHED = '.new';

/** A folder on disk that its owner alone can read; it is made when it is not there. */
export function openDiskFolder(dir: string): Folder {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = (name: string): string => join(dir, name);
  return {
    names: () => readdirSync(dir).filter((name) => !name.endsWith(UNFINISHED)),
    read: (name) => (existsSync(path(name)) ? new Uint8Array(readFileSync(path(name))) : undefined),
    write(name, bytes) {
      // On disk before it has its name: no loss of power leaves a name without its bytes.
      writeFileSync(`${path(name)}${UNFINISHED}`, bytes, { mode: 0o600, flush: true });
      renameSync(`${path(name)}${UNFINISHED}`, path(name));
    },
    remove: (name) => rmSync(path(name), { force: true }),
  };
}
