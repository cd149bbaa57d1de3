import { mkdirSync, rmSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { bytesEqual, toHex } from '@nemea/core';
import type { MachineSnapshot, Sandbox, SandboxRun, SandboxSession } from '../../ports/sandbox.ts';
import { removeGroup } from './cgroup.ts';
import { SandboxError } from './errors.ts';
import { digestFile } from './files.ts';
import {
  DEFAULT_CGROUP_ROOT,
  type Host,
  type HostPolicy,
  type HostWarning,
  inspectHost,
  RUNC_MINIMUMS,
} from './host.ts';
import { checkRun } from './limits.ts';
import { mountImage, supportsNoSwap, unmount } from './mounts.ts';
import {
  claimIds,
  claimPlace,
  DEFAULT_ROOT,
  disownPlace,
  type Place,
  placeOf,
  releasePlace,
} from './place.ts';
import { recover } from './recover.ts';
import { RuncSession } from './session.ts';
import { takeSnapshot } from './snapshot.ts';

const IMAGES_MAX = 16;

export interface RuncSandboxOptions {
  /** Names this node's part of the machine: lower-case letters, digits and dashes, at most 32. */
  readonly nodeId: string;
  /** `production` refuses what `development` only warns about. */
  readonly policy?: HostPolicy;
  /** Root of all nodes' folders on this machine. */
  readonly root?: string;
  readonly runcPath?: string;
  readonly runcMinimums?: readonly string[];
  readonly cgroupRoot?: string;
}

/** Tests the machine, removes what an earlier life of this node left, and returns the sandbox. */
export async function openRuncSandbox(options: RuncSandboxOptions): Promise<RuncSandbox> {
  const root = options.root ?? DEFAULT_ROOT;
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(options.nodeId) || !isAbsolute(root)) {
    const message = 'nodeId must be 1 to 32 lower-case letters, digits and dashes, and root an absolute path';
    throw new SandboxError('SANDBOX_OPTIONS_INVALID', message, { data: { nodeId: options.nodeId, root } });
  }
  const host = await inspectHost({
    policy: options.policy ?? 'development',
    runcPath: options.runcPath,
    runcMinimums: options.runcMinimums ?? RUNC_MINIMUMS,
    cgroupRoot: options.cgroupRoot ?? DEFAULT_CGROUP_ROOT,
  });
  const place = placeOf(root, options.nodeId);
  claimPlace(place);
  try {
    const recovered = await recover(host, place);
    const noSwap = await supportsNoSwap(place.runsFolder);
    return new RuncSandbox({ host, place, idBase: claimIds(place), noSwap, recovered });
  } catch (error) {
    disownPlace(place);
    throw error;
  }
}

interface SandboxParts {
  readonly host: Host;
  readonly place: Place;
  readonly idBase: number;
  readonly noSwap: boolean;
  readonly recovered: readonly string[];
}

export class RuncSandbox implements Sandbox {
  /** What a verifier should know about this machine. */
  readonly warnings: readonly HostWarning[];
  /** Runs of an earlier life of this node that were removed at the start. */
  readonly recovered: readonly string[];
  readonly #parts: SandboxParts;
  readonly #images = new Map<string, { digest: Uint8Array; file: string; folder: string }>();
  #session: RuncSession | undefined;
  #isClosed = false;

  constructor(parts: SandboxParts) {
    this.#parts = parts;
    this.warnings = parts.host.warnings;
    this.recovered = parts.recovered;
  }

  async loadImage(file: string, expectedDigest: Uint8Array): Promise<{ digest: Uint8Array }> {
    this.#requireIdle();
    const path = resolve(file);
    const before = statSync(path, { bigint: true });
    const digest = await digestFile(path);
    if (!bytesEqual(digest, expectedDigest)) {
      const message = `image digest mismatch: got ${toHex(digest)}, want ${toHex(expectedDigest)}`;
      throw new SandboxError('SANDBOX_IMAGE_MISMATCH', message, { data: { file: path } });
    }
    const key = toHex(digest);
    if (this.#images.has(key)) return { digest };
    if (this.#images.size >= IMAGES_MAX) {
      throw new SandboxError('SANDBOX_BUSY', `too many images: ${IMAGES_MAX} are loaded`);
    }
    const folder = join(this.#parts.place.imagesFolder, key);
    mkdirSync(folder, { recursive: true });
    try {
      await mountImage(path, folder);
    } catch (error) {
      rmSync(folder, { recursive: true });
      throw error;
    }
    this.#images.set(key, { digest, file: path, folder });
    const after = statSync(path, { bigint: true });
    if (after.ino !== before.ino || after.ctimeNs !== before.ctimeNs || after.dev !== before.dev) {
      await this.#unloadImage(key);
      throw new SandboxError('SANDBOX_IMAGE_MISMATCH', 'the image file changed while it was loaded', {
        data: { file: path },
      });
    }
    return { digest };
  }

  async snapshot(): Promise<MachineSnapshot> {
    this.#requireIdle();
    const { host, place, idBase } = this.#parts;
    return takeSnapshot({ host, place, idBase, images: [...this.#images.values()] });
  }

  async open(run: SandboxRun): Promise<SandboxSession> {
    this.#requireIdle();
    checkRun(run);
    const image = this.#images.get(toHex(run.imageDigest));
    if (image === undefined) {
      throw new SandboxError(
        'SANDBOX_IMAGE_UNKNOWN',
        `no image with digest ${toHex(run.imageDigest)} is loaded`,
      );
    }
    const { host, place, idBase, noSwap } = this.#parts;
    const onWiped = (): void => {
      this.#session = undefined;
    };
    const session = new RuncSession(run, { host, place, idBase, noSwap, rootfs: image.folder, onWiped });
    this.#session = session;
    try {
      await session.prepare();
    } catch (error) {
      await session.wipe();
      throw error;
    }
    return session;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    await this.#session?.wipe();
    for (const key of [...this.#images.keys()]) await this.#unloadImage(key);
    await removeGroup(this.#parts.host.cgroups, this.#parts.place.group);
    releasePlace(this.#parts.place);
    this.#isClosed = true;
  }

  async #unloadImage(key: string): Promise<void> {
    const image = this.#images.get(key);
    if (image === undefined) return;
    if (!(await unmount(image.folder))) {
      throw new SandboxError('SANDBOX_BUSY', `the image ${key} is still in use`);
    }
    this.#images.delete(key);
    rmSync(image.folder, { recursive: true, force: true });
  }

  #requireIdle(): void {
    if (this.#isClosed) throw new SandboxError('SANDBOX_CLOSED', 'the sandbox is closed');
    if (this.#session !== undefined)
      throw new SandboxError('SANDBOX_BUSY', 'a session is open: wipe it first');
  }
}
