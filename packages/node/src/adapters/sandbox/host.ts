/** Whether this machine can hold a sandbox, and what about it a verifier should know. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cgroups, countsSwap, findCgroups, missingControllers } from './cgroup.ts';
import { runCommand } from './command.ts';
import { SandboxError } from './errors.ts';
import { digestFile, readIfPresent } from './files.ts';

export type HostPolicy = 'development' | 'production';

export interface HostWarning {
  readonly code: 'INIT_ON_FREE_OFF' | 'RUNC_OLD' | 'SWAP_ACTIVE';
  readonly message: string;
}

export interface Host {
  readonly runcPath: string;
  readonly runcVersion: string;
  readonly runcDigest: Uint8Array;
  readonly cgroups: Cgroups;
  readonly limitSwap: boolean;
  readonly warnings: readonly HostWarning[];
}

export interface HostOptions {
  readonly policy: HostPolicy;
  readonly runcPath: string | undefined;
  /** One release for each maintained line that has the fixes this sandbox relies on. */
  readonly runcMinimums: readonly string[];
  readonly cgroupRoot: string;
}

// First releases with the fixes of CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881.
export const RUNC_MINIMUMS = ['1.2.8', '1.3.3'] as const;
export const DEFAULT_CGROUP_ROOT = '/sys/fs/cgroup';
const RUNC_OLDEST = '1.1.0';
const RUNC_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Tests each feature; throws a coded error for the first one that a run cannot do without. */
export async function inspectHost(options: HostOptions): Promise<Host> {
  if (process.geteuid?.() !== 0) {
    throw new SandboxError(
      'SANDBOX_NOT_ROOT',
      `the sandbox needs root: got user id ${process.geteuid?.()}, want 0`,
    );
  }
  const runc = await findRunc(options);
  await requireErofs();
  requireKernelFeatures();
  const cgroups = findCgroups(options.cgroupRoot);
  const missing = missingControllers(cgroups);
  if (missing.length > 0)
    throw unfit(`cgroup version ${cgroups.version} has no controller ${missing.join(', ')}`);
  const warnings = [...runc.warnings, ...memoryWarnings()];
  refuseInProduction(options.policy, warnings);
  const runcDigest = await digestFile(runc.path);
  return {
    runcPath: runc.path,
    runcVersion: runc.version,
    runcDigest,
    cgroups,
    limitSwap: countsSwap(cgroups),
    warnings,
  };
}

/** True for a release of a listed line that is not older than its entry, and for every line after the listed ones. */
export function isRuncFixed(version: string, minimums: readonly string[]): boolean {
  const got = parseVersion(version);
  const lines = minimums.map(parseVersion);
  const sameLine = lines.find((line) => line[0] === got[0] && line[1] === got[1]);
  if (sameLine !== undefined) return got[2] >= sameLine[2];
  return lines.every((line) => compareVersions(got, line) > 0);
}

async function findRunc(
  options: HostOptions,
): Promise<{ path: string; version: string; warnings: HostWarning[] }> {
  const candidates =
    options.runcPath === undefined ? RUNC_FOLDERS.map((folder) => join(folder, 'runc')) : [options.runcPath];
  const path = candidates.find((file) => isExecutable(file));
  if (path === undefined) {
    throw new SandboxError(
      'SANDBOX_RUNC_MISSING',
      `no runc at ${candidates.join(', ')}: apt-get install runc`,
    );
  }
  const { stdout } = await runCommand(path, ['--version']);
  const version = /^runc version (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version === undefined)
    throw new SandboxError('SANDBOX_RUNC_MISSING', `${path} does not tell its version`);
  if (compareVersions(parseVersion(version), parseVersion(RUNC_OLDEST)) < 0) {
    throw new SandboxError(
      'SANDBOX_RUNC_OLD',
      `runc is too old: got ${version}, want ${RUNC_OLDEST} or later`,
    );
  }
  if (isRuncFixed(version, options.runcMinimums)) return { path, version, warnings: [] };
  const message = `runc ${version} lacks known fixes: want ${options.runcMinimums.join(' or ')}, or later`;
  return { path, version, warnings: [{ code: 'RUNC_OLD', message }] };
}

function refuseInProduction(policy: HostPolicy, warnings: readonly HostWarning[]): void {
  if (policy === 'development') return;
  for (const { code, message } of warnings) {
    if (code === 'RUNC_OLD') throw new SandboxError('SANDBOX_RUNC_OLD', message);
    if (code === 'SWAP_ACTIVE') throw unfit(message);
  }
}

async function requireErofs(): Promise<void> {
  if (knowsErofs()) return;
  await runCommand('modprobe', ['--quiet', 'erofs']);
  if (!knowsErofs()) throw new SandboxError('SANDBOX_EROFS_MISSING', 'this kernel has no EROFS file system');
}

function knowsErofs(): boolean {
  return /\terofs$/m.test(readFileSync('/proc/filesystems', 'utf8'));
}

function requireKernelFeatures(): void {
  for (const name of ['pid', 'net', 'ipc', 'uts', 'mnt', 'cgroup', 'user']) {
    if (!existsSync(`/proc/self/ns/${name}`)) throw unfit(`this kernel has no ${name} namespace`);
  }
  if ((readIfPresent('/proc/sys/user/max_user_namespaces') ?? '1').trim() === '0') {
    throw unfit('user namespaces are switched off: user.max_user_namespaces is 0');
  }
  if (!(readIfPresent('/proc/sys/kernel/seccomp/actions_avail') ?? '').includes('errno')) {
    throw unfit('this kernel has no seccomp filter');
  }
}

function memoryWarnings(): HostWarning[] {
  const warnings: HostWarning[] = [];
  if (swapAreas().length > 0) {
    warnings.push({
      code: 'SWAP_ACTIVE',
      message: 'swap is active: private data in memory can reach a disk',
    });
  }
  if (!/\binit_on_free=1\b/.test(readIfPresent('/proc/cmdline') ?? '')) {
    const message =
      'the kernel zeroes freed memory when it is given out again, not at once (init_on_free=1 is not set)';
    warnings.push({ code: 'INIT_ON_FREE_OFF', message });
  }
  return warnings;
}

export function swapAreas(): string[] {
  const lines = (readIfPresent('/proc/swaps') ?? '').split('\n').slice(1);
  return lines.filter((line) => line !== '').map((line) => line.split(/\s/)[0] ?? '');
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function parseVersion(text: string): [number, number, number] {
  const [major = 0, minor = 0, patch = 0] = text.split('.').map(Number);
  return [major, minor, patch];
}

function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < 3; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function unfit(message: string): SandboxError {
  return new SandboxError('SANDBOX_HOST_UNFIT', message);
}
