import {
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { overwriteFiles } from './overwrite.ts';

const MIB = 1024 * 1024;
let folder: string;
let outside: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nemea-overwrite-'));
  outside = mkdtempSync(join(tmpdir(), 'nemea-outside-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  rmSync(outside, { recursive: true });
});

const isZero = (file: string) => readFileSync(file).every((byte) => byte === 0);

describe('overwriting', () => {
  test('leaves zeros of the same size in every file, in sub-folders and under names that are not text', () => {
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    writeFileSync(join(folder, 'a/b/list'), 'Zoé\n'.repeat(600_000));
    const odd = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x0a])]);
    writeFileSync(odd, 'private');
    writeFileSync(join(folder, 'empty'), '');
    overwriteFiles(folder);
    expect(isZero(join(folder, 'a/b/list'))).toBe(true);
    expect(statSync(join(folder, 'a/b/list')).size).toBe(3_000_000);
    expect(readFileSync(odd).equals(Buffer.alloc(7))).toBe(true);
  });

  test('finds the data in a sparse file and leaves its holes', () => {
    const file = join(folder, 'sparse');
    const fd = openSync(file, 'w');
    writeSync(fd, 'private', 5 * MIB + 4090);
    writeSync(fd, 'private', 40 * MIB);
    closeSync(fd);
    const blocksBefore = statSync(file).blocks;
    overwriteFiles(folder);
    expect(isZero(file)).toBe(true);
    expect(statSync(file)).toMatchObject({ size: 40 * MIB + 7, blocks: blocksBefore });
  });

  test('follows no link out of the folder', () => {
    const victim = join(outside, 'victim');
    writeFileSync(victim, 'keep');
    symlinkSync(victim, join(folder, 'file'));
    symlinkSync(outside, join(folder, 'folder'));
    writeFileSync(join(folder, 'one'), 'private');
    linkSync(join(folder, 'one'), join(folder, 'two'));
    overwriteFiles(folder);
    expect(readFileSync(victim, 'utf8')).toBe('keep');
    expect(isZero(join(folder, 'two'))).toBe(true);
  });
});
