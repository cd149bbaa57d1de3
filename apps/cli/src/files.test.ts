import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeFolder, readFile, readJson, readText, writeFile, writeNewFile } from './files.ts';

const dir = mkdtempSync(join(tmpdir(), 'files-'));
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

test('a file of the kernel, which has no size, is read whole', () => {
  expect(readText('/proc/self/status')).toContain('Pid:');
});

test('a file of just the limit is read, one of a byte more is not', () => {
  const path = file('hundred', new Uint8Array(100));
  expect(readFile(path, { bytesMax: 100 })).toHaveLength(100);
  expect(() => readFile(path, { bytesMax: 99 })).toThrow(
    expect.objectContaining({ code: 'FILE_UNREADABLE', message: `${path}: more than 99 bytes` }),
  );
});

test.each([
  ['what is not there', join(dir, 'none'), 'no such file or directory'],
  ['a folder', dir, 'illegal operation on a directory'],
  ['a device without end', '/dev/zero', 'more than 67108864 bytes'],
])('%s is refused in the words of the system', (_what, path, why) => {
  expect(() => readFile(path)).toThrow(
    expect.objectContaining({ code: 'FILE_UNREADABLE', message: `${path}: ${why}` }),
  );
});

test('a refusal has the code of what the file was to be', () => {
  const options = { bytesMax: 1, code: 'EVENTLOG_UNREADABLE', codeTooLarge: 'EVENTLOG_TOO_LARGE' } as const;
  expect(() => readFile(dir, options)).toThrow(expect.objectContaining({ code: 'EVENTLOG_UNREADABLE' }));
  expect(() => readFile('/dev/zero', options)).toThrow(
    expect.objectContaining({ code: 'EVENTLOG_TOO_LARGE' }),
  );
});

test('what is not UTF-8, or not JSON, is refused without a word of what it says', () => {
  expect(() => readText(file('latin1', Uint8Array.of(0xeb)))).toThrow(/: not UTF-8$/);
  expect(() => readJson(file('secret', 'secret'))).toThrow(/: not JSON$/);
  expect(readJson(file('good', '{"a": [1]}'))).toEqual({ a: [1] });
});

test('a new file is never written over another, and what cannot be written is refused', () => {
  const path = file('old', 'old');
  expect(() => writeNewFile(path, 'new')).toThrow(expect.objectContaining({ code: 'FILE_EXISTS' }));
  expect(readFileSync(path, 'utf8')).toBe('old');
  writeNewFile(join(dir, 'new'), 'new');
  expect(() => writeFile(join(dir, 'no/folder'), '')).toThrow(
    expect.objectContaining({ code: 'FILE_UNWRITABLE' }),
  );
});

test('a folder is made with those that it lies in, or what stands in its way is named', () => {
  makeFolder(join(dir, 'a/b/c'), 0o700);
  expect(statSync(join(dir, 'a/b/c')).mode & 0o777).toBe(0o700);
  makeFolder(join(dir, 'a/b/c'));
  const path = file('in-the-way', '');
  for (const wanted of [path, join(path, 'x'), '/proc/nowhere/x'])
    expect(() => makeFolder(wanted), wanted).toThrow(expect.objectContaining({ code: 'FILE_UNWRITABLE' }));
});
