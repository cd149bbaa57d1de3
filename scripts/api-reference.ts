import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildPackage } from './package-build.ts';

/**
 * Generates the reference of the published packages from their built declarations, one page for each entry, into
 * `.nemea/api`. TypeDoc reads older compilers than the one of this repository, so both are installed apart.
 */
const TOOLS = ['typedoc@0.28.20', 'typedoc-plugin-markdown@4.14.1', 'typescript@5.9.3'];
const PACKAGES = ['tpm', 'attestation'];

const root = join(import.meta.dirname, '..');
const tools = join(root, '.nemea/typedoc');
const source = join(root, '.nemea/api-source');
const out = join(root, '.nemea/api');

function main(): void {
  if (!existsSync(join(tools, 'node_modules/typedoc'))) {
    mkdirSync(tools, { recursive: true });
    writeFileSync(join(tools, 'package.json'), '{"private":true}\n');
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...TOOLS], {
      cwd: tools,
      stdio: 'inherit',
    });
  }
  for (const path of [source, out]) rmSync(path, { recursive: true, force: true });
  const entryPoints = PACKAGES.flatMap((name) => {
    const target = join(source, 'node_modules/@nemea', name);
    mkdirSync(target, { recursive: true });
    buildPackage(name, target);
    return entriesOf(target);
  });
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    strict: true,
    skipLibCheck: true,
    types: ['node'],
  };
  const project = join(source, 'tsconfig.json');
  writeFileSync(project, JSON.stringify({ compilerOptions, files: entryPoints }));
  const options = {
    tsconfig: project,
    entryPoints,
    out,
    plugin: ['typedoc-plugin-markdown'],
    name: 'Nemea',
    readme: 'none',
    excludePrivate: true,
    disableSources: true,
    router: 'module',
  };
  writeFileSync(join(source, 'typedoc.json'), JSON.stringify(options));
  execFileSync(
    process.execPath,
    [join(tools, 'node_modules/typedoc/bin/typedoc'), '--options', join(source, 'typedoc.json')],
    {
      cwd: tools,
      stdio: 'inherit',
    },
  );
  rmSync(source, { recursive: true });
  console.log(`reference of ${entryPoints.length} entries in .nemea/api`);
}

function entriesOf(target: string): string[] {
  const { exports } = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8')) as {
    exports: Record<string, { types: string }>;
  };
  const files = Object.entries(exports).filter(([entry]) => entry !== './core');
  return files.map(([, { types }]) => join(target, types));
}

main();
