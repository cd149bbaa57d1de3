import { toHex } from '@nemea/core';
import { weightOf } from './credit.ts';
import { drawnFrom, JUDGES_EXPECTED, judgeAlpha, judgesNeeded, provenBeta } from './jury.ts';
import type { Context, Outcome } from './machine.ts';
import type { NodeRecord, OperationBody } from './operation.ts';
import { candidateId, conflictsWith, withMember } from './roster.ts';
import type { Candidacy, Effect } from './state.ts';

/** Open candidacies at a time: strangers may not fill the state. */
const CANDIDACIES_MAX = 64;

/** A stranger's application enters the order: from now on its judges can be drawn. */
export function openCandidacy(
  { state, ledger }: Context,
  body: Extract<OperationBody, { kind: 'apply' }>,
): Outcome {
  const id = toHex(candidateId(body.record, body.applicationDigest));
  const known = state.candidacies.get(id);
  const epoch = ledger.epochOf(state.ledgerBlock);
  // An application that found too few judges is judged anew in a later epoch, by another jury.
  if (known !== undefined && (known.outcome !== 'open' || known.epoch === epoch))
    return { rejected: 'ALREADY_DONE' };
  if (conflictsWith(state.roster, body.record)) return { rejected: 'CANDIDATE_CONFLICTS' };
  const candidacy: Candidacy = {
    record: body.record,
    applicationDigest: body.applicationDigest,
    epoch,
    judgements: new Map(),
    outcome: 'open',
  };
  const candidacies = new Map(state.candidacies).set(id, candidacy);
  if (candidacies.size > CANDIDACIES_MAX) candidacies.delete(candidacies.keys().next().value as string);
  return {
    state: { ...state, candidacies },
    effects: [{ type: 'candidacy', candidate: candidateId(body.record, body.applicationDigest) }],
  };
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
  const epochSeed = ledger.epochSeed(body.epoch);
  if (epochSeed === undefined) return { rejected: 'EPOCH_WRONG' };
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

/** Decides once enough judges have spoken: more than two thirds of the weight that judged must affirm. */
export function closeCandidacy({ state, ledger }: Context, id: string): Outcome {
  const candidacy = state.candidacies.get(id);
  if (candidacy === undefined || candidacy.outcome !== 'open') return { rejected: 'CANDIDATE_UNKNOWN' };
  if (candidacy.judgements.size < judgesNeeded(state.roster)) return { rejected: 'JURY_INCOMPLETE' };
  let affirming = 0;
  let total = 0;
  for (const [account, judgement] of candidacy.judgements) {
    const weight = weightOf(state.roster.get(account)?.credit ?? 0);
    total += weight;
    if (judgement.verdict !== 'contraindicated') affirming += weight;
  }
  const admitted = affirming * 3 > total * 2 && !conflictsWith(state.roster, candidacy.record);
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

function admissionVote(record: NodeRecord, epoch: number): Extract<Effect, { type: 'vote' }>['vote'] {
  return { type: 'Admission', record, epoch };
}
