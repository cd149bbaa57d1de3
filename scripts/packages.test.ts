import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { buildPackage, type Manifest } from './package-build.ts';
import { EXPECTED, runConsumer, writeConsumer } from './packages-consumer.ts';

const root = join(import.meta.dirname, '..');
mkdirSync(join(root, '.nemea'), { recursive: true });
const project = mkdtempSync(join(root, '.nemea/consumer-'));
const PACKAGES = ['tpm', 'attestation'];

afterAll(() => rmSync(project, { recursive: true, force: true }));

test('a project outside this repository type-checks against the built packages and runs with them', () => {
  for (const name of PACKAGES) {
    const target = join(project, 'node_modules/@nemea', name);
    mkdirSync(target, { recursive: true });
    buildPackage(name, target);
  }
  writeConsumer(project);
  expect(runConsumer(project, join(root, 'node_modules/typescript/bin/tsc'), process.execPath)).toBe(
    EXPECTED,
  );
});

test.each(PACKAGES)(
  'the built package %s depends on published packages alone and exports no helper of tests',
  (name) => {
    const target = join(project, 'node_modules/@nemea', name, 'package.json');
    const manifest = JSON.parse(readFileSync(target, 'utf8')) as Manifest;
    expect(Object.keys(manifest.dependencies ?? {})).not.toContain('@nemea/core');
    expect(Object.keys(manifest.exports).filter((entry) => entry.endsWith('/testing'))).toEqual([]);
    expect(JSON.stringify(manifest)).not.toContain('src/');
  },
);
