/**
 * The names one node's sandbox uses on the machine, so that several nodes share it without touching each other:
 * a folder, a cgroup and a range of user ids.
 */
import { chmodSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ID_RANGE } from './bundle.ts';
import { SandboxError } from './errors.ts';
import { ifPresent, listIfPresent, readIfPresent, systemCode } from './files.ts';

export const DEFAULT_ROOT = '/run/nemea';
const SLOTS_MAX = 4096;
const ID_BASE = 200_000;

export interface Place {
  readonly nodeId: string;
  /** Everything of this node is below it. */
  readonly folder: string;
  readonly runcRoot: string;
  readonly imagesFolder: string;
  readonly runsFolder: string;
  /** Cgroup path of the node, relative to each tree. */
  readonly group: string;
  readonly slotsFolder: string;
}

export function placeOf(root: string, nodeId: string): Place {
  const folder = join(root, nodeId);
  return {
    nodeId,
    folder,
    runcRoot: join(folder, 'runc'),
    imagesFolder: join(folder, 'images'),
    runsFolder: join(folder, 'runs'),
    group: `nemea/${nodeId}`,
    slotsFolder: join(root, '.slots'),
  };
}

/** Makes the folders and marks them as this process's own; refuses when a living process has them. */
export function claimPlace(place: Place): void {
  mkdirSync(place.slotsFolder, { recursive: true });
  mkdirSync(place.folder, { recursive: true });
  const owner = ownerLink(place);
  const self = `${process.pid}-${startTime(process.pid)}`;
  if (!trySymlink(self, owner)) {
    const holder = ifPresent(() => readlinkSync(owner)) ?? '';
    if (isAlive(holder)) {
      const message = `another process runs the sandbox of ${place.nodeId}: process ${holder.split('-')[0]}`;
      throw new SandboxError('SANDBOX_PREFIX_TAKEN', message, { data: { nodeId: place.nodeId } });
    }
    rmSync(owner, { force: true });
    if (!trySymlink(self, owner)) {
      throw new SandboxError(
        'SANDBOX_PREFIX_TAKEN',
        `another process just took the sandbox of ${place.nodeId}`,
      );
    }
  }
  for (const folder of [place.runcRoot, place.imagesFolder, place.runsFolder])
    mkdirSync(folder, { recursive: true });
  // The container's root user is nobody here: it must be able to pass, not to list.
  for (const folder of [place.folder, place.imagesFolder, place.runsFolder]) chmodSync(folder, 0o711);
  chmodSync(place.runcRoot, 0o700);
}

/** Claims a free range of 65,536 user ids for this node and returns its first. A claim of an earlier life is used again. */
export function claimIds(place: Place): number {
  const known = listIfPresent(place.slotsFolder).find((slot) => slotOwner(place, slot) === place.nodeId);
  if (known !== undefined) return ID_BASE + Number(known) * ID_RANGE;
  for (let slot = 0; slot < SLOTS_MAX; slot += 1) {
    if (trySymlink(place.nodeId, join(place.slotsFolder, String(slot)))) return ID_BASE + slot * ID_RANGE;
  }
  throw new SandboxError('SANDBOX_SLOTS_EXHAUSTED', `all ${SLOTS_MAX} id ranges of this machine are taken`);
}

/** True when the place has an owner and that process is gone. */
export function isAbandoned(place: Place): boolean {
  const holder = ifPresent(() => readlinkSync(ownerLink(place)));
  return holder !== undefined && !isAlive(holder);
}

/** Lets another process claim the place, with whatever is still in it. */
export function disownPlace(place: Place): void {
  rmSync(ownerLink(place), { force: true });
}

export function releasePlace(place: Place): void {
  for (const slot of listIfPresent(place.slotsFolder)) {
    if (slotOwner(place, slot) === place.nodeId) rmSync(join(place.slotsFolder, slot), { force: true });
  }
  rmSync(place.folder, { recursive: true, force: true });
}

function ownerLink(place: Place): string {
  return join(place.folder, 'owner');
}

function slotOwner(place: Place, slot: string): string | undefined {
  return ifPresent(() => readlinkSync(join(place.slotsFolder, slot)));
}

/** A link is made with its content in one step, so no claim is ever half written. */
function trySymlink(content: string, path: string): boolean {
  try {
    symlinkSync(content, path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(holder: string): boolean {
  const [pid = '', start = ''] = holder.split('-');
  return start !== '' && startTime(Number(pid)) === start;
}

/** Tells a process from a later one with the same number. proc(5), /proc/pid/stat, field 22. */
function startTime(pid: number): string | undefined {
  const stat = readIfPresent(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
