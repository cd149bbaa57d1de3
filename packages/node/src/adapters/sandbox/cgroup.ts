/**
 * What the sandbox reads from and removes in the cgroup file system. The runtime creates a run's group and sets its
 * limits; version 1 has a tree for each controller, version 2 one tree for all.
 */
import { existsSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, ifPresent, listFolders, readIfPresent, systemCode } from './files.ts';

export interface Cgroups {
  readonly version: 1 | 2;
  readonly root: string;
  /** The trees a group has a folder in. */
  readonly trees: readonly string[];
}

export interface CgroupUsage {
  readonly cpuMs: number;
  readonly memoryPeakBytes: number;
  readonly oomKills: number;
}

const CONTROLLERS = ['cpu', 'memory', 'pids'];
const REMOVE_TRIES = 100;
const REMOVE_PAUSE_MS = 20;

export function findCgroups(root: string): Cgroups {
  if (existsSync(join(root, 'cgroup.controllers'))) return { version: 2, root, trees: [root] };
  return { version: 1, root, trees: listFolders(root).map((name) => join(root, name)) };
}

/** The controllers the limits need and the machine does not offer. */
export function missingControllers(cgroups: Cgroups): string[] {
  if (cgroups.version === 1)
    return CONTROLLERS.filter((name) => !existsSync(join(cgroups.root, name, 'cgroup.procs')));
  const offered = (readIfPresent(join(cgroups.root, 'cgroup.controllers')) ?? '').trim().split(/\s+/);
  return CONTROLLERS.filter((name) => !offered.includes(name));
}

/** Whether the memory limit can include swap. */
export function countsSwap(cgroups: Cgroups): boolean {
  return cgroups.version === 2 || existsSync(join(cgroups.root, 'memory', 'memory.memsw.limit_in_bytes'));
}

/** Counters of a group that still exists; zeros for what was never made. */
export function readUsage(cgroups: Cgroups, group: string): CgroupUsage {
  const { root } = cgroups;
  if (cgroups.version === 2) {
    const folder = join(root, group);
    return {
      cpuMs: Math.round(field(readIfPresent(join(folder, 'cpu.stat')), 'usage_usec') / 1000),
      memoryPeakBytes: count(readIfPresent(join(folder, 'memory.peak'))),
      oomKills: field(readIfPresent(join(folder, 'memory.events')), 'oom_kill'),
    };
  }
  const memory = join(root, 'memory', group);
  return {
    cpuMs: Math.round(count(readIfPresent(join(root, 'cpuacct', group, 'cpuacct.usage'))) / 1_000_000),
    memoryPeakBytes: count(readIfPresent(join(memory, 'memory.max_usage_in_bytes'))),
    oomKills: field(readIfPresent(join(memory, 'memory.oom_control')), 'oom_kill'),
  };
}

export function groupProcesses(cgroups: Cgroups, group: string): number[] {
  const tree = cgroups.version === 2 ? cgroups.root : join(cgroups.root, 'pids');
  const pids = new Set<number>();
  for (const folder of [group, ...groupsBelow(tree, group).map((name) => join(group, name))]) {
    for (const line of (readIfPresent(join(tree, folder, 'cgroup.procs')) ?? '').split('\n')) {
      if (line !== '') pids.add(Number(line));
    }
  }
  return [...pids];
}

/** Kills every process of a group; for what the runtime could not end. */
export function killGroup(cgroups: Cgroups, group: string): void {
  const switchFile = join(cgroups.root, group, 'cgroup.kill');
  if (cgroups.version === 2 && existsSync(switchFile)) {
    ifPresent(() => writeFileSync(switchFile, '1'));
    return;
  }
  for (const pid of groupProcesses(cgroups, group)) ifPresent(() => process.kill(pid, 'SIGKILL'));
}

/** Kills what is left in a group and removes it from every tree. False when something stays. */
export async function removeGroup(cgroups: Cgroups, group: string): Promise<boolean> {
  return eventually(
    () => {
      killGroup(cgroups, group);
      return cgroups.trees.map((tree) => removeFolders(tree, group)).every((removed) => removed);
    },
    REMOVE_TRIES,
    REMOVE_PAUSE_MS,
  );
}

/** Every group below the given one, in all trees, as `tree:path`. */
export function listGroups(cgroups: Cgroups, group: string): string[] {
  return cgroups.trees.flatMap((tree) =>
    groupsBelow(tree, group).map((name) => `${tree.slice(cgroups.root.length)}:${name}`),
  );
}

function removeFolders(tree: string, group: string): boolean {
  const folders = groupsBelow(tree, group)
    .map((name) => join(tree, group, name))
    .reverse();
  for (const folder of [...folders, join(tree, group)]) {
    try {
      rmdirSync(folder);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') continue;
      if (systemCode(error) === 'EBUSY' || systemCode(error) === 'ENOTEMPTY') return false;
      throw error;
    }
  }
  return true;
}

/** Parents before children. */
function groupsBelow(tree: string, group: string): string[] {
  return listFolders(join(tree, group)).flatMap((name) => [
    name,
    ...groupsBelow(tree, join(group, name)).map((below) => join(name, below)),
  ]);
}

function count(text: string | undefined): number {
  const value = Number((text ?? '0').trim());
  return Number.isSafeInteger(value) ? value : 0;
}

function field(text: string | undefined, name: string): number {
  const line = (text ?? '').split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return count(line?.slice(name.length + 1));
}
