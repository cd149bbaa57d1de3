import {
  AttestationError,
  appraise,
  type Evidence,
  parseEvidence,
  toAssuranceLevel,
} from '@nemea/attestation';
import { encodeCbor, merkleRoot, sha256, toHex } from '@nemea/core';
import { answerDigest, CHALLENGE_COMMANDS, challengeBinding } from './challenge.ts';
import { creditAfterAbsence, creditAfterAttesting, creditAfterPass } from './credit.ts';
import { ATTESTORS_EXPECTED, attestAlpha, drawnFrom, provenBeta } from './jury.ts';
import { akPublicArea } from './keys.ts';
import type { Context, Outcome } from './machine.ts';
import type { Attestation, OperationBody } from './operation.ts';
import { judgingPolicy } from './policy.ts';
import { EVICTION_REASONS } from './reasons.ts';
import { creditRoot, type Member, type Roster, rosterRoot, withCredit, withoutMember } from './roster.ts';
import type { Accusation, Effect, EpochLeaf, MembershipState, Vote } from './state.ts';

/**
 * Takes one attestor's results of an epoch. Each must carry the target's own signature under the answer: a target
 * signs only for an attestor whose draw it has checked, so nobody can make up results about others.
 */
export function recordAttestations(
  { state, ledger, author, verifySignature }: Context,
  body: Extract<OperationBody, { kind: 'attest' }>,
): Outcome {
  const current = ledger.epochOf(state.ledgerBlock);
  if (body.epoch <= state.epochClosed || body.epoch > current) return { rejected: 'EPOCH_WRONG' };
  const ofEpoch = state.attestations.get(body.epoch) ?? new Map<string, readonly Attestation[]>();
  if (ofEpoch.has(author.account)) return { rejected: 'ALREADY_DONE' };
  const targets = new Set<string>();
  for (const attestation of body.attestations) {
    if (attestation.target === author.account || targets.has(attestation.target))
      return { rejected: 'TARGET_UNKNOWN' };
    targets.add(attestation.target);
    const target = state.roster.get(attestation.target);
    if (target === undefined) continue;
    const binding = challengeBinding({
      epoch: body.epoch,
      attestor: author.account,
      target: target.account,
      command: 'epoch',
    });
    const answer = answerDigest({ binding, ...attestation });
    if (!verifySignature(target.peerKey, answer, attestation.answerSignature))
      return { rejected: 'SIGNATURE_INVALID' };
  }
  const known = body.attestations.filter((attestation) => state.roster.has(attestation.target));
  const attestations = new Map(state.attestations).set(
    body.epoch,
    new Map(ofEpoch).set(author.account, known),
  );
  return { state: { ...state, attestations }, effects: [] };
}

/**
 * Eviction: the accuser shows evidence that the target's own TPM signed, and every replica judges it again. No trust
 * in the accuser is needed, so one drawn attestor is enough.
 */
export function judgeAccusation(context: Context, body: Extract<OperationBody, { kind: 'accuse' }>): Outcome {
  const { state, ledger, author } = context;
  const target = state.roster.get(body.target);
  if (target === undefined) return { rejected: 'TARGET_UNKNOWN' };
  const epochSeed = ledger.epochSeed(body.epoch);
  if (epochSeed === undefined || body.epoch + 2 < ledger.epochOf(state.ledgerBlock))
    return { rejected: 'EPOCH_WRONG' };
  const alpha = attestAlpha({ networkId: state.networkId, epochSeed }, body.target);
  const beta = provenBeta(author, alpha, body.proof);
  if (beta === undefined) return { rejected: 'VRF_INVALID' };
  if (!drawnFrom(state.roster, author, beta, ATTESTORS_EXPECTED)) return { rejected: 'NOT_DRAWN' };
  if (!contradicts(context, target, body)) return { rejected: 'EVIDENCE_NOT_CONTRADICTING' };
  return evict(state, target, {
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
  const binding = challengeBinding({
    epoch: body.epoch,
    attestor: author.account,
    target: target.account,
    command: 'epoch',
  });
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
    referenceValues: {
      releases: ledger.approvedReleases(state.ledgerBlock),
      images: ledger.approvedImages(state.ledgerBlock),
    },
    policy: judgingPolicy,
    expected: { networkId: state.networkId, challenge: body.nonce, binding },
    nowMs: 0,
  });
  return result.verdict === 'contraindicated';
}

function evict(
  state: MembershipState,
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
  return { state: { ...state, roster, evictions: state.evictions + 1 }, effects };
}

/** Closes an epoch: credit moves, and one record with three roots goes to layer 1, however many members there are. */
export function closeEpoch({ state, ledger }: Context, epoch: number): Outcome {
  if (epoch <= state.epochClosed) return { rejected: 'ALREADY_DONE' };
  if (epoch >= ledger.epochOf(state.ledgerBlock)) return { rejected: 'TOO_EARLY' };
  const seed = ledger.epochSeed(epoch);
  const boundaryBlock = ledger.epochBoundary(epoch);
  if (seed === undefined || boundaryBlock === undefined) return { rejected: 'EPOCH_WRONG' };
  const leaves = epochLeaves(state, epoch);
  const roster = settleCredit(state.roster, leaves);
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
  return {
    state: { ...state, roster, attestations, epochClosed: epoch, admissions: 0, evictions: 0 },
    effects: [
      { type: 'roster', roster },
      { type: 'epoch-closed', epoch, leaves },
      { type: 'vote', vote },
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

/** What an epoch's attestations do to credit: a function of its leaves, so that anybody can redo it. */
export function settleCredit(before: Roster, leaves: readonly EpochLeaf[]): Roster {
  let roster = before;
  for (const member of before.values()) {
    const about = leaves.filter((leaf) => leaf.target === member.account);
    const passed = about.length > 0 && about.every((leaf) => leaf.verdict !== 'contraindicated');
    const served = leaves.filter((leaf) => leaf.attestor === member.account).length;
    // Without an attestor nobody knows: credit stays. Absence is "drawn, asked, and no one could affirm".
    let credit = member.credit;
    if (passed) credit = creditAfterPass(credit);
    else if (leaves.length > 0 && served === 0 && about.length === 0) credit = creditAfterAbsence(credit);
    credit = creditAfterAttesting(credit, served);
    roster = withCredit(roster, member.account, credit);
  }
  return roster;
}

/**
 * Judges a reported request: the accused signed it, so a proof that does not verify condemns its signer. Only requests
 * of an epoch's attestation: a verifier's request in a task carries the proof of another draw, and is no fault.
 */
export function judgeDispute({ state, ledger }: Context, disputeId: Uint8Array): Outcome {
  const id = toHex(disputeId);
  if (state.disputesJudged.has(id)) return { rejected: 'ALREADY_DONE' };
  const dispute = ledger.dispute(disputeId, state.ledgerBlock);
  if (dispute === undefined) return { rejected: 'DISPUTE_UNKNOWN' };
  const accused = state.roster.get(dispute.accused);
  const epochSeed = ledger.epochSeed(dispute.epoch);
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
