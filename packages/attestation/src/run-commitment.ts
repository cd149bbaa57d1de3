import { bytesEqual, hashDomain } from '@nemea/core';
import type { MeasuredEvent } from './evidence.ts';

/**
 * What opens a `run` event. Only the verifiers and key agents of that task get it: to everybody else the log shows
 * that the node ran something, not what or for whom.
 */
export interface RunOpening {
  readonly taskId: Uint8Array;
  readonly codeDigest: Uint8Array;
  readonly imageDigest: Uint8Array;
  /** 32 random bytes, so that a known task cannot be recognised by trying. */
  readonly salt: Uint8Array;
}

/** The digest of the `run` event that commits to a task run. */
export function runCommitment(opening: RunOpening): Uint8Array {
  return hashDomain('nemea/run/1', opening.taskId, opening.codeDigest, opening.imageDigest, opening.salt);
}

/** The index in the log of the run that this opening opens, the latest when there are several; null when none does. */
export function findRun(log: readonly MeasuredEvent[], opening: RunOpening): number | null {
  const digest = runCommitment(opening);
  const index = log.findLastIndex((event) => event.kind === 'run' && bytesEqual(event.digest, digest));
  return index === -1 ? null : index;
}
