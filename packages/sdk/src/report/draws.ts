import {
  CREDIT_TASK_EXECUTED,
  creditAfter,
  creditAfterAbsence,
  creditAfterAttesting,
  creditAfterPass,
  drawnFrom,
  juryWeightTotal,
  type Member,
  mayBeAsked,
  OWNER_SHARES,
  provenBeta,
  type Roster,
  weightOf,
} from '@nemea/membership';
import { isDrawn } from '@nemea/vrf';
import type { Lies } from './finding.ts';
import { nameOf } from './inquiry.ts';
import type { Report } from './report.ts';
import type { RosterReplay, RosterSpan } from './roster-replay.ts';

/** Epochs that a member may lag behind the order when it judges a draw. */
export const LAG_EPOCHS_MAX = 3;
/** More attestations in an epoch earn nothing more. */
const ATTESTATIONS_PAID_MAX = 5;

/** When a draw was made, and by which epoch its judgement was on layer 1: no later one was closed by then. */
export interface DrawTime {
  readonly epoch: number;
  readonly judgedEpoch: number;
}

/** The rosters by which members may have judged a draw. */
export function spansAround(rosters: RosterReplay, { epoch, judgedEpoch }: DrawTime): readonly RosterSpan[] {
  // Beyond the last epoch that is known, its rosters are the nearest there are.
  const lagging = Math.min(epoch - LAG_EPOCHS_MAX, rosters.exactEpoch);
  // The roster that still stood then may be an old one: of genesis, when the first epoch that closed came late.
  const from = rosters.spans.findLast(({ closedEpoch }) => closedEpoch <= lagging)?.closedEpoch ?? 0;
  return rosters.spans.filter(({ closedEpoch }) => closedEpoch >= from && closedEpoch < judgedEpoch);
}

/** Epochs whose credit may have counted in a draw and is not in the record. */
export function epochsUnknown(rosters: RosterReplay, { judgedEpoch }: DrawTime): number {
  return Math.max(0, judgedEpoch - 1 - rosters.exactEpoch);
}

/** The member as any of the rosters of that time knew it. */
export function memberAround(spans: readonly RosterSpan[], account: string): Member | undefined {
  return spans.findLast(({ roster }) => roster.has(account))?.roster.get(account);
}

/**
 * Checks one draw of a jury: the proof is the member's own for this input, and its output draws it. Where credit is
 * not known to the epoch, only an output that no possible credit could have drawn is called a lie.
 */
export function checkDraw(
  { report, rosters }: { readonly report: Pick<Report, 'nodes'>; readonly rosters: RosterReplay },
  lies: Lies,
  draw: {
    role: string;
    account: string;
    alpha: Uint8Array;
    proof: Uint8Array;
    expected: number;
    /** The machine's own rule on who draws itself into such a jury. */
    isEligible: (member: Member, epoch: number) => boolean;
    /** What of the VRF output is drawn by: the output itself, or for an attestor its distance from the target. */
    outputOf?: (beta: Uint8Array) => Uint8Array;
  },
  when: DrawTime,
): 'drawn' | 'possible' | 'false' {
  const spans = spansAround(rosters, when);
  const name = nameOf(report, draw.account);
  const member = memberAround(spans, draw.account);
  if (member === undefined) {
    lies.add(`${draw.role} ${name} was no member`);
    return 'false';
  }
  if (
    !lies.unless(
      mayBeAsked(member, when.epoch),
      `${draw.role} ${name} was admitted too late to draw in this epoch`,
    )
  ) {
    return 'false';
  }
  const beta = provenBeta(member, draw.alpha, draw.proof);
  if (beta === undefined) {
    lies.add(`VRF proof of ${draw.role} ${name} does not verify for this draw`);
    return 'false';
  }
  const output = draw.outputOf?.(beta) ?? beta;
  const eligible = spans.filter(({ roster }) => {
    const known = roster.get(draw.account);
    return known !== undefined && draw.isEligible(known, when.epoch);
  });
  if (eligible.some(({ roster }) => draws(roster, draw.account, output, draw.expected))) return 'drawn';
  const unknown = epochsUnknown(rosters, when);
  const couldBe = spans.some(({ roster }) => couldDraw(roster, draw.account, output, draw.expected, unknown));
  if (unknown > 0 && couldBe) return 'possible';
  lies.add(
    eligible.length === 0
      ? `${draw.role} ${name} was suspended, or had no credit that draws`
      : `VRF output of ${draw.role} ${name} does not draw it`,
  );
  return 'false';
}

function draws(roster: Roster, account: string, output: Uint8Array, expected: number): boolean {
  const member = roster.get(account);
  return member !== undefined && drawnFrom(roster, member, output, expected);
}

/** The cap on owners may cut less than is known, and rounds by less than one for each of ten owners. */
function couldDraw(
  known: Roster,
  account: string,
  output: Uint8Array,
  expected: number,
  epochs: number,
): boolean {
  const roster = atBest(known, account, epochs);
  const member = roster.get(account);
  if (member === undefined) return false;
  const weight = weightOf(member.credit);
  const weightTotal = Math.max(weight, juryWeightTotal(roster) - OWNER_SHARES);
  return isDrawn({ beta: output, weight, weightTotal, expected });
}

/** The roster after some epochs in which everything went well for one member and ill for all others. */
function atBest(roster: Roster, account: string, epochs: number): Roster {
  const best = new Map<string, Member>();
  for (const member of roster.values()) {
    const isFavoured = member.account === account;
    let credit = isFavoured ? creditAfter(member.credit, CREDIT_TASK_EXECUTED) : member.credit;
    for (let epoch = 0; epoch < epochs; epoch++) {
      credit = isFavoured
        ? creditAfterAttesting(creditAfterPass(credit), ATTESTATIONS_PAID_MAX)
        : creditAfterAbsence(credit);
    }
    best.set(member.account, { ...member, credit });
  }
  return best;
}
