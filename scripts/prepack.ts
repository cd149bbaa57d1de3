import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { buildPackage } from './package-build.ts';

/**
 * What `npm pack` runs in a package's folder before (`prepack`) and after (`--restore`, `postpack`): the manifest of this
 * repository names TypeScript sources, the packed one names compiled files. npm has no other way to give a packed manifest other exports.
 */
const folder = process.cwd();
const name = basename(folder);
const manifest = join(folder, 'package.json');
const kept = join(import.meta.dirname, '../.nemea/pack', `${name}.json`);

// Also before a build: one that was cut off has left its manifest behind.
if (existsSync(kept)) renameSync(kept, manifest);
for (const made of ['dist', 'LICENSE']) rmSync(join(folder, made), { recursive: true, force: true });
if (!process.argv.includes('--restore')) {
  mkdirSync(dirname(kept), { recursive: true });
  const built = join(dirname(kept), name);
  rmSync(built, { recursive: true, force: true });
  mkdirSync(built);
  buildPackage(name, built);
  renameSync(manifest, kept);
  renameSync(join(built, 'package.json'), manifest);
  renameSync(join(built, 'dist'), join(folder, 'dist'));
  cpSync(join(import.meta.dirname, '../LICENSE'), join(folder, 'LICENSE'));
  rmSync(built, { recursive: true });
}
