import { toHex } from '@nemea/core';
import type { RejectionCode } from './errors.ts';
import {
  drawnFrom,
  epochSeedAsOf,
  JUDGES_EXPECTED,
  judgeAlpha,
  judgesNeeded,
  juryDecision,
  juryOf,
  mayServe,
  provenBeta,
} from './jury.ts';
import type { Context, Outcome } from './machine.ts';
import type { OperationBody } from './operation.ts';
import { candidateId, conflictsWith, ROSTER_MAX } from './roster.ts';
import type { Candidacy, Effect, Vote } from './state.ts';

/** Open candidacies of one sponsor: no member may fill the state, or crowd out what others have put forward [MEMB-4]. */
export const CANDIDACIES_PER_SPONSOR = 8;
/** Layer-1 blocks that a jury has to take its seats and to judge, before anybody may count. */
export const JUDGING_BLOCKS = 3;

/** A stranger's application enters the order: from now on its judges can be drawn [MEMB-11]. */
export function openCandidacy(
  { state, ledger, author }: Context,
  body: Extract<OperationBody, { kind: 'apply' }>,
): Outcome {
  const id = toHex(candidateId(body.record, body.applicationDigest));
  const known = state.candidacies.get(id);
  const epoch = ledger.epochOf(state.ledgerBlock);
  if (known !== undefined && !isJudgedAnew(known, judgesNeeded(state.roster), epoch)) {
    return { rejected: 'ALREADY_DONE' };
  }
  if (conflictsWith(state.roster, body.record)) return { rejected: 'CANDIDATE_CONFLICTS' };
  const sponsored = [...state.candidacies.values()].filter(
    (candidacy) => candidacy.outcome === 'open' && candidacy.sponsor === author.account,
  );
  if (sponsored.length >= CANDIDACIES_PER_SPONSOR) return { rejected: 'TOO_MANY_OPEN' };
  const candidacy: Candidacy = {
    record: body.record,
    applicationDigest: body.applicationDigest,
    sponsor: author.account,
    epoch,
    openedBlock: state.ledgerBlock,
    seated: new Set(),
    judgements: new Map(),
    outcome: 'open',
  };
  const candidacies = new Map(state.candidacies).set(id, candidacy);
  return {
    state: { ...state, candidacies },
    effects: [{ type: 'candidacy', candidate: candidateId(body.record, body.applicationDigest) }],
  };
}

/**
 * An application that found too few judges in its epoch is judged anew by another jury. A jury that is complete keeps
 * one epoch more to be counted, so that the turn of an epoch between verdict and count undoes nothing [MEMB-14].
 */
function isJudgedAnew(known: Candidacy, needed: number, epoch: number): boolean {
  if (known.outcome !== 'open') return false;
  return epoch > known.epoch + (known.judgements.size >= needed ? 1 : 0);
}

/**
 * A member proves that it is drawn as a judge, before the candidate has turned to anybody. From here on its weight
 * counts: a candidate that answers only the judges it likes convinces only their part of the jury [MEMB-12].
 */
export function takeSeat(context: Context, body: Extract<OperationBody, { kind: 'sit' }>): Outcome {
  const known = context.state.candidacies.get(toHex(body.candidate));
  if (known?.seated.has(context.author.account)) return { rejected: 'ALREADY_DONE' };
  const seat = proveSeat(context, body);
  if ('rejected' in seat) return seat;
  return { state: withCandidacy(context, body.candidate, seat.candidacy), effects: [] };
}

/** A drawn judge's verdict. The draw is proven here, too, so that nobody judges uninvited. */
export function recordJudgement(context: Context, body: Extract<OperationBody, { kind: 'judge' }>): Outcome {
  const seat = proveSeat(context, body);
  if ('rejected' in seat) return seat;
  const { candidacy } = seat;
  if (candidacy.judgements.has(context.author.account)) return { rejected: 'ALREADY_DONE' };
  const judgements = new Map(candidacy.judgements).set(context.author.account, body);
  return { state: withCandidacy(context, body.candidate, { ...candidacy, judgements }), effects: [] };
}

/** The candidacy with its author among the seated, if the VRF drew it for the candidacy's own epoch. */
function proveSeat(
  { state, ledger, author }: Context,
  body: { candidate: Uint8Array; epoch: number; proof: Uint8Array },
): { candidacy: Candidacy } | { rejected: RejectionCode } {
  const candidacy = state.candidacies.get(toHex(body.candidate));
  if (candidacy === undefined || candidacy.outcome !== 'open') return { rejected: 'CANDIDATE_UNKNOWN' };
  if (body.epoch !== candidacy.epoch) return { rejected: 'EPOCH_WRONG' };
  if (candidacy.judgements.has(author.account)) return { rejected: 'ALREADY_DONE' };
  const epochSeed = epochSeedAsOf(ledger, body.epoch, state.ledgerBlock);
  if (epochSeed === undefined) return { rejected: 'EPOCH_WRONG' };
  if (!mayServe(author, body.epoch)) return { rejected: 'NOT_DRAWN' };
  const alpha = judgeAlpha({ networkId: state.networkId, epochSeed }, body.candidate);
  const beta = provenBeta(author, alpha, body.proof);
  if (beta === undefined) return { rejected: 'VRF_INVALID' };
  if (!drawnFrom(state.roster, author, beta, JUDGES_EXPECTED)) return { rejected: 'NOT_DRAWN' };
  return { candidacy: { ...candidacy, seated: new Set(candidacy.seated).add(author.account) } };
}

function withCandidacy({ state }: Context, candidate: Uint8Array, candidacy: Candidacy): Context['state'] {
  return { ...state, candidacies: new Map(state.candidacies).set(toHex(candidate), candidacy) };
}

/** Decides once the jury has had its time. One that can still go either way is left open, and another follows it [MEMB-13]. */
export function closeCandidacy({ state, ledger }: Context, id: string): Outcome {
  const candidacy = state.candidacies.get(id);
  if (candidacy === undefined || candidacy.outcome !== 'open') return { rejected: 'CANDIDATE_UNKNOWN' };
  if (state.ledgerBlock < candidacy.openedBlock + JUDGING_BLOCKS) return { rejected: 'TOO_EARLY' };
  const decision = juryDecision(state.roster, juryOf(state.roster, candidacy));
  if (decision === 'incomplete') return { rejected: 'JURY_INCOMPLETE' };
  const admitted = decision === 'affirmed' && !conflictsWith(state.roster, candidacy.record);
  if (admitted && state.roster.size >= ROSTER_MAX) return { rejected: 'ROSTER_FULL' };
  const candidacies = new Map(state.candidacies).set(id, {
    ...candidacy,
    outcome: admitted ? ('admitted' as const) : ('refused' as const),
  });
  const closed: Effect = {
    type: 'candidacy-closed',
    candidate: candidateId(candidacy.record, candidacy.applicationDigest),
    admitted,
    record: candidacy.record,
  };
  if (!admitted) return { state: { ...state, candidacies }, effects: [closed] };
  // A member only once layer 1 has registered it [MEMB-15].
  const vote: Vote = {
    type: 'Admission',
    record: candidacy.record,
    epoch: ledger.epochOf(state.ledgerBlock),
  };
  return { state: { ...state, candidacies }, effects: [closed, { type: 'vote', vote }] };
}
