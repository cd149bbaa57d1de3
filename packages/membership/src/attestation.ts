import { merkleRoot, sha256, toHex } from '@nemea/core';
import { drawBound, parseOutput } from '@nemea/vrf';
import { answerDigest, CHALLENGE_COMMANDS, challengeBinding } from './challenge.ts';
import { CREDIT_DRAW_MIN, creditAfterFault, weightOf } from './credit.ts';
import { encodeEpochLeaf, epochLeaves } from './epoch-leaf.ts';
import type { RejectionCode } from './errors.ts';
import {
  ATTESTORS_EXPECTED,
  attestAlpha,
  attestOdds,
  attestOutput,
  type DrawContext,
  drawnFrom,
  epochSeedAsOf,
  mayBeAsked,
  mayDraw,
  provenBeta,
} from './jury.ts';
import type { LedgerView } from './ledger-view.ts';
import type { Context, Outcome, VerifySignature } from './machine.ts';
import { offenceOf } from './offence.ts';
import type { Attestation, OperationBody } from './operation.ts';
import { EVICTION_REASONS } from './reasons.ts';
import { forgetOld } from './retention.ts';
import {
  creditRoot,
  type Member,
  type Roster,
  rosterRoot,
  weightTotal,
  withCredit,
  withoutLeavers,
  withoutMember,
} from './roster.ts';
import { settleCredit } from './settlement.ts';
import type { Accusation, Effect, EpochReport, MembershipState, Vote } from './state.ts';
import { reassignTasks } from './task.ts';

/** Epochs that may collect reports at a time; beyond them the oldest has to be closed first. */
const OPEN_EPOCHS_MAX = 4;
/** Accusations are judged while the policy of their epoch is still at hand. */
const ACCUSATION_EPOCHS = 2;

/** Takes one attestor's report of an epoch, once; one without results says that nobody was drawn or answered [MEMB-18]. */
export function recordAttestations(
  { state, ledger, author, verifySignature }: Context,
  body: Extract<OperationBody, { kind: 'attest' }>,
): Outcome {
  const current = ledger.epochOf(state.ledgerBlock);
  if (body.epoch <= state.epochClosed || body.epoch > current || body.epoch < current - 1) {
    return { rejected: 'EPOCH_WRONG' };
  }
  const epochSeed = epochSeedAsOf(ledger, body.epoch, state.ledgerBlock);
  if (epochSeed === undefined) return { rejected: 'EPOCH_WRONG' };
  const ofEpoch = state.reports.get(body.epoch) ?? new Map<string, EpochReport>();
  if (ofEpoch.has(author.account)) return { rejected: 'ALREADY_DONE' };
  if (ofEpoch.size === 0 && state.reports.size >= OPEN_EPOCHS_MAX) return { rejected: 'TOO_MANY_OPEN' };
  const report = judgeReport(
    { roster: state.roster, draw: { networkId: state.networkId, epochSeed }, verifySignature },
    author,
    body,
  );
  if ('rejected' in report) return report;
  const reports = new Map(state.reports).set(body.epoch, new Map(ofEpoch).set(author.account, report));
  return { state: { ...state, reports }, effects: [] };
}

/**
 * What counts of a report. It carries the proof of the attestor's draw, and each result the target's own signature under the
 * answer, so nobody can make up results about others, no two members can make them up for each other, and nobody hides
 * whom it was drawn for.
 */
export function judgeReport(
  of: { readonly roster: Roster; readonly draw: DrawContext; readonly verifySignature: VerifySignature },
  author: Member,
  body: Extract<OperationBody, { kind: 'attest' }>,
): EpochReport | { rejected: RejectionCode } {
  if (!mayDraw(author, body.epoch)) return { rejected: 'NOT_DRAWN' };
  const beta = provenBeta(author, attestAlpha(of.draw), body.proof);
  if (beta === undefined) return { rejected: 'VRF_INVALID' };
  const bound = drawBound(attestOdds(of.roster, author));
  const results: Attestation[] = [];
  const targets = new Set<string>();
  for (const attestation of body.attestations) {
    if (attestation.target === author.account || targets.has(attestation.target))
      return { rejected: 'TARGET_UNKNOWN' };
    targets.add(attestation.target);
    const target = of.roster.get(attestation.target);
    if (target === undefined || !mayBeAsked(target, body.epoch)) continue;
    const answer = answerDigest({
      binding: epochBinding(body.epoch, author, target),
      nonce: attestation.nonce,
      evidenceDigest: attestation.evidenceDigest,
    });
    if (!of.verifySignature(target.peerKey, answer, attestation.answerSignature))
      return { rejected: 'SIGNATURE_INVALID' };
    // Weights may have moved since the attestor drew itself: a result just beyond the bound is no fault.
    if (parseOutput(attestOutput(of.draw, beta, target.account)) < bound) results.push(attestation);
  }
  return { proof: body.proof, beta, results };
}

