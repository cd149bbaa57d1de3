import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fromUtf8, sha256, toHex, toUtf8 } from '@nemea/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { measureRelease, parseRelease, ReleaseError } from './manifest.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'release-'));
  write('package.json', '{"version":"1.2.3"}');
  write('package-lock.json', '{}');
  write('packages/core/src/index.ts', 'export {};');
  write('apps/cli/src/main.ts', 'run();');
});

afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const digest = () => toHex(measureRelease(root).digest);

test('a release is named, and measured as the digest of its manifest', () => {
  const release = measureRelease(root);
  expect(release.name).toBe('nemea 1.2.3');
  expect(toHex(release.digest)).toBe(toHex(sha256(release.manifest)));
  const { files } = JSON.parse(toUtf8(release.manifest)) as { files: { path: string }[] };
  expect(files.map(({ path }) => path)).toEqual([
    'apps/cli/src/main.ts',
    'package-lock.json',
    'packages/core/src/index.ts',
  ]);
});

describe('the digest', () => {
  test('is the same for the same files', () => {
    expect(digest()).toBe(digest());
  });

  test.each([
    ['a source that changed', 'packages/core/src/index.ts', 'export { x };'],
    ['a source that was added', 'packages/core/src/more.ts', ''],
    ['another dependency', 'package-lock.json', '{"a":1}'],
    ['another version', 'package.json', '{"version":"1.2.4"}'],
    ['a worker script', 'apps/cli/src/worker.py', ''],
  ])('is another one for %s', (_what, path, text) => {
    const before = digest();
    write(path, text);
    expect(digest()).not.toBe(before);
  });

  test.each([
    'packages/core/src/index.test.ts',
    'packages/core/node_modules/x/index.ts',
    'packages/core/README.md',
  ])('does not count %s', (path) => {
    const before = digest();
    write(path, 'text');
    expect(digest()).toBe(before);
  });
});

describe('a manifest made elsewhere', () => {
  test('is read as it is', () => {
    const { manifest, digest: own, name } = measureRelease(root);
    expect(parseRelease(manifest)).toEqual({ manifest, digest: own, name });
  });

  test.each([
    '',
    'text',
    'null',
    '[]',
    '{}',
    '{"name":"nemea","version":1,"files":[]}',
    '{"name":"nemea","version":"1"}',
  ])('is refused: %j', (text) => {
    expect(() => parseRelease(fromUtf8(text))).toThrow(ReleaseError);
  });

  test('is refused when it is no UTF-8', () => {
    expect(() => parseRelease(Uint8Array.of(0xff))).toThrow(ReleaseError);
  });
});

test('this very checkout can be measured', () => {
  expect(measureRelease().digest).toHaveLength(32);
});
