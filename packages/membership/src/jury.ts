import { concatBytes, fromHex, hashDomain } from '@nemea/core';
import { drawAlpha, isDrawn, verifyVrf } from '@nemea/vrf';
import { weightOf } from './credit.ts';
import type { LedgerView } from './ledger-view.ts';
import { type Member, type Roster, vrfPublicKey, weightTotal } from './roster.ts';

/** Expected jury sizes. In a small network nearly everybody is drawn; in a large one the work stays constant. */
export const ATTESTORS_EXPECTED = 3;
export const JUDGES_EXPECTED = 4;
export const JUDGES_MIN = 2;
export const VERIFIERS = 3;
export const VERIFIERS_MIN = 2;

export interface DrawContext {
  readonly networkId: Uint8Array;
  readonly epochSeed: Uint8Array;
}

/**
 * Seed of an epoch that had begun by the agreed block. A replica that has read further knows seeds of later epochs,
 * too, and must answer as those that have not [MEMB-2].
 */
export function epochSeedAsOf(ledger: LedgerView, epoch: number, atBlock: number): Uint8Array | undefined {
  return epoch > ledger.epochOf(atBlock) ? undefined : ledger.epochSeed(epoch);
}

/** A key draws only from epochs after its admission: their seeds were unknown when it was chosen, so it is not ground [MEMB-9]. */
export function mayDraw(member: Member, epoch: number): boolean {
  return member.admittedEpoch < epoch;
}

/** VRF input of the draw "does this attestor challenge this target in this epoch?". */
export function attestAlpha(context: DrawContext, target: string): Uint8Array {
  return drawAlpha({ ...context, role: 'attest', target: fromHex(target) });
}

/** VRF input of the draw "does this member judge this candidate?". */
export function judgeAlpha(context: DrawContext, candidate: Uint8Array): Uint8Array {
  return drawAlpha({ ...context, role: 'judge', target: candidate });
}

/** VRF input of a task's draws. The seed mixes in the block of the task's creation, so its author could not grind it. */
export function taskAlpha(
  context: DrawContext,
  role: 'execute' | 'verify',
  taskId: Uint8Array,
  attempt: number,
): Uint8Array {
  return drawAlpha({ ...context, role, target: concatBytes(taskId, Uint8Array.of(attempt)) });
}

export function taskSeed(epochSeed: Uint8Array, creationBlockHash: Uint8Array): Uint8Array {
  return hashDomain('nemea/task-seed/1', epochSeed, creationBlockHash);
}

/** The VRF output of a proof, or undefined when the proof is not this member's for this input. */
export function provenBeta(member: Member, alpha: Uint8Array, proof: Uint8Array): Uint8Array | undefined {
  try {
    return verifyVrf(vrfPublicKey(member), alpha, proof);
  } catch {
    // verifyVrf throws only its own coded error, and every code means the same here: no draw.
    return undefined;
  }
}

/** Whether a VRF output draws a member of this roster into a jury of the expected size [MEMB-10]. */
export function drawnFrom(roster: Roster, member: Member, beta: Uint8Array, expected: number): boolean {
  return isDrawn({ beta, weight: weightOf(member.credit), weightTotal: weightTotal(roster), expected });
}

/** Verifiers that a run needs: never more than there are members beside the executor. */
export function verifiersNeeded(members: number): number {
  return Math.min(VERIFIERS_MIN, members - 1);
}

/** Smallest jury that may decide: never more than the members there are. */
export function judgesNeeded(roster: Roster): number {
  return Math.min(JUDGES_MIN, roster.size);
}