function epochBinding(epoch: number, attestor: Member, target: Member): Uint8Array {
  return challengeBinding({ epoch, attestor: attestor.account, target: target.account, command: 'epoch' });
}

/**
 * The accuser shows evidence that the target itself signed, and every replica judges it again: a contradiction evicts, a
 * missed update costs credit. No trust in the accuser is needed, so one drawn attestor is enough [MEMB-22] [MEMB-23] [MEMB-37].
 */
export function judgeAccusation(context: Context, body: Extract<OperationBody, { kind: 'accuse' }>): Outcome {
  const { state, ledger, author } = context;
  const target = state.roster.get(body.target);
  if (target === undefined || target.account === author.account || !mayBeAsked(target, body.epoch))
    return { rejected: 'TARGET_UNKNOWN' };
  const epochSeed = epochSeedAsOf(ledger, body.epoch, state.ledgerBlock);
  if (epochSeed === undefined || body.epoch + ACCUSATION_EPOCHS < ledger.epochOf(state.ledgerBlock))
    return { rejected: 'EPOCH_WRONG' };
  if (!mayDraw(author, body.epoch)) return { rejected: 'NOT_DRAWN' };
  const draw = { networkId: state.networkId, epochSeed };
  const beta = provenBeta(author, attestAlpha(draw), body.proof);
  if (beta === undefined) return { rejected: 'VRF_INVALID' };
  const output = attestOutput(draw, beta, body.target);
  if (!drawnFrom(state.roster, author, output, ATTESTORS_EXPECTED)) return { rejected: 'NOT_DRAWN' };
  const { evidence, nonce } = body;
  const binding = epochBinding(body.epoch, author, target);
  const answer = answerDigest({ binding, nonce, evidenceDigest: sha256(evidence) });
  if (!context.verifySignature(target.peerKey, answer, body.answerSignature))
    return { rejected: 'EVIDENCE_NOT_CONTRADICTING' };
  const facts = { networkId: state.networkId, ledger, atBlock: state.ledgerBlock };
  const offence = offenceOf(facts, { target, epoch: body.epoch, evidence, nonce, binding });
  if (offence === 'none') return { rejected: 'EVIDENCE_NOT_CONTRADICTING' };
  if (offence === 'update-missed') return recordMissedUpdate(context, target, body);
  return evict(context, target, {
    epoch: body.epoch,
    evidenceDigest: sha256(body.evidence),
    reason: EVICTION_REASONS.CONTRADICTING_EVIDENCE,
    accuser: author.account,
    accusation: body,
  });
}

/**
 * The close of the epoch takes the credit, so that anybody can redo it from the leaves. Nothing is left to take twice: an attestor
 * that kept evidence of an epoch that is closed could show it when the member has updated and passed again [MEMB-37].
 */
function recordMissedUpdate({ state, author }: Context, target: Member, accusation: Accusation): Outcome {
  const { account } = target;
  if (accusation.epoch <= state.epochClosed) return { rejected: 'EPOCH_WRONG' };
  if (state.updatesMissed.has(account) || target.credit < CREDIT_DRAW_MIN)
    return { rejected: 'ALREADY_DONE' };
  const updatesMissed = new Map(state.updatesMissed).set(account, sha256(accusation.evidence));
  return {
    state: { ...state, updatesMissed },
    effects: [{ type: 'update-missed', account, accuser: author.account }],
  };
}

function evict(
  { state, ledger }: Context,
  target: Member,
  cause: {
    epoch: number;
    evidenceDigest: Uint8Array;
    reason: number;
    accuser: string;
    accusation: Accusation;
  },
): Outcome {
  const roster = withoutMember(state.roster, target.account);
  const vote: Vote = {
    type: 'Eviction',
    account: target.account,
    epoch: cause.epoch,
    evidenceDigest: cause.evidenceDigest,
    reason: cause.reason,
  };
  const effects: Effect[] = [
    { type: 'roster', roster },
    {
      type: 'evicted',
      account: target.account,
      peerKey: target.peerKey,
      accuser: cause.accuser,
      accusation: cause.accusation,
    },
    { type: 'vote', vote },
  ];
  const reassigned = reassignTasks({ ...state, roster, evictions: state.evictions + 1 }, ledger, [
    target.account,
  ]);
  return { state: reassigned.state, effects: [...effects, ...reassigned.effects] };
}

/**
 * The epoch that has to be closed next: the oldest with reports, so that none is passed over, else the last one that
 * ended; epochs that nobody reported on, while the network rested, are skipped. Undefined when all are closed [MEMB-16].
 */
export function epochToClose(state: MembershipState, ledger: LedgerView): number | undefined {
  const current = ledger.epochOf(state.ledgerBlock);
  const reported = [...state.reports.keys()].filter((epoch) => epoch < current);
  const epoch = reported.length > 0 ? Math.min(...reported) : current - 1;
  return epoch > state.epochClosed ? epoch : undefined;
}

