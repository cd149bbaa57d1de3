/**
 * What a run could leave behind on this machine, as digests. Each item names only what belongs to this node (its
 * folder, cgroup and id range), so other work on the machine does not change it.
 */
import { lstatSync, readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { fromUtf8, hashDomain, sha256, toHex } from '@nemea/core';
import type { MachineSnapshot, SnapshotItem } from '../../ports/sandbox.ts';
import { ID_RANGE } from './bundle.ts';
import { listGroups } from './cgroup.ts';
import { ifPresent, listIfPresent, readIfPresent } from './files.ts';
import { type Host, swapAreas } from './host.ts';
import { mountsBelow } from './mounts.ts';
import type { Place } from './place.ts';

export interface SnapshotSources {
  readonly host: Host;
  readonly place: Place;
  readonly idBase: number;
  readonly images: readonly { digest: Uint8Array; file: string }[];
}

export function takeSnapshot(sources: SnapshotSources): MachineSnapshot {
  const items = Object.entries(stateLines(sources))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, lines]) => ({ name, digest: sha256(fromUtf8(lines.join('\n'))) }));
  return { digest: snapshotDigest(items), items };
}

export function snapshotDigest(items: readonly SnapshotItem[]): Uint8Array {
  return hashDomain(
    'nemea/machine-snapshot/v1',
    ...items.flatMap(({ name, digest }) => [fromUtf8(name), digest]),
  );
}

/** The names of the items that differ; none when the machine is as it was. */
export function snapshotDifference(before: MachineSnapshot, after: MachineSnapshot): string[] {
  const digests = (snapshot: MachineSnapshot) =>
    new Map(snapshot.items.map(({ name, digest }) => [name, toHex(digest)]));
  const [old, now] = [digests(before), digests(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((name) => old.get(name) !== now.get(name))
    .sort();
}

/** The lines each item's digest is over; sorted, so that order of creation does not matter. */
export function stateLines(sources: SnapshotSources): Record<string, string[]> {
  const { host, place, idBase } = sources;
  const isOwn = (id: number) => id >= idBase && id < idBase + ID_RANGE;
  return {
    boot: [readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), release()],
    cgroups: listGroups(host.cgroups, place.group).sort(),
    containers: listIfPresent(place.runcRoot),
    files: filesBelow(place.folder).sort(),
    images: sources.images.map(({ digest, file }) => `${toHex(digest)} ${identity(file)}`).sort(),
    ipc: ['shm', 'sem', 'msg'].flatMap((kind) => ipcObjects(kind, isOwn)).sort(),
    mounts: mountsBelow(place.folder).map(({ line }) => line),
    processes: processesOf(isOwn),
    runtime: [toHex(host.runcDigest), host.runcVersion, identity(host.runcPath)],
    sharedMemory: listIfPresent('/dev/shm').filter((name) => isOwn(ownerOf(join('/dev/shm', name)))),
    swaps: swapAreas().sort(),
  };
}

/** Changes with any write to the file, and with its replacement: nobody below root can set a change time. */
function identity(file: string): string {
  const stat = statSync(file, { bigint: true });
  return [stat.dev, stat.ino, stat.size, stat.mode, stat.uid, stat.gid, stat.mtimeNs, stat.ctimeNs].join(' ');
}

function filesBelow(folder: string, prefix = ''): string[] {
  const mounted = new Set(mountsBelow(folder).map(({ target }) => target));
  return listIfPresent(folder).flatMap((name) => {
    const path = join(folder, name);
    const stat = ifPresent(() => lstatSync(path));
    if (stat === undefined) return [];
    const line = `${prefix}${name} ${stat.mode} ${stat.uid} ${stat.isDirectory() ? 0 : stat.size}`;
    return stat.isDirectory() && !mounted.has(path)
      ? [line, ...filesBelow(path, `${prefix}${name}/`)]
      : [line];
  });
}

function processesOf(isOwn: (id: number) => boolean): string[] {
  return listIfPresent('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const status = readIfPresent(`/proc/${pid}/status`) ?? '';
      const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '';
      // Only its exit status is left, until the machine's first process collects it.
      if (field('State').startsWith('Z') && field('Threads') === '1') return false;
      return field('Uid')
        .split(/\s+/)
        .some((uid) => uid !== '' && isOwn(Number(uid)));
    });
}

function ipcObjects(kind: string, isOwn: (id: number) => boolean): string[] {
  const [head = '', ...lines] = (readIfPresent(`/proc/sysvipc/${kind}`) ?? '').trimEnd().split('\n');
  const columns = head.trim().split(/\s+/);
  const owners = ['uid', 'cuid'].map((name) => columns.indexOf(name));
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((cells) => owners.some((column) => isOwn(Number(cells[column]))))
    .map((cells) => `${kind} ${cells[0]} ${cells[1]}`);
}

function ownerOf(path: string): number {
  return ifPresent(() => lstatSync(path).uid) ?? -1;
}
