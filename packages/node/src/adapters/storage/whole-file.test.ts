import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fromUtf8 } from '@nemea/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDiskFolder } from './disk-folder.ts';
import { type Disk, writeWhole } from './whole-file.ts';

const before = fromUtf8('before');
const after = fromUtf8('after');

describe('a file that is written whole', () => {
  let dir: string;
  let path: string;
  beforeEach(() => {
    dir = fs.mkdtempSync(join(tmpdir(), 'nemea-whole-'));
    path = join(dir, 'file');
  });
  afterEach(() => fs.rmSync(dir, { recursive: true }));

  /** The real disk, which notes what it is told, and fails where the test says so. */
  function noting(failing?: string): { disk: Disk; calls: string[] } {
    const calls: string[] = [];
    const names = new Map<number, string>();
    const note = <T>(call: string, done: () => T): T => {
      calls.push(call);
      if (call === failing) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      return done();
    };
    const nameOf = (file: unknown): string => names.get(file as number) ?? '?';
    const disk = {
      openSync: (opened: string, flags: string, mode: number) => {
        const file = fs.openSync(opened, flags, mode);
        names.set(file, opened === dir ? 'folder' : basename(opened));
        return file;
      },
      writeFileSync: (file: number, bytes: Uint8Array) =>
        note(`write ${nameOf(file)}`, () => fs.writeFileSync(file, bytes)),
      fsyncSync: (file: number) => note(`flush ${nameOf(file)}`, () => fs.fsyncSync(file)),
      closeSync: fs.closeSync,
      renameSync: (from: string, to: string) =>
        note(`rename ${basename(from)} ${basename(to)}`, () => fs.renameSync(from, to)),
      rmSync: fs.rmSync,
    } as Disk;
    return { disk, calls };
  }

  it('is on disk before it has its name, and its name is when the call returns', () => {
    const { disk, calls } = noting();
    writeWhole(path, after, disk);
    expect(calls).toEqual(['write file.new', 'flush file.new', 'rename file.new file', 'flush folder']);
    expect(new Uint8Array(fs.readFileSync(path))).toEqual(after);
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
  });

  it.each(['write file.new', 'flush file.new', 'rename file.new file'])(
    'is what it was before, with nothing beside it, on a disk that fails at: %s',
    (failing) => {
      writeWhole(path, before);
      expect(() => writeWhole(path, after, noting(failing).disk)).toThrow('no space left');
      expect(fs.readdirSync(dir)).toEqual(['file']);
      expect(new Uint8Array(fs.readFileSync(path))).toEqual(before);
    },
  );

  it('is how a folder writes each of its files', () => {
    const { disk, calls } = noting();
    openDiskFolder(dir, disk).write('file', after);
    expect(calls).toEqual(['write file.new', 'flush file.new', 'rename file.new file', 'flush folder']);
  });
});
