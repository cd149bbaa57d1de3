import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXPECTED, runConsumer, writeConsumer } from './packages-consumer.ts';

/** `npm pack` as a maintainer calls it, and an empty project that installs what it made, on three versions of Node. */
const NODES = ['22.23.3', '24.21.0', '26.9.0'];
const TYPESCRIPT = '5.9.3';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'nemea-packages-'));
const project = join(folder, 'project');

function npm(cwd: string, ...args: string[]): void {
  execFileSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], { cwd, stdio: 'pipe' });
}

beforeAll(() => {
  // In a copy: packing changes the manifests for a moment, and other tests read them.
  const copy = join(folder, 'repository');
  for (const name of ['package.json', 'tsconfig.json', 'LICENSE', 'packages', 'scripts', 'vectors']) {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  cpSync(join(root, 'node_modules'), join(copy, 'node_modules'), { recursive: true, verbatimSymlinks: true });
  npm(copy, 'pack', '-w', 'packages/tpm', '-w', 'packages/attestation', '--pack-destination', folder);
  cpSync(join(root, 'vectors'), join(project, 'vectors'), { recursive: true });
  writeConsumer(project);
  const tarballs = ['tpm', 'attestation'].map((name) => join(folder, `nemea-${name}-0.1.0.tgz`));
  npm(project, 'install', ...tarballs, `typescript@${TYPESCRIPT}`, '@types/node@22');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(NODES)('packed packages install into an empty project, and run on Node %s', (version) => {
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
  const home = join(folder, version);
  npm(folder, 'install', '--prefix', home, `node-linux-${arch}@${version}`);
  const node = join(home, `node_modules/node-linux-${arch}/bin/node`);
  expect(execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()).toBe(`v${version}`);
  expect(runConsumer(project, join(project, 'node_modules/typescript/bin/tsc'), node)).toBe(EXPECTED);
  console.log(`packed packages used from an empty project: Node ${version}, TypeScript ${TYPESCRIPT}`);
});
