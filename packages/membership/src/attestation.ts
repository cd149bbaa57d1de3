import {
  AttestationError,
  appraise,
  type Evidence,
  parseEvidence,
  type ReferenceValues,
  toAssuranceLevel,
} from '@nemea/attestation';
import { encodeCbor, merkleRoot, sha256, toHex } from '@nemea/core';
import { answerDigest, CHALLENGE_COMMANDS, challengeBinding } from './challenge.ts';
import { creditAfterAbsence, creditAfterAttesting, creditAfterPass, weightOf } from './credit.ts';
import { ATTESTORS_EXPECTED, attestAlpha, drawnFrom, epochSeedAsOf, mayDraw, provenBeta } from './jury.ts';
import { akPublicArea } from './keys.ts';
import type { LedgerView } from './ledger-view.ts';
import type { Context, Outcome } from './machine.ts';
import type { Attestation, OperationBody } from './operation.ts';
import { judgingPolicy } from './policy.ts';
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
import type { Accusation, Effect, EpochLeaf, MembershipState, Vote } from './state.ts';
import { reassignTasks } from './task.ts';

/** Epochs that may collect reports at a time; beyond them the oldest has to be closed first. */
const OPEN_EPOCHS_MAX = 4;
/** Accusations are judged while the policy of their epoch is still at hand. */
const ACCUSATION_EPOCHS = 2;

/**
 * Takes one attestor's report of an epoch; an empty one says that nobody was drawn or answered. Each result must carry
 * the proof that drew the attestor and the target's own signature under the answer, so nobody can make up results
 * about others, and no two members can make them up for each other [MEMB-18].
 */
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
  if (!mayDraw(author, body.epoch)) return { rejected: 'NOT_DRAWN' };
  const ofEpoch = state.attestations.get(body.epoch) ?? new Map<string, readonly Attestation[]>();
  if (ofEpoch.has(author.account)) return { rejected: 'ALREADY_DONE' };
  if (ofEpoch.size === 0 && state.attestations.size >= OPEN_EPOCHS_MAX) return { rejected: 'TOO_MANY_OPEN' };
  const kept: Attestation[] = [];
  const targets = new Set<string>();
  for (const attestation of body.attestations) {
    if (attestation.target === author.account || targets.has(attestation.target))
      return { rejected: 'TARGET_UNKNOWN' };
    targets.add(attestation.target);
    const target = state.roster.get(attestation.target);
    if (target === undefined || !mayDraw(target, body.epoch)) continue;
    const answer = answerDigest({
      binding: epochBinding(body.epoch, author, target),
      nonce: attestation.nonce,
      evidenceDigest: attestation.evidenceDigest,
    });
    if (!verifySignature(target.peerKey, answer, attestation.answerSignature))
      return { rejected: 'SIGNATURE_INVALID' };
    const alpha = attestAlpha({ networkId: state.networkId, epochSeed }, target.account);
    const beta = provenBeta(author, alpha, attestation.proof);
    if (beta === undefined) return { rejected: 'VRF_INVALID' };
    // Weights may have moved since the attestor drew itself: a result just beyond the bound is no fault.
    if (drawnFrom(state.roster, author, beta, ATTESTORS_EXPECTED)) kept.push(attestation);
  }
  const attestations = new Map(state.attestations).set(
    body.epoch,
    new Map(ofEpoch).set(author.account, kept),
  );
  return { state: { ...state, attestations }, effects: [] };
}

function epochBinding(epoch: number, attestor: Member, target: Member): Uint8Array {
  return challengeBinding({ epoch, attestor: attestor.account, target: target.account, command: 'epoch' });
}

/**
 * Eviction: the accuser shows evidence that the target's own TPM signed, and every replica judges it again. No trust
 * in the accuser is needed, so one drawn attestor is enough [MEMB-22] [MEMB-23].
 */
