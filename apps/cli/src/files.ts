import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  type WriteFileOptions,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { CodedError } from '@nemea/core';

export class FileError extends CodedError<
  | 'FILE_UNREADABLE'
  | 'FILE_UNWRITABLE'
  | 'FILE_EXISTS'
  | 'EVENTLOG_UNREADABLE'
  | 'EVENTLOG_TOO_LARGE'
  | 'PCRS_UNREADABLE'
  | 'REPORT_UNREADABLE'
  | 'NETWORK_UNREADABLE'
> {}

interface ReadOptions {
  readonly bytesMax?: number;
  /** Of what cannot be read, is too large, or is not what it should be. */
  readonly code?: FileError['code'];
  readonly codeTooLarge?: FileError['code'];
}

/** More than any file that is read here for what it says, but for an IMA list, has. */
const FILE_BYTES_MAX = 64 << 20;
const PIECE_BYTES = 1 << 16;
const POLL_MS = 10;
/** Read as it is: a socket in its place could not be opened again by name. */
const STDIN = 0;

/**
 * The bytes of a file that a user named, of standard input for `-`. Piece by piece: the kernel's files have no size before
 * they are read, and a device would never end. Throws `FileError`.
 */
export function readFile(path: string, options: ReadOptions = {}): Uint8Array<ArrayBuffer> {
  const { bytesMax = FILE_BYTES_MAX, code = 'FILE_UNREADABLE', codeTooLarge = code } = options;
  let bytes: Uint8Array<ArrayBuffer> | null;
  try {
    bytes = readBounded(path, bytesMax);
  } catch (cause) {
    throw new FileError(code, `${path}: ${reasonOf(cause)}`);
  }
  if (bytes === null) throw new FileError(codeTooLarge, `${path}: more than ${bytesMax} bytes`);
  return bytes;
}

/** UTF-8, and nothing else. */
export function readText(path: string, options: ReadOptions = {}): string {
  return textIn(path, readFile(path, options), options.code);
}

export function readJson(path: string, options: ReadOptions = {}): unknown {
  return jsonIn(path, readFile(path, options), options.code);
}

/** The JSON that a file's bytes are. */
export function jsonIn(
  path: string,
  bytes: Uint8Array,
  code: FileError['code'] = 'FILE_UNREADABLE',
): unknown {
  const text = textIn(path, bytes, code);
  try {
    return JSON.parse(text);
  } catch {
    throw new FileError(code, `${path}: not JSON`); // the parser's words quote the file
  }
}

function textIn(path: string, bytes: Uint8Array, code: FileError['code'] = 'FILE_UNREADABLE'): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new FileError(code, `${path}: not UTF-8`);
  }
}

/** With `flush` on disk when it returns, which a pipe cannot do. Throws `FILE_UNWRITABLE`. */
export function writeFile(path: string, content: Uint8Array | string, { flush = false } = {}): void {
  write(path, content, { flag: 'w', flush });
}

/** Throws `FILE_EXISTS` for a file that is there already, or `FILE_UNWRITABLE`. */
export function writeNewFile(path: string, content: Uint8Array | string, { mode = 0o666 } = {}): void {
  write(path, content, { flag: 'wx', mode });
}

/**
 * Makes a folder, and those that it lies in. One by one: told to make all of them, Node never ends where the
 * system lets nobody make one, as in /proc. Throws `FILE_UNWRITABLE`.
 */
export function makeFolder(path: string, mode = 0o777): void {
  if (existsSync(path)) {
    if (statSync(path).isDirectory()) return;
    throw new FileError('FILE_UNWRITABLE', `${path}: not a folder`);
  }
  makeFolder(dirname(resolve(path)), mode);
  try {
    mkdirSync(path, { mode });
  } catch (cause) {
    throw new FileError('FILE_UNWRITABLE', `${path}: ${reasonOf(cause)}`);
  }
}

function write(path: string, content: Uint8Array | string, options: WriteFileOptions): void {
  try {
    writeFileSync(path, content, options);
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    throw new FileError(exists ? 'FILE_EXISTS' : 'FILE_UNWRITABLE', `${path}: ${reasonOf(cause)}`);
  }
}

function readBounded(path: string, bytesMax: number): Uint8Array<ArrayBuffer> | null {
  const file = path === '-' ? STDIN : openSync(path, 'r');
  try {
    const pieces: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const piece = new Uint8Array(PIECE_BYTES);
      const length = readPiece(file, piece);
      if (length === 0) return new Uint8Array(Buffer.concat(pieces, total));
      pieces.push(length === PIECE_BYTES ? piece : piece.slice(0, length));
      total += length;
      if (total > bytesMax) return null;
    }
  } finally {
    if (file !== STDIN) closeSync(file);
  }
}

/** A pipe whose writer is slow may say that there is nothing yet, which is no end. */
function readPiece(file: number, piece: Uint8Array): number {
  for (;;) {
    try {
      return readSync(file, piece);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
    }
  }
}

/** In the system's words, which name no path twice. */
function reasonOf(error: unknown): string {
  const errno = error instanceof Error && 'errno' in error ? Number(error.errno) : Number.NaN;
  return getSystemErrorMap().get(errno)?.[1] ?? String(error);
}
