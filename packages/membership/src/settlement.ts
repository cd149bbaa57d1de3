import { creditAfterFault, creditAfterMissedUpdate } from './credit.ts';
import { isEquivocation, isOutdated, isResult, isSeat } from './epoch-leaf.ts';
import {
  ATTESTORS_EXPECTED,
  attestOdds,
  type DrawContext,
  mayDraw,
  targetRing,
  targetsDrawn,
} from './jury.ts';
import { juryWeightOf, type Member, type Roster, withCredit } from './roster.ts';
import { confidenceAfterEpoch, creditAfterEpoch, type Duty, type Standing, standingOf } from './standing.ts';
import type { EpochLeaf, ResultLeaf } from './state.ts';

/** One attestor's seats: for each target that it was drawn for its result, or none. */
type Seats = ReadonlyMap<string, ResultLeaf | undefined>;

/**
 * What an epoch's leaves do to credit, in whatever order they are, so that anybody can redo it. A missed update takes what
 * draws, and equivocation takes all, whatever else the epoch gave [MEMB-37] [MEMB-43].
 */
export function settleCredit(
  before: Roster,
  leaves: readonly EpochLeaf[],
  context: DrawContext,
  expected = ATTESTORS_EXPECTED,
): Roster {
  const attested = settleAttestations(before, leaves, context, expected);
  return leaves.reduce((roster, leaf) => {
    if (isOutdated(leaf)) return withChange(roster, leaf.outdated, creditAfterMissedUpdate);
    return isEquivocation(leaf) ? withChange(roster, leaf.equivocator, creditAfterFault) : roster;
  }, attested);
}

function withChange(roster: Roster, account: string, change: (credit: number) => number): Roster {
  return withCredit(roster, account, change(roster.get(account)?.credit ?? 0));
}

/**
 * Who was seated for whom follows from the draws; juries decide by the weight that is seated, heard or not [MEMB-19]
 * [MEMB-41].
 */
function settleAttestations(
  before: Roster,
  leaves: readonly EpochLeaf[],
  context: DrawContext,
  expected: number,
): Roster {
  const epoch = leaves.find((leaf) => isSeat(leaf) || isResult(leaf))?.epoch;
  // Nobody reported: nobody knows anything about anybody.
  if (epoch === undefined) return before;
  const seats = seatsOf(before, leaves, { context, epoch, expected });
  const standings = standingsOf(before, seats);
  const settled = new Map<string, Member>();
  for (const member of before.values()) {
    const standing = standings.get(member.account) ?? 'unasked';
    const duty = dutyOf(seats.get(member.account), standings, mayDraw(member, epoch));
    settled.set(member.account, {
      ...member,
      credit: creditAfterEpoch(member.credit, standing, duty),
      confidence: confidenceAfterEpoch(member.confidence, standing),
    });
  }
  return settled;
}

/**
 * Attestors that are members still, with the targets that their draws give at the weights of the close; and with those that they were drawn
 * for at the weights of their report, which may differ by a hair.
 */
function seatsOf(
  roster: Roster,
  leaves: readonly EpochLeaf[],
  draw: { context: DrawContext; epoch: number; expected: number },
): ReadonlyMap<string, Seats> {
  const ring = targetRing(draw.context, roster, draw.epoch);
  const seats = new Map<string, Map<string, ResultLeaf | undefined>>();
  for (const leaf of leaves) {
    if (!isSeat(leaf)) continue;
    const attestor = roster.get(leaf.attestor);
    if (attestor === undefined) continue;
    const targets = targetsDrawn(
      ring,
      { account: leaf.attestor, beta: leaf.beta },
      attestOdds(roster, attestor, draw.expected),
    );
    seats.set(leaf.attestor, new Map(targets.map((target) => [target, undefined])));
  }
  for (const leaf of leaves) {
    if (isResult(leaf) && roster.has(leaf.target)) seats.get(leaf.attestor)?.set(leaf.target, leaf);
  }
  return seats;
}

function standingsOf(roster: Roster, seats: ReadonlyMap<string, Seats>): ReadonlyMap<string, Standing> {
  const weights = new Map<string, { affirming: number; seated: number }>();
  for (const [attestor, targets] of seats) {
    const weight = juryWeightOf(roster, attestor);
    for (const [target, result] of targets) {
      const sum = weights.get(target) ?? { affirming: 0, seated: 0 };
      sum.seated += weight;
      if (affirms(result)) sum.affirming += weight;
      weights.set(target, sum);
    }
  }
  return new Map([...weights].map(([target, sum]) => [target, standingOf(sum)]));
}

function dutyOf(seats: Seats | undefined, standings: ReadonlyMap<string, Standing>, isDue: boolean): Duty {
  let [agreed, neglected] = [0, 0];
  for (const [target, result] of seats ?? []) {
    const hasPassed = standings.get(target) === 'passed';
    if (hasPassed && !affirms(result)) neglected++;
    else if (result !== undefined && affirms(result) === hasPassed) agreed++;
  }
  return { isSilent: isDue && seats === undefined, agreed, neglected };
}

function affirms(result: ResultLeaf | undefined): boolean {
  return result !== undefined && result.verdict !== 'contraindicated';
}
