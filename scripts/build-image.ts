/**
 * Builds the Python worker image `.nemea/images/python.erofs` from Debian packages, reproducibly: the same package
 * versions and the same images/python/ give the same file, so its SHA-256 is the image's identity.
 * Needs root, mmdebstrap and mkfs.erofs. Skips when the recipe's image is already there.
 *
 * node scripts/build-image.ts [--force] [--out DIR] [--mirror URL] [--check-reproducible] [--json]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { selectDeb822, selectOneLine } from './apt-sources.ts';

const ROOT = join(import.meta.dirname, '..');
const RECIPE = join(ROOT, 'images', 'python');
const SUITE = 'bookworm';
const SOURCE_DATE_EPOCH = '1735689600';
const PACKAGES = ['python3-minimal', 'libpython3.11-stdlib'];
// An allow-list: no shell, no package manager, no perl. `*` is the architecture's own folder name.
const KEEP = [
  'lib/*-linux-gnu',
  'lib64',
  'usr/bin/python3',
  'usr/bin/python3.11',
  'usr/lib/*-linux-gnu',
  'usr/lib/python3.11',
];
const DROP = /\/(perl.*|gconv|libperl.*|_test.*|_xx.*|xxlimited.*|__pycache__|.*\.a|.*\.pl)$/;
const MOUNT_POINTS = { proc: 0o755, dev: 0o755, in: 0o755, out: 0o755, job: 0o777, tmp: 0o1777 };

interface BuildRecord {
  name: string;
  digest: string;
  bytes: number;
  recipe: string;
  suite: string;
  sourceDateEpoch: number;
  packages: { name: string; version: string; architecture: string }[];
}

const { values: options } = parseArgs({
  options: {
    force: { type: 'boolean', default: false },
    out: { type: 'string', default: join(ROOT, '.nemea', 'images') },
    mirror: { type: 'string' },
    'check-reproducible': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

try {
  main();
} catch (error) {
  say(`build-image: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function main(): void {
  if (options['check-reproducible']) checkReproducible();
  else ensureImage();
}

function ensureImage(): void {
  const startedMs = performance.now();
  const present = options.force ? undefined : presentImage(options.out);
  if (present !== undefined) {
    report(present, `already built: ${imageFile(options.out)}`);
    return;
  }
  requireTools();
  say(`building the python worker image from Debian ${SUITE}`);
  const record = buildImage(options.out);
  report(
    record,
    `built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s: ${imageFile(options.out)}`,
  );
}

/** Two builds in fresh directories must give one digest. */
function checkReproducible(): void {
  requireTools();
  const digests = [1, 2].map((round) => {
    const out = mkdtempSync(join(tmpdir(), 'nemea-image-'));
    try {
      const record = buildImage(out);
      say(`build ${round}: ${record.digest}`);
      return record.digest;
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });
  if (digests[0] !== digests[1]) fail(`the two builds differ: got ${digests[1]}, want ${digests[0]}`);
  say('reproducible');
}

function buildImage(out: string): BuildRecord {
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'nemea-build-'));
  const scratch = join(out, `.python-${process.pid}.erofs`);
  try {
    const packages = unpackPackages(work);
    const rootfs = join(work, 'image');
    selectFiles(join(work, 'packages'), rootfs);
    addOwnFiles(rootfs);
    makeErofs(rootfs, scratch);
    const bytes = readFileSync(scratch);
    const digest = sha256Hex(bytes);
    const record: BuildRecord = {
      name: 'python',
      digest,
      bytes: bytes.length,
      recipe: recipeDigest(),
      suite: SUITE,
      sourceDateEpoch: Number(SOURCE_DATE_EPOCH),
      packages,
    };
    renameSync(scratch, imageFile(out));
    writeFileSync(`${recordFile(out)}.new`, `${JSON.stringify(record, null, 2)}\n`);
    renameSync(`${recordFile(out)}.new`, recordFile(out));
    return record;
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(scratch, { force: true });
  }
}

/** Unpacks the packages without running any maintainer script, and returns what was unpacked. */
function unpackPackages(work: string): BuildRecord['packages'] {
  const sources = aptSources();
  const files = sources.map((text, index) => {
    const file = join(work, `source-${index}`);
    writeFileSync(file, text);
    return file;
  });
  const list = join(work, 'debs');
  const flags = ['--mode=root', '--variant=extract', '--format=directory', '--quiet'];
  for (const option of ['Apt::Install-Recommends "false";', ...hostAptOptions()])
    flags.push(`--aptopt=${option}`);
  flags.push(`--extract-hook=ls "$1/var/cache/apt/archives" > '${list}'`);
  const mirrors = options.mirror === undefined ? files : [options.mirror];
  run('mmdebstrap', [...flags, `--include=${PACKAGES.join(',')}`, SUITE, join(work, 'packages'), ...mirrors]);
  return readFileSync(list, 'utf8')
    .split('\n')
    .filter((name) => name.endsWith('.deb'))
    .sort()
    .map((name) => {
      const [pack = '', version = '', architecture = ''] = name.slice(0, -'.deb'.length).split('_');
      return { name: pack, version: decodeURIComponent(version), architecture };
    });
}

