import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCleanupCertificate } from '@nemea/capsule';
import { bytesEqual, CodedError, sha256, toHex } from '@nemea/core';

/** Capsules and certificates kept for one task until layer 1 tells which of them count. */
const PER_TASK_MAX = 8;

export type ResultErrorCode = 'RESULT_AMBIGUOUS' | 'RESULT_MISSING' | 'RESULT_TOO_MANY' | 'TASK_ID_INVALID';
export class ResultError extends CodedError<ResultErrorCode> {}

type Kind = 'capsule' | 'certificate';

/**
 * Where result capsules wait. Anybody may send one, so nothing is ever overwritten: each file is named by its digest,
 * and the certificate that layer 1 settled names the one capsule that is the result. Sealed bytes only.
 */
export class ResultBox {
  readonly #dir: string;

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#dir = dir;
  }

  /** Keeps one more candidate. Throws `RESULT_TOO_MANY` when a task has its share. */
  put(taskId: string, kind: Kind, bytes: Uint8Array): void {
    const file = this.#file(taskId, kind, toHex(sha256(bytes)));
    if (existsSync(file)) return;
    if (this.#digests(taskId, kind).length >= PER_TASK_MAX) {
      throw new ResultError('RESULT_TOO_MANY', `task ${taskId}: more than ${PER_TASK_MAX} of kind ${kind}`);
    }
    writeFileSync(`${file}.new`, bytes, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** Tasks of which a capsule has arrived. */
  tasks(): string[] {
    const names = readdirSync(this.#dir).filter((name) => name.endsWith('.capsule'));
    return [...new Set(names.map((name) => name.slice(0, 64)))].sort();
  }

  /**
   * The capsule that the settled certificate names for this receiver; undefined while either has not arrived. All
   * other candidates are of no use from then on, and are removed.
   */
  settled(taskId: string, certificateDigest: string, receiver: Uint8Array): string | undefined {
    const certificateFile = this.#file(taskId, 'certificate', certificateDigest);
    if (!existsSync(certificateFile)) return undefined;
    const certificate = parseCleanupCertificate(new Uint8Array(readFileSync(certificateFile)));
    const digests = certificate.results
      .filter((result) => bytesEqual(result.receiver, receiver))
      .map((result) => toHex(result.digest));
    const digest = digests.find((candidate) => existsSync(this.#file(taskId, 'capsule', candidate)));
    if (digest === undefined) return undefined;
    for (const other of this.#digests(taskId, 'capsule')) {
      if (other !== digest) rmSync(this.#file(taskId, 'capsule', other));
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
    const file = this.#file(taskId, 'capsule', digests[0] ?? '');
    if (digests[0] === undefined || !existsSync(file)) {
      throw new ResultError('RESULT_MISSING', `no result of task ${taskId} has arrived`);
    }
    return new Uint8Array(readFileSync(file));
  }

  #digests(taskId: string, kind: Kind): string[] {
    return readdirSync(this.#dir)
      .filter((name) => name.startsWith(`${taskId}.`) && name.endsWith(`.${kind}`))
      .map((name) => name.slice(65, 129));
  }

  #file(taskId: string, kind: Kind, digest: string): string {
    if (!/^[0-9a-f]{64}$/.test(taskId)) {
      throw new ResultError('TASK_ID_INVALID', 'task id: want 64 hex digits');
    }
    return join(this.#dir, `${taskId}.${digest}.${kind}`);
  }
}
