import { gzipSync } from 'node:zlib';
import { concatBytes, fromUtf8 } from '@nemea/core';

/** A file when it has `content`, else a folder. */
export interface Entry {
  readonly path: string;
  readonly content?: Uint8Array;
}

const FOLDER_MODE = 0o40755;
const EXECUTABLE_MODE = 0o100755;

/** A gzipped cpio archive in newc format: the kernel's initramfs buffer format, without times, owners or inodes. */
export function buildInitramfs(entries: readonly Entry[]): Uint8Array {
  const parts = entries.map(({ path, content }) =>
    cpioEntry(path, content === undefined ? FOLDER_MODE : EXECUTABLE_MODE, content ?? new Uint8Array(0)),
  );
  return gzipSync(concatBytes(...parts, cpioEntry('TRAILER!!!', 0, new Uint8Array(0))));
}

function cpioEntry(path: string, mode: number, content: Uint8Array): Uint8Array {
  const name = fromUtf8(`${path}\0`);
  // ino, mode, uid, gid, nlink, mtime, filesize, device and rdevice in two parts each, namesize, check.
  const fields = [0, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  return concatBytes(pad4(concatBytes(fromUtf8(`070701${header}`), name)), pad4(content));
}

function pad4(bytes: Uint8Array): Uint8Array {
  return concatBytes(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
}
