import { toHex } from '@nemea/core';
import { weightOf } from './credit.ts';
import {
  drawnFrom,
  epochSeedAsOf,
  JUDGES_EXPECTED,
  judgeAlpha,
  judgesNeeded,
  mayDraw,
  provenBeta,
} from './jury.ts';
import type { Context, Outcome } from './machine.ts';
import type { NodeRecord, OperationBody } from './operation.ts';
import { candidateId, conflictsWith, type Member, ROSTER_MAX, type Roster, withMember } from './roster.ts';
import type { Candidacy, Effect } from './state.ts';

/** Open candidacies of one sponsor: no member may fill the state, or crowd out what others have put forward. */
export const CANDIDACIES_PER_SPONSOR = 8;
/** Layer-1 blocks that a jury has before fewer than the expected judges may decide. */
export const JUDGING_BLOCKS = 3;

/** A stranger's application enters the order: from now on its judges can be drawn. */
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
 * one epoch more to be counted, so that the turn of an epoch between verdict and count undoes nothing.
 */
function isJudgedAnew(known: Candidacy, needed: number, epoch: number): boolean {
  if (known.outcome !== 'open') return false;
  return epoch > known.epoch + (known.judgements.size >= needed ? 1 : 0);
}

/** A drawn judge's verdict. The draw is proven here, so that nobody judges uninvited. */
export function recordJudgement(
  { state, ledger, author }: Context,
  body: Extract<OperationBody, { kind: 'judge' }>,
): Outcome {
  const id = toHex(body.candidate);
  const candidacy = state.candidacies.get(id);
  if (candidacy === undefined || candidacy.outcome !== 'open') return { rejected: 'CANDIDATE_UNKNOWN' };
  if (body.epoch !== candidacy.epoch) return { rejected: 'EPOCH_WRONG' };
  if (candidacy.judgements.has(author.account)) return { rejected: 'ALREADY_DONE' };
  const epochSeed = epochSeedAsOf(ledger, body.epoch, state.ledgerBlock);
  if (epochSeed === undefined) return { rejected: 'EPOCH_WRONG' };
  if (!mayDraw(author, body.epoch)) return { rejected: 'NOT_DRAWN' };
  const beta = provenBeta(
    author,
    judgeAlpha({ networkId: state.networkId, epochSeed }, body.candidate),
    body.proof,
  );
  if (beta === undefined) return { rejected: 'VRF_INVALID' };
  if (!drawnFrom(state.roster, author, beta, JUDGES_EXPECTED)) return { rejected: 'NOT_DRAWN' };
  const judgements = new Map(candidacy.judgements).set(author.account, body);
  return {
    state: { ...state, candidacies: new Map(state.candidacies).set(id, { ...candidacy, judgements }) },
    effects: [],
  };
}

/** Decides once enough judges have spoken or had their time: more than two thirds of the weight that judged must affirm. */
export function closeCandidacy({ state, ledger }: Context, id: string): Outcome {
  const candidacy = state.candidacies.get(id);
  if (candidacy === undefined || candidacy.outcome !== 'open') return { rejected: 'CANDIDATE_UNKNOWN' };
  const judges = judgesOf(state.roster, candidacy);
  if (judges.length < judgesNeeded(state.roster)) return { rejected: 'JURY_INCOMPLETE' };
  // Whoever is first may not decide before the others could speak.
  const isFull = judges.length >= Math.min(JUDGES_EXPECTED, state.roster.size);
  if (!isFull && state.ledgerBlock < candidacy.openedBlock + JUDGING_BLOCKS) return { rejected: 'TOO_EARLY' };
  let affirming = 0;
  let total = 0;
  for (const { member, affirms } of judges) {
    const weight = weightOf(member.credit);
    total += weight;
    if (affirms) affirming += weight;
  }
  const admitted = affirming * 3 > total * 2 && !conflictsWith(state.roster, candidacy.record);
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
  const epoch = ledger.epochOf(state.ledgerBlock);
  const roster = withMember(state.roster, candidacy.record, epoch);
  return {
    state: { ...state, candidacies, roster, admissions: state.admissions + 1 },
    effects: [
      closed,
      { type: 'roster', roster },
      { type: 'vote', vote: admissionVote(candidacy.record, epoch) },
    ],
  };
}

/** Those who judged and are still members: an evicted judge has no say. */
function judgesOf(roster: Roster, candidacy: Candidacy): { member: Member; affirms: boolean }[] {
  const judges: { member: Member; affirms: boolean }[] = [];
  for (const [account, judgement] of candidacy.judgements) {
    const member = roster.get(account);
    if (member !== undefined) judges.push({ member, affirms: judgement.verdict !== 'contraindicated' });
  }
  return judges;
}

function admissionVote(record: NodeRecord, epoch: number): Extract<Effect, { type: 'vote' }>['vote'] {
  return { type: 'Admission', record, epoch };
}