/** The machine's own sources for the release, so that a local mirror is used where there is one. */
function aptSources(): string[] {
  if (options.mirror !== undefined) return [];
  const deb822: string[] = [];
  const lines: string[] = [];
  const parts = '/etc/apt/sources.list.d';
  const files = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  for (const file of ['/etc/apt/sources.list', ...files.sort()]) {
    if (!existsSync(file)) continue;
    if (file.endsWith('.sources')) deb822.push(...selectDeb822(readFileSync(file, 'utf8'), SUITE));
    if (file.endsWith('.list')) lines.push(...selectOneLine(readFileSync(file, 'utf8'), SUITE));
  }
  const sources = [...deb822, ...(lines.length > 0 ? [lines.join('')] : [])];
  if (sources.length === 0)
    fail(`this machine has no apt source for Debian ${SUITE}; name one with --mirror URL`);
  return sources;
}

/** Proxies, certificates and date checks of the host's apt, which mmdebstrap's own apt configuration would lose. */
function hostAptOptions(): string[] {
  const wanted = /^Acquire::(https?::(Proxy|CaInfo|Verify-Peer|Verify-Host|Timeout)|Check-|Retries)/i;
  return run('apt-config', ['dump'])
    .split('\n')
    .filter((line) => wanted.test(line) && !/ "";$/.test(line));
}

function selectFiles(source: string, target: string): void {
  for (const pattern of KEEP) {
    const matches = expand(source, pattern);
    if (matches.length === 0) fail(`the packages hold no ${pattern}`);
    for (const path of matches) {
      mkdirSync(dirname(join(target, path)), { recursive: true });
      const filter = (file: string): boolean => !DROP.test(file);
      cpSync(join(source, path), join(target, path), { recursive: true, verbatimSymlinks: true, filter });
    }
  }
}

function expand(source: string, pattern: string): string[] {
  if (!pattern.includes('*')) return existsLink(join(source, pattern)) ? [pattern] : [];
  const folder = dirname(pattern);
  const suffix = pattern.slice(pattern.indexOf('*') + 1);
  return readdirSync(join(source, folder))
    .filter((name) => name.endsWith(suffix))
    .map((name) => join(folder, name));
}

function existsLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function addOwnFiles(rootfs: string): void {
  const runner = join(rootfs, 'usr', 'local', 'lib', 'nemea');
  mkdirSync(runner, { recursive: true });
  cpSync(join(RECIPE, 'run.py'), join(runner, 'run.py'));
  for (const [name, mode] of Object.entries(MOUNT_POINTS)) {
    mkdirSync(join(rootfs, name), { recursive: true });
    // The sandbox runtime takes the mode of a tmpfs from its mount point.
    chmodSync(join(rootfs, name), mode);
  }
  normalizeModes(rootfs, true);
}

/** World-readable, owner-writable, nothing setuid: modes do not depend on the builder's umask. */
function normalizeModes(path: string, isTop = false): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  if (!stat.isDirectory()) {
    chmodSync(path, (stat.mode & 0o111) === 0 ? 0o644 : 0o755);
    return;
  }
  for (const name of readdirSync(path)) {
    if (!isTop || !(name in MOUNT_POINTS)) normalizeModes(join(path, name));
  }
  chmodSync(path, 0o755);
}

function makeErofs(rootfs: string, file: string): void {
  const uuid = '00000000-0000-0000-0000-000000000000';
  run('mkfs.erofs', ['-T0', '-U', uuid, '--all-root', '-x-1', '--quiet', file, rootfs]);
}

/** The image of this recipe, or undefined when there is none or the file is not what its record says. */
function presentImage(out: string): BuildRecord | undefined {
  if (!existsSync(recordFile(out)) || !existsSync(imageFile(out))) return undefined;
  const record = JSON.parse(readFileSync(recordFile(out), 'utf8')) as BuildRecord;
  if (record.recipe !== recipeDigest() || statSync(imageFile(out)).size !== record.bytes) return undefined;
  return sha256Hex(readFileSync(imageFile(out))) === record.digest ? record : undefined;
}

function recipeDigest(): string {
  const inputs = [SUITE, SOURCE_DATE_EPOCH, process.arch, ...PACKAGES, ...KEEP, DROP.source];
  return sha256Hex(JSON.stringify([inputs, readFileSync(join(RECIPE, 'run.py'), 'utf8')]));
}

function imageFile(out: string): string {
  return join(out, 'python.erofs');
}

function recordFile(out: string): string {
  return join(out, 'python.json');
}

function requireTools(): void {
  if (process.getuid?.() !== 0) fail('building an image needs root');
  for (const [tool, pack] of [
    ['mmdebstrap', 'mmdebstrap'],
    ['mkfs.erofs', 'erofs-utils'],
  ] as const) {
    const found = (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, tool)));
    if (!found) fail(`${tool} is missing: apt-get install ${pack}`);
  }
}

function run(command: string, args: string[]): string {
  try {
    const env = { ...process.env, SOURCE_DATE_EPOCH, LC_ALL: 'C.UTF-8', TZ: 'UTC' };
    return execFileSync(command, args, {
      env,
      encoding: 'utf8',
      maxBuffer: 16 * 1024 * 1024,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const stderr = (error as { stderr?: string }).stderr ?? '';
    fail(`${command} failed: ${stderr.trim().split('\n').slice(-10).join('\n')}`);
  }
}

function sha256Hex(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

function report(record: BuildRecord, message: string): void {
  say(message);
  process.stdout.write(options.json ? `${JSON.stringify(record)}\n` : `${record.digest}\n`);
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

function fail(message: string): never {
  throw new Error(message);
}
