import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';

const PAGE = 4096;
const CHUNK = 256 * PAGE;
const ZEROS = Buffer.alloc(CHUNK);

/**
 * Writes zeros over every regular file below a folder whose content a hostile program made. Each step is opened
 * relative to its parent (by /proc/self/fd), so neither links nor over-long paths lead anywhere else.
 */
export function overwriteFiles(folder: string | Buffer): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const here = `/proc/self/fd/${fd}`;
    for (const entry of readdirSync(here, { withFileTypes: true, encoding: 'buffer' })) {
      const path = Buffer.concat([Buffer.from(`${here}/`), entry.name]);
      if (entry.isDirectory()) overwriteFiles(path);
      else if (entry.isFile()) overwriteFile(path);
    }
  } finally {
    closeSync(fd);
  }
}

function overwriteFile(path: Buffer): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    const isDense = stat.blocks * 512 >= stat.size;
    const buffer = Buffer.alloc(Math.min(CHUNK, stat.size));
    for (let offset = 0; offset < stat.size; offset += CHUNK) {
      const length = Math.min(CHUNK, stat.size - offset);
      if (isDense) writeSync(fd, ZEROS, 0, length, offset);
      else overwritePages(fd, buffer.subarray(0, readSync(fd, buffer, 0, length, offset)), offset);
    }
    buffer.fill(0);
  } finally {
    closeSync(fd);
  }
}

/** Holes are left holes: to fill them could need more than the RAM disk holds. */
function overwritePages(fd: number, content: Buffer, offset: number): void {
  for (let start = 0; start < content.length; start += PAGE) {
    const page = content.subarray(start, start + PAGE);
    if (!page.equals(ZEROS.subarray(0, page.length))) writeSync(fd, ZEROS, 0, page.length, offset + start);
  }
}
