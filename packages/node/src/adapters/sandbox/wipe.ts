import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { removeGroup } from './cgroup.ts';
import { runCommand } from './command.ts';
import { systemCode } from './files.ts';
import type { Host } from './host.ts';
import { mountsBelow, unmount } from './mounts.ts';
import { overwriteFiles } from './overwrite.ts';
import type { Place } from './place.ts';

/** Removes all of a run by its names alone, so that it also works after a crash. Returns what could not be removed. */
export async function wipeRun(host: Host, place: Place, runId: string): Promise<string[]> {
  const left: string[] = [];
  const group = `${place.group}/${runId}`;
  if (existsSync(join(place.runcRoot, runId))) {
    await runCommand(host.runcPath, ['--root', place.runcRoot, 'delete', '--force', runId]);
    if (existsSync(join(place.runcRoot, runId))) left.push('the container');
  }
  if (!(await removeGroup(host.cgroups, group))) left.push('its cgroup');
  const folder = join(place.runsFolder, runId);
  for (const { target } of mountsBelow(folder).reverse()) {
    const failure = tryOverwrite(target);
    if (failure !== undefined) left.push(failure);
    if (!(await unmount(target))) left.push(`the RAM disk ${target}`);
  }
  if (left.length === 0) rmSync(folder, { recursive: true, force: true });
  return left;
}

/** An unmounted RAM disk is better than one that could not be overwritten, so a failure is told and not thrown. */
function tryOverwrite(target: string): string | undefined {
  try {
    overwriteFiles(target);
    return undefined;
  } catch (error) {
    return `data in ${target} that was freed without being overwritten (${systemCode(error) ?? String(error)})`;
  }
}
