import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';

/**
 * Builds a workspace package as strangers install it: compiled JavaScript with declarations, for Node 22 and later and
 * for bundlers. In this repository packages run from their TypeScript sources, which no Node runs inside node_modules.
 *
 * `@nemea/core` is not published: `@nemea/tpm` carries a copy as its entry `./core`, and `@nemea/attestation` uses that
 * copy, so that both share one `CodedError`.
 */
const root = join(import.meta.dirname, '..');
const CARRIER = '@nemea/tpm';
const CARRIED = '@nemea/core';
const ENGINES = { node: '>=22' };

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** Writes `dist` and the manifest to publish into `target`. `name` is a folder of packages. */
export function buildPackage(name: string, target: string): void {
  const manifest = readManifest(name);
  const entries = publicEntries(manifest);
  mkdirSync(join(root, '.nemea'), { recursive: true });
  const emitted = mkdtempSync(join(root, '.nemea/build-'));
  try {
    const sources = Object.values(entries).map((path) => join(root, 'packages', name, path));
    compile([...sources, join(root, 'packages/core/src/index.ts')], emitted);
    const dist = join(target, 'dist');
    rmSync(dist, { recursive: true, force: true });
    copyTree(join(emitted, 'packages', name, 'src'), dist);
    if (manifest.name === CARRIER) copyTree(join(emitted, 'packages/core/src'), join(dist, 'core'));
    for (const path of globSync('**/*.{js,d.ts}', { cwd: dist }))
      rewriteSpecifiers(dist, path, manifest.name);
  } finally {
    rmSync(emitted, { recursive: true, force: true });
  }
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(published(manifest, entries), null, 2)}\n`);
}

function readManifest(name: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')) as Manifest;
}

/** What strangers may import: everything but the helpers of this repository's own tests. */
function publicEntries(manifest: Manifest): Record<string, string> {
  return Object.fromEntries(
    Object.entries(manifest.exports).filter(([entry]) => !entry.endsWith('/testing')),
  );
}

function compile(files: readonly string[], outDir: string): void {
  const config = join(outDir, 'tsconfig.json');
  const compilerOptions = {
    noEmit: false,
    rewriteRelativeImportExtensions: true,
    declaration: true,
    rootDir: root,
    // Not through the links in node_modules: what comes from there counts as a library and may get no declarations.
    paths: sourcePaths(),
    outDir,
  };
  const project = { extends: join(root, 'tsconfig.json'), compilerOptions, files, include: [] };
  writeFileSync(config, JSON.stringify(project));
  const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', config], {
    encoding: 'utf8',
    cwd: root,
  });
  if (tsc.status !== 0) throw new Error(`tsc failed: ${tsc.stdout}${tsc.stderr}`);
}

function sourcePaths(): Record<string, string[]> {
  const paths: Record<string, string[]> = {};
  for (const name of ['core', 'tpm', 'attestation']) {
    for (const [entry, source] of Object.entries(readManifest(name).exports)) {
      paths[`@nemea/${name}${entry.slice(1)}`] = [join(root, 'packages', name, source)];
    }
  }
  return paths;
}

function copyTree(from: string, to: string): void {
  for (const path of globSync('**/*.{js,d.ts}', { cwd: from })) {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    cpSync(join(from, path), join(to, path));
  }
}

const SPECIFIER = /(\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)(['"])([^'"\n]+)\2/g;

function rewriteSpecifiers(dist: string, path: string, packageName: string): void {
  const text = readFileSync(join(dist, path), 'utf8');
  const rewritten = text.replace(SPECIFIER, (_, keyword: string, quote: string, specifier: string) => {
    return `${keyword}${quote}${toPublished(path, packageName, specifier)}${quote}`;
  });
  writeFileSync(join(dist, path), rewritten);
}

/** Declarations keep `.ts`, and the unpublished package becomes the carried copy. */
function toPublished(path: string, packageName: string, specifier: string): string {
  if (specifier.startsWith('.')) return specifier.replace(/\.ts$/, '.js');
  if (specifier !== CARRIED) return specifier;
  if (packageName !== CARRIER) return `${CARRIER}/core`;
  const way = relative(dirname(path), 'core/index.js');
  return way.startsWith('.') ? way : `./${posix.normalize(way)}`;
}

function published(manifest: Manifest, entries: Readonly<Record<string, string>>): object {
  const carries = manifest.name === CARRIER;
  const all = carries ? { ...entries, './core': './src/core/index.ts' } : entries;
  const core = JSON.parse(readFileSync(join(root, 'packages/core/package.json'), 'utf8')) as Manifest;
  const dependencies = { ...(carries ? core.dependencies : {}), ...manifest.dependencies };
  delete (dependencies as Record<string, string>)[CARRIED];
  const { scripts: _, ...rest } = manifest as Manifest & { scripts?: unknown };
  return {
    ...rest,
    engines: ENGINES,
    files: ['dist'],
    exports: Object.fromEntries(
      Object.entries(all).map(([entry, source]) => {
        const file = source.replace('./src/', './dist/').replace(/\.ts$/, '');
        return [entry, { types: `${file}.d.ts`, default: `${file}.js` }];
      }),
    ),
    dependencies: Object.fromEntries(Object.entries(dependencies).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}
