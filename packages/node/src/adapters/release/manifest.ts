import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CodedError, fromUtf8, sha256 } from '@nemea/core';

/** Where this very software lies: the root of the checkout or of the installed release. */
export const releaseRoot = fileURLToPath(new URL('../../../../../', import.meta.url));

/** Source folders that make up a node; tests are no part of a release. */
const SOURCES = ['packages', 'apps/cli/src'] as const;
const FILES_MAX = 5_000;

export type ReleaseErrorCode = 'RELEASE_MANIFEST_INVALID' | 'RELEASE_TOO_LARGE';
export class ReleaseError extends CodedError<ReleaseErrorCode> {}

export interface Release {
  /** Canonical JSON: name, version and every file with its SHA-256, sorted by path. */
  readonly manifest: Uint8Array;
  /** SHA-256 of the manifest: what is measured into PCR 14 and approved on layer 1. */
  readonly digest: Uint8Array;
  readonly name: string;
}

/** Measures the release that lies under `root`. Reads every source file; nothing is cached. */
export function measureRelease(root = releaseRoot): Release {
  const files = SOURCES.flatMap((folder) => sourceFiles(join(root, folder)));
  if (files.length > FILES_MAX) {
    throw new ReleaseError('RELEASE_TOO_LARGE', `files: got ${files.length}, want at most ${FILES_MAX}`);
  }
  const entries = [...files, join(root, 'package-lock.json')]
    .map((file) => ({ path: relative(root, file), sha256: sha256Hex(readFileSync(file)) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return parseRelease(fromUtf8(JSON.stringify({ name: 'nemea', version, files: entries })));
}

/** Reads a manifest made elsewhere, such as the one of an update. Throws `RELEASE_MANIFEST_INVALID`. */
export function parseRelease(manifest: Uint8Array): Release {
  try {
    const parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(manifest)) as {
      name?: unknown;
      version?: unknown;
      files?: unknown;
    } | null;
    if (
      parsed === null ||
      typeof parsed.name !== 'string' ||
      typeof parsed.version !== 'string' ||
      !Array.isArray(parsed.files)
    ) {
      throw new ReleaseError('RELEASE_MANIFEST_INVALID', 'manifest lacks name, version or files');
    }
    return { manifest, digest: sha256(manifest), name: `${parsed.name} ${parsed.version}`.slice(0, 100) };
  } catch (cause) {
    if (cause instanceof ReleaseError) throw cause;
    throw new ReleaseError('RELEASE_MANIFEST_INVALID', 'manifest is not JSON', { cause });
  }
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && isSource(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes('/node_modules/') && !path.includes('/test/'));
}

function isSource(name: string): boolean {
  return (
    /\.(ts|json|py)$/.test(name) && !/\.(test|slow|property\.test|model\.test|scenario\.test)\.ts$/.test(name)
  );
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
