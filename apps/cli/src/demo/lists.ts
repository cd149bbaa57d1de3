import { statSync } from 'node:fs';
import { CodedError, sha256, toHex, toUtf8 } from '@nemea/core';
import { readFile } from '../files.ts';

export class ListError extends CodedError<'LIST_EMPTY' | 'LIST_MISSING' | 'LIST_NOT_UTF8'> {}

/** Names of a list: one a line, UTF-8; a byte-order mark, CRLF, empty lines and duplicates do not count. */
export function readNames(file: string): Set<string> {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true)
    throw new ListError('LIST_MISSING', `no file ${file}`);
  const bytes = readFile(file);
  if (bytes.length === 0) throw new ListError('LIST_EMPTY', `${file} is empty`);
  let text: string;
  try {
    text = toUtf8(bytes);
  } catch (cause) {
    throw new ListError('LIST_NOT_UTF8', `${file} is not valid UTF-8`, { cause });
  }
  const names = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => line.replace(/\r$/, ''));
  return new Set(names.filter((name) => name !== ''));
}

/** The true intersection, in the order of code points, computed by the one party that may know both lists: the demo. */
export function commonNames(b: ReadonlySet<string>, c: ReadonlySet<string>): string[] {
  return [...b].filter((name) => c.has(name)).sort(byCodePoint);
}

export function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

/** Names long enough that no other data holds them by chance; spread over the list. */
export function sampleNames(names: ReadonlySet<string>, wanted: number): string[] {
  const long = [...names].filter((name) => Buffer.byteLength(name) >= 9);
  const pool = long.length > 0 ? long : [...names].filter((name) => Buffer.byteLength(name) >= 5);
  const step = Math.max(1, Math.floor(pool.length / wanted));
  return pool.filter((_, index) => index % step === 0).slice(0, wanted);
}

export function digestOf(file: string): string {
  return toHex(sha256(readFile(file)));
}