export function judgeAccusation(context: Context, body: Extract<OperationBody, { kind: 'accuse' }>): Outcome {
  const { state, ledger, author } = context;
  const target = state.roster.get(body.target);
  if (target === undefined || target.account === author.account || !mayDraw(target, body.epoch))
    return { rejected: 'TARGET_UNKNOWN' };
  const epochSeed = epochSeedAsOf(ledger, body.epoch, state.ledgerBlock);
  if (epochSeed === undefined || body.epoch + ACCUSATION_EPOCHS < ledger.epochOf(state.ledgerBlock))
    return { rejected: 'EPOCH_WRONG' };
  if (!mayDraw(author, body.epoch)) return { rejected: 'NOT_DRAWN' };
  const alpha = attestAlpha({ networkId: state.networkId, epochSeed }, body.target);
  const beta = provenBeta(author, alpha, body.proof);
  if (beta === undefined) return { rejected: 'VRF_INVALID' };
  if (!drawnFrom(state.roster, author, beta, ATTESTORS_EXPECTED)) return { rejected: 'NOT_DRAWN' };
  if (!contradicts(context, target, body)) return { rejected: 'EVIDENCE_NOT_CONTRADICTING' };
  return evict(context, target, {
    epoch: body.epoch,
    evidenceDigest: sha256(body.evidence),
    reason: EVICTION_REASONS.CONTRADICTING_EVIDENCE,
    accuser: author.account,
    accusation: body,
  });
}

/**
 * True for evidence that the target itself signed for this challenge and that policy forbids. What nobody but the
 * target could have sent counts against it, be it a forbidden state, a log that explains nothing, or garbage.
 */
function contradicts(
  { state, ledger, author, verifySignature }: Context,
  target: Member,
  body: Extract<OperationBody, { kind: 'accuse' }>,
): boolean {
  const binding = epochBinding(body.epoch, author, target);
  const answer = answerDigest({ binding, nonce: body.nonce, evidenceDigest: sha256(body.evidence) });
  if (!verifySignature(target.peerKey, answer, body.answerSignature)) return false;
  let evidence: Evidence;
  try {
    evidence = parseEvidence(body.evidence);
  } catch (error) {
    if (error instanceof AttestationError) return true;
    throw error;
  }
  const result = appraise({
    evidence,
    endorsements: {
      akPublic: akPublicArea(target.akX, target.akY),
      level: toAssuranceLevel(target.level),
    },
    referenceValues: referenceValuesOf(ledger, body.epoch, state.ledgerBlock),
    policy: judgingPolicy,
    expected: { networkId: state.networkId, challenge: body.nonce, binding },
    nowMs: 0,
  });
  return result.verdict === 'contraindicated';
}

/**
 * What was approved when the epoch began, and what is now: a release that was withdrawn after the target answered
 * does not turn an honest answer into an accusation [MEMB-24].
 */
function referenceValuesOf(ledger: LedgerView, epoch: number, atBlock: number): ReferenceValues {
  const boundary = ledger.epochBoundary(epoch) ?? atBlock;
  return {
    releases: union(ledger.approvedReleases(boundary), ledger.approvedReleases(atBlock)),
    images: union(ledger.approvedImages(boundary), ledger.approvedImages(atBlock)),
  };
}

function union(a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...a, ...b]);
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
  const reported = [...state.attestations.keys()].filter((epoch) => epoch < current);
  const epoch = reported.length > 0 ? Math.min(...reported) : current - 1;
  return epoch > state.epochClosed ? epoch : undefined;
}

