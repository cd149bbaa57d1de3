import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';

const DIGEST_BUFFER_BYTES = 256 * 1024;

/** Codes that say a file, a process or a cgroup went away between listing and reading it. */
const GONE = new Set(['ENOENT', 'ESRCH', 'ENODEV', 'ENOTDIR']);

export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** The result of a read, or undefined when what it reads is gone or was never there. */
export function ifPresent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (GONE.has(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

export function readIfPresent(file: string): string | undefined {
  return ifPresent(() => readFileSync(file, 'utf8'));
}

/** Sorted names; none when the folder is missing. */
export function listIfPresent(folder: string): string[] {
  return ifPresent(() => readdirSync(folder).sort()) ?? [];
}

/** Sorted names of real sub-folders, links not followed; none when the folder is missing. */
export function listFolders(folder: string): string[] {
  return listIfPresent(folder).filter(
    (name) => ifPresent(() => lstatSync(`${folder}/${name}`).isDirectory()) === true,
  );
}

/** SHA-256 of a file that may be large, through one buffer: a new one for each read would pile up as garbage. */
export async function digestFile(file: string): Promise<Uint8Array> {
  const hash = createHash('sha256');
  const buffer = new Uint8Array(DIGEST_BUFFER_BYTES);
  const handle = await open(file);
  try {
    for (;;) {
      const { bytesRead } = await handle.read(buffer);
      if (bytesRead === 0) return new Uint8Array(hash.digest());
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

/** Waits until the check holds, at most `tries` times `pauseMs`. */
export async function eventually(check: () => boolean, tries: number, pauseMs: number): Promise<boolean> {
  for (let attempt = 0; attempt < tries; attempt += 1) {
    if (check()) return true;
    await pause(pauseMs);
  }
  return check();
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
