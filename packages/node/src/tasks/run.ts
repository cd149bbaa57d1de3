import type { RunOpening } from '@nemea/attestation';
import type { ReceiverKey, TaskSpec } from '@nemea/capsule';
import { CodedError } from '@nemea/core';
import type { Election, FailureReason, TaskOnLedger } from '@nemea/membership';
import type { CapsuleStore } from '../ports/block-store.ts';

/** Why a run ended early, as the network and the task's author may know it. */
export class RunError extends CodedError<FailureReason> {}

/** One run of a task on this machine. */
export interface Run {
  readonly task: TaskOnLedger;
  readonly spec: TaskSpec;
  readonly attempt: number;
  readonly election: Election;
  readonly opening: RunOpening;
  readonly store: CapsuleStore;
  readonly runKey: ReceiverKey;
  readonly startedAtMs: number;
}

/** Overwrites plain data, and forgets it. */
export function wipe(buffers: Uint8Array[]): void {
  for (const buffer of buffers.splice(0)) buffer.fill(0);
}
