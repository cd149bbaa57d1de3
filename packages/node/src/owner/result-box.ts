import { parseCleanupCertificate } from '@nemea/capsule';
import { bytesEqual, CodedError, sha256, toHex } from '@nemea/core';
import type { Folder } from '../ports/folder.ts';

/** Capsules and certificates kept for one task until layer 1 tells which of them count. */
const PER_TASK_MAX = 8;
/** As many again for those that come from a run: what strangers bring must not take its place. */
const PER_TASK_WITH_RUNS_MAX = 2 * PER_TASK_MAX;

export type ResultErrorCode = 'RESULT_AMBIGUOUS' | 'RESULT_MISSING' | 'RESULT_TOO_MANY' | 'TASK_ID_INVALID';
export class ResultError extends CodedError<ResultErrorCode> {}

type Kind = 'capsule' | 'certificate';

/**
 * Where result capsules wait. Anybody may send one, so nothing is ever overwritten: each file is named by its digest,
 * and the certificate that layer 1 settled names the one capsule that is the result. Sealed bytes only.
 */
export class ResultBox {
  readonly #folder: Folder;

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  /** Keeps one more candidate. Throws `RESULT_TOO_MANY` when a task has its share. */
  put(taskId: string, kind: Kind, bytes: Uint8Array, { isOfRun = false } = {}): void {
    const digest = toHex(sha256(bytes));
    const name = nameOf(taskId, kind, digest);
    const digests = this.#digests(taskId, kind);
    if (digests.includes(digest)) return;
    const max = isOfRun ? PER_TASK_WITH_RUNS_MAX : PER_TASK_MAX;
    if (digests.length >= max)
      throw new ResultError('RESULT_TOO_MANY', `task ${taskId}: more than ${max} of kind ${kind}`);
    this.#folder.write(name, bytes);
  }

  /** Tasks of which a capsule has arrived. */
  tasks(): string[] {
    const names = this.#folder.names().filter((name) => name.endsWith('.capsule'));
    return [...new Set(names.map((name) => name.slice(0, 64)))].sort();
  }

  /**
   * The capsule that the settled certificate names for this receiver; undefined while either has not arrived. All
   * other candidates are of no use from then on, and are removed.
   */
  settled(taskId: string, certificateDigest: string, receiver: Uint8Array): string | undefined {
    const shown = this.#folder.read(nameOf(taskId, 'certificate', certificateDigest));
    if (shown === undefined) return undefined;
    const named = parseCleanupCertificate(shown)
      .results.filter((result) => bytesEqual(result.receiver, receiver))
      .map((result) => toHex(result.digest));
    const arrived = this.#digests(taskId, 'capsule');
    const digest = named.find((candidate) => arrived.includes(candidate));
    if (digest === undefined) return undefined;
    for (const other of arrived) {
      if (other !== digest) this.#folder.remove(nameOf(taskId, 'capsule', other));
    }
    return digest;
  }

  /** A capsule's bytes. Without a digest the only one there is: among several, nobody can tell before settlement. */
  read(taskId: string, digest?: string): Uint8Array {
    const digests = digest === undefined ? this.#digests(taskId, 'capsule') : [digest];
    if (digests.length > 1) {
      throw new ResultError(
        'RESULT_AMBIGUOUS',
        `task ${taskId}: ${digests.length} capsules claim to be its result, layer 1 has not settled which is`,
      );
    }
    const capsule = this.#folder.read(nameOf(taskId, 'capsule', digests[0] ?? ''));
    if (capsule === undefined)
      throw new ResultError('RESULT_MISSING', `no result of task ${taskId} has arrived`);
    return capsule;
  }

  #digests(taskId: string, kind: Kind): string[] {
    return this.#folder
      .names()
      .filter((name) => name.startsWith(`${taskId}.`) && name.endsWith(`.${kind}`))
      .map((name) => name.slice(65, 129));
  }
}

function nameOf(taskId: string, kind: Kind, digest: string): string {
  if (!/^[0-9a-f]{64}$/.test(taskId)) {
    throw new ResultError('TASK_ID_INVALID', 'task id: want 64 hex digits');
  }
  return `${taskId}.${digest}.${kind}`;
}
