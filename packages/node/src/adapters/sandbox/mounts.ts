import { readFileSync } from 'node:fs';
import { mustRun, runCommand } from './command.ts';
import { pause } from './files.ts';

const UNMOUNT_TRIES = 50;
const UNMOUNT_PAUSE_MS = 20;

export interface RamDiskOptions {
  readonly bytes: number;
  readonly inodes: number;
  readonly ownerId: number;
  readonly mode: string;
  readonly noSwap: boolean;
}

/** A file system in RAM for one run's data: nothing on it is executed, and the host follows no link in it. */
export async function mountRamDisk(folder: string, options: RamDiskOptions): Promise<void> {
  const flags = [
    'nosuid',
    'nodev',
    'noexec',
    'nosymfollow',
    `size=${options.bytes}`,
    `nr_inodes=${options.inodes}`,
  ];
  flags.push(`uid=${options.ownerId}`, `gid=${options.ownerId}`, `mode=${options.mode}`);
  if (options.noSwap) flags.push('noswap');
  await mustRun('mount', ['-t', 'tmpfs', '-o', flags.join(','), 'nemea', folder]);
}

export async function mountImage(file: string, folder: string): Promise<void> {
  await mustRun('mount', ['-t', 'erofs', '-o', 'loop,ro,nosuid,nodev', file, folder]);
}

/** Whether tmpfs can promise never to be swapped (since Linux 6.4). */
export async function supportsNoSwap(folder: string): Promise<boolean> {
  const { exitCode } = await runCommand('mount', ['-t', 'tmpfs', '-o', 'size=4k,noswap', 'nemea', folder]);
  if (exitCode === 0) await mustRun('umount', [folder]);
  return exitCode === 0;
}

/** False when it is still busy after a second: another process holds a file of it. */
export async function unmount(folder: string): Promise<boolean> {
  for (let attempt = 0; attempt < UNMOUNT_TRIES; attempt += 1) {
    if (!mountsBelow(folder).some((mount) => mount.target === folder)) return true;
    const { exitCode } = await runCommand('umount', ['--', folder]);
    if (exitCode !== 0) await pause(UNMOUNT_PAUSE_MS);
  }
  return !mountsBelow(folder).some((mount) => mount.target === folder);
}

/** The machine's mounts at or below a folder, in the order they were made. proc(5), /proc/pid/mountinfo. */
export function mountsBelow(folder: string): { target: string; line: string }[] {
  const mounts: { target: string; line: string }[] = [];
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const target = (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (target === folder || target.startsWith(`${folder}/`)) mounts.push({ target, line });
  }
  return mounts;
}