/** Whether members that outweigh two thirds have reported, or had a whole epoch more to do so [MEMB-17]. */
export function isEpochRipe(state: MembershipState, ledger: LedgerView, epoch: number): boolean {
  if (ledger.epochOf(state.ledgerBlock) >= epoch + 2) return true;
  let reported = 0;
  for (const account of state.reports.get(epoch)?.keys() ?? []) {
    const member = state.roster.get(account);
    if (member !== undefined) reported += weightOf(member.credit);
  }
  return reported * 3 > weightTotal(state.roster) * 2;
}

/** Closes an epoch: credit moves, and one record with three roots goes to layer 1, however many members there are [MEMB-20]. */
export function closeEpoch({ state, ledger }: Context, epoch: number): Outcome {
  if (epoch <= state.epochClosed) return { rejected: 'ALREADY_DONE' };
  if (epoch >= ledger.epochOf(state.ledgerBlock)) return { rejected: 'TOO_EARLY' };
  const seed = ledger.epochSeed(epoch);
  const boundaryBlock = ledger.epochBoundary(epoch);
  if (seed === undefined || boundaryBlock === undefined) return { rejected: 'EPOCH_WRONG' };
  if (epoch !== epochToClose(state, ledger)) return { rejected: 'EPOCH_WRONG' };
  if (!isEpochRipe(state, ledger, epoch)) return { rejected: 'TOO_EARLY' };
  const leaves = epochLeaves(epoch, state.reports.get(epoch) ?? new Map(), {
    updatesMissed: state.updatesMissed,
    equivocations: new Map([...state.equivocations].filter(([account]) => state.roster.has(account))),
  });
  const settled = settleCredit(state.roster, leaves, { networkId: state.networkId, epochSeed: seed });
  const roster = withoutLeavers(settled, ledger.leavers(boundaryBlock), epoch);
  const vote: Vote = {
    type: 'EpochRecord',
    epoch,
    seed,
    rosterRoot: rosterRoot(roster),
    attestationRoot: merkleRoot(leaves.map(encodeEpochLeaf)),
    creditRoot: creditRoot(roster, epoch),
    admissions: state.admissions,
    evictions: state.evictions,
    policyVersion: ledger.policyVersion(state.ledgerBlock),
    boundaryBlock,
  };
  const reports = new Map([...state.reports].filter(([open]) => open > epoch));
  const closed = {
    ...state,
    roster,
    reports,
    epochClosed: epoch,
    admissions: 0,
    evictions: 0,
    updatesMissed: new Map(),
    equivocations: new Map(),
    rejoins: new Map(),
  };
  const gone = [...state.roster.keys()].filter((account) => !roster.has(account));
  const reassigned = reassignTasks(closed, ledger, gone);
  return {
    state: forgetOld(reassigned.state, ledger),
    effects: [
      { type: 'roster', roster },
      { type: 'epoch-closed', epoch, leaves },
      { type: 'vote', vote },
      ...reassigned.effects,
    ],
  };
}

/**
 * Judges a reported request: the accused signed it, so a proof that does not verify condemns its signer. Only requests
 * of an epoch's attestation: a verifier's request in a task carries the proof of another draw, and is no fault [MEMB-26] [MEMB-27].
 */
export function judgeDispute({ state, ledger }: Context, disputeId: Uint8Array): Outcome {
  const id = toHex(disputeId);
  if (state.disputesJudged.has(id) || ledger.isDisputeClosed(disputeId, state.ledgerBlock))
    return { rejected: 'ALREADY_DONE' };
  const dispute = ledger.dispute(disputeId, state.ledgerBlock);
  if (dispute === undefined) return { rejected: 'DISPUTE_UNKNOWN' };
  const accused = state.roster.get(dispute.accused);
  const epochSeed = epochSeedAsOf(ledger, dispute.epoch, state.ledgerBlock);
  if (accused === undefined || epochSeed === undefined) return { rejected: 'DISPUTE_UNKNOWN' };
  const alpha = attestAlpha({ networkId: state.networkId, epochSeed });
  const guilty =
    dispute.command === CHALLENGE_COMMANDS.epoch && provenBeta(accused, alpha, dispute.proof) === undefined;
  const disputesJudged = new Set(state.disputesJudged).add(id);
  const vote: Vote = { type: 'DisputeVerdict', disputeId, guilty };
  const roster = guilty
    ? withCredit(state.roster, accused.account, creditAfterFault(accused.credit))
    : state.roster;
  const effects: Effect[] = [{ type: 'vote', vote }];
  if (guilty) effects.unshift({ type: 'roster', roster });
  return { state: { ...state, roster, disputesJudged }, effects };
}