/** Whether members that outweigh two thirds have reported, or had a whole epoch more to do so [MEMB-17]. */
export function isEpochRipe(state: MembershipState, ledger: LedgerView, epoch: number): boolean {
  if (ledger.epochOf(state.ledgerBlock) >= epoch + 2) return true;
  let reported = 0;
  for (const account of state.attestations.get(epoch)?.keys() ?? []) {
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
  const leaves = epochLeaves(state, epoch);
  const roster = withoutLeavers(settleCredit(state.roster, leaves), ledger.leavers(boundaryBlock));
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
  const attestations = new Map([...state.attestations].filter(([open]) => open > epoch));
  const closed = { ...state, roster, attestations, epochClosed: epoch, admissions: 0, evictions: 0 };
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

/** The attestations of an epoch in the order of the tree: by target, then attestor. */
function epochLeaves(state: MembershipState, epoch: number): EpochLeaf[] {
  const leaves: EpochLeaf[] = [];
  for (const [attestor, attestations] of state.attestations.get(epoch) ?? []) {
    for (const attestation of attestations) leaves.push({ ...attestation, attestor, epoch });
  }
  return leaves.sort((a, b) => compareText(a.target, b.target) || compareText(a.attestor, b.attestor));
}

/** Canonical bytes of a leaf. */
export function encodeEpochLeaf(leaf: EpochLeaf): Uint8Array {
  return encodeCbor({
    answerSignature: leaf.answerSignature,
    attestor: leaf.attestor,
    epoch: leaf.epoch,
    evidenceDigest: leaf.evidenceDigest,
    nonce: leaf.nonce,
    proof: leaf.proof,
    quoteDigest: leaf.quoteDigest,
    target: leaf.target,
    verdict: leaf.verdict,
  });
}

/**
 * What an epoch's attestations do to credit: a function of its leaves, so that anybody can redo it.
 * A member passes when its attestors affirm it by weight; attestors earn for results that agree with that verdict.
 * A member is absent when others answered and nobody affirms it, unless it was admitted too late to be asked [MEMB-19].
 */
export function settleCredit(before: Roster, leaves: readonly EpochLeaf[]): Roster {
  const passed = new Set<string>();
  const absent = new Set<string>();
  for (const member of before.values()) {
    const about = leaves.filter((leaf) => leaf.target === member.account);
    if (isAffirmed(before, about)) passed.add(member.account);
    const isAsked = leaves.some((leaf) => mayDraw(member, leaf.epoch));
    if (isAsked && !about.some(affirms)) absent.add(member.account);
  }
  let roster = before;
  for (const member of before.values()) {
    const agreed = leaves.filter(
      (leaf) => leaf.attestor === member.account && affirms(leaf) === passed.has(leaf.target),
    ).length;
    let { credit } = member;
    if (passed.has(member.account)) credit = creditAfterPass(credit);
    else if (absent.has(member.account)) credit = creditAfterAbsence(credit);
    roster = withCredit(roster, member.account, creditAfterAttesting(credit, agreed));
  }
  return roster;
}

function affirms(leaf: EpochLeaf): boolean {
  return leaf.verdict !== 'contraindicated';
}

/** Whether attestors with more than half of the weight that speaks about a member affirm it. */
function isAffirmed(roster: Roster, about: readonly EpochLeaf[]): boolean {
  let affirming = 0;
  let total = 0;
  for (const leaf of about) {
    const weight = weightOf(roster.get(leaf.attestor)?.credit ?? 0);
    total += weight;
    if (affirms(leaf)) affirming += weight;
  }
  return affirming * 2 > total;
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
  const alpha = attestAlpha({ networkId: state.networkId, epochSeed }, dispute.reporter);
  const guilty =
    dispute.command === CHALLENGE_COMMANDS.epoch && provenBeta(accused, alpha, dispute.proof) === undefined;
  const disputesJudged = new Set(state.disputesJudged).add(id);
  const vote: Vote = { type: 'DisputeVerdict', disputeId, guilty };
  const roster = guilty ? withCredit(state.roster, accused.account, 0) : state.roster;
  const effects: Effect[] = [{ type: 'vote', vote }];
  if (guilty) effects.unshift({ type: 'roster', roster });
  return { state: { ...state, roster, disputesJudged }, effects };
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
