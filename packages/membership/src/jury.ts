import { concatBytes, fromHex, hashDomain } from '@nemea/core';
import {
  drawAlpha,
  drawBound,
  indexesInArc,
  isDrawn,
  type Odds,
  parseOutput,
  type Ring,
  ringDistance,
  verifyVrf,
} from '@nemea/vrf';
import { CREDIT_DRAW_MIN } from './credit.ts';
import type { LedgerView } from './ledger-view.ts';
import { juryWeightOf, juryWeightTotal, type Member, type Roster, vrfPublicKey } from './roster.ts';
import { isSuspended } from './standing.ts';
import type { Candidacy, Judgement } from './state.ts';

/** Expected jury sizes. In a small network nearly everybody is drawn; in a large one the work stays constant. */
export const ATTESTORS_EXPECTED = 3;
export const JUDGES_EXPECTED = 4;
export const JUDGES_MIN = 2;
export const VERIFIERS = 3;
export const VERIFIERS_MIN = 2;

const RING_BITS = 256;

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

/** A key is drawn for, and draws, only from epochs after its admission: their seeds were unknown when it was chosen, so it is not ground [MEMB-9]. */
export function mayBeAsked(member: Member, epoch: number): boolean {
  return member.admittedEpoch < epoch;
}

/** Whether a member draws itself as an attestor: who lost all credit does not [MEMB-9]. */
export function mayDraw(member: Member, epoch: number): boolean {
  return mayBeAsked(member, epoch) && member.credit >= CREDIT_DRAW_MIN;
}

/** Whether a member may judge candidates, run and verify tasks: those that attestors do not confirm are suspended [MEMB-38]. */
export function mayServe(member: Member, epoch: number): boolean {
  return mayDraw(member, epoch) && !isSuspended(member.confidence);
}

/** VRF input of a member's one draw as attestor in an epoch; the ring tells for which targets [MEMB-10]. */
export function attestAlpha(context: DrawContext): Uint8Array {
  return drawAlpha({ ...context, role: 'attest', target: new Uint8Array(0) });
}

/** Where a target stands on the ring of an epoch: known to all once the seed is, and to nobody before. */
function ringPlace({ networkId, epochSeed }: DrawContext, target: string): bigint {
  return parseOutput(hashDomain('nemea/ring/1', networkId, epochSeed, fromHex(target)));
}

/** The output that draws an attestor for one target: how far the target stands from the attestor's beta. */
export function attestOutput(context: DrawContext, beta: Uint8Array, target: string): Uint8Array {
  const distance = ringDistance(parseOutput(beta), ringPlace(context, target), RING_BITS);
  return fromHex(distance.toString(16).padStart(RING_BITS / 4, '0'));
}

/** The ring of an epoch, and whose place each one is. */
export interface TargetRing extends Ring {
  readonly targets: readonly string[];
}

/** Places everybody who may be asked. Which order the roster has makes no difference [DRAW-4]. */
export function targetRing(context: DrawContext, roster: Roster, epoch: number): TargetRing {
  const placed = [...roster.values()]
    .filter((member) => mayBeAsked(member, epoch))
    .map(({ account }) => ({ account, place: ringPlace(context, account) }))
    .sort((a, b) => (a.place < b.place ? -1 : 1));
  return {
    bits: RING_BITS,
    positions: placed.map(({ place }) => place),
    targets: placed.map(({ account }) => account),
  };
}

/** Targets that an output draws an attestor for, itself left out [MEMB-10]. */
export function targetsDrawn(
  ring: TargetRing,
  attestor: { readonly account: string; readonly beta: Uint8Array },
  odds: Odds,
): string[] {
  return indexesInArc(ring, parseOutput(attestor.beta), drawBound(odds))
    .map((index) => ring.targets[index] as string)
    .filter((target) => target !== attestor.account);
}

/** A member's share in the draws of attestors. */
export function attestOdds(roster: Roster, member: Member, expected = ATTESTORS_EXPECTED): Odds {
  return oddsOf(roster, member, expected);
}

/** A member's share in draws of any kind, at weights under the cap on owners [MEMB-39]. */
function oddsOf(roster: Roster, member: Member, expected: number): Odds {
  return { weight: juryWeightOf(roster, member.account), weightTotal: juryWeightTotal(roster), expected };
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
  return isDrawn({ beta, ...oddsOf(roster, member, expected) });
}

/** Verifiers that a run needs: never more than there are members beside the executor. */
export function verifiersNeeded(members: number): number {
  return Math.min(VERIFIERS_MIN, members - 1);
}

/** Smallest jury that may decide: never more than the members there are. */
export function judgesNeeded(roster: Roster): number {
  return Math.min(JUDGES_MIN, roster.size);
}

/** What a jury has said so far: how many have judged, and the weight that is seated, affirms and refuses. */
export interface Jury {
  readonly judges: number;
  readonly total: number;
  readonly affirming: number;
  readonly refusing: number;
}

/** The seated judges by weight: one that was evicted, or that the cap on its owner has left nothing, has no say [MEMB-13]. */
export function juryOf(
  roster: Roster,
  {
    seated,
    judgements,
  }: Pick<Candidacy, 'seated'> & { judgements: ReadonlyMap<string, Pick<Judgement, 'verdict'>> },
): Jury {
  const jury = { judges: 0, total: 0, affirming: 0, refusing: 0 };
  for (const account of seated) {
    const weight = juryWeightOf(roster, account);
    if (weight === 0) continue;
    const verdict = judgements.get(account)?.verdict;
    jury.total += weight;
    if (verdict === undefined) continue;
    jury.judges++;
    if (verdict === 'contraindicated') jury.refusing += weight;
    else jury.affirming += weight;
  }
  return jury;
}

/** More than two thirds of the weight that is seated must affirm, silence included in the count; a third refuses [MEMB-13]. */
export function juryDecision(roster: Roster, jury: Jury): 'affirmed' | 'refused' | 'incomplete' {
  if (jury.judges < judgesNeeded(roster)) return 'incomplete';
  if (jury.affirming * 3 > jury.total * 2) return 'affirmed';
  return jury.refusing * 3 < jury.total ? 'incomplete' : 'refused';
}
