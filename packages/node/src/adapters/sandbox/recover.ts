import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { removeGroup } from './cgroup.ts';
import { SandboxError } from './errors.ts';
import { listFolders, listIfPresent } from './files.ts';
import { DEFAULT_CGROUP_ROOT, type Host, inspectHost, RUNC_MINIMUMS } from './host.ts';
import { mountsBelow, unmount } from './mounts.ts';
import { DEFAULT_ROOT, isAbandoned, type Place, placeOf, releasePlace } from './place.ts';
import { wipeRun } from './wipe.ts';

/** Removes runs, mounts and groups that a dead process of the same node left. Returns the runs it found. */
export async function recover(host: Host, place: Place): Promise<string[]> {
  const runs = [...new Set([...listIfPresent(place.runsFolder), ...listIfPresent(place.runcRoot)])].sort();
  const left: string[] = [];
  for (const runId of runs) left.push(...(await wipeRun(host, place, runId)));
  for (const { target } of mountsBelow(place.folder).reverse()) {
    if (!(await unmount(target))) left.push(`the mount ${target}`);
  }
  if (!(await removeGroup(host.cgroups, place.group))) left.push('its cgroup');
  if (left.length > 0) {
    const message = `an earlier life of ${place.nodeId} left something that cannot be removed: ${left.join('; ')}`;
    throw new SandboxError('SANDBOX_WIPE_FAILED', message, { data: { left } });
  }
  for (const name of listIfPresent(place.imagesFolder)) {
    rmSync(join(place.imagesFolder, name), { recursive: true, force: true });
  }
  return runs;
}

/**
 * Removes everything of nodes whose process is gone and may never come back. Returns their ids. Only for a caller that
 * sees all processes of the machine: those of another process namespace look gone.
 */
export async function removeAbandoned(root = DEFAULT_ROOT): Promise<string[]> {
  const abandoned = listFolders(root)
    .map((nodeId) => placeOf(root, nodeId))
    .filter(isAbandoned);
  if (abandoned.length === 0) return [];
  const host = await inspectHost({
    policy: 'development',
    runcPath: undefined,
    runcMinimums: RUNC_MINIMUMS,
    cgroupRoot: DEFAULT_CGROUP_ROOT,
  });
  for (const place of abandoned) {
    await recover(host, place);
    releasePlace(place);
  }
  return abandoned.map(({ nodeId }) => nodeId);
}
