/**
 * One decision from request to commit, in the order in which an operation meets the rules [CONS-7] to [CONS-13]: it waits
 * (handleRequest), the primary proposes it, backups prepare it, votes are counted (countVote), members commit, a quorum
 * decides, the application executes (execute, handleExecuted). `replica.ts` tries the rules after every input. What a replica says
 * comes back to it, and is counted like the words of others; `votes.ts` lets in what may be counted.
 */
import { assert, assertNever, bytesEqual, type Verified } from '@nemea/core';
import { type Ballot, findBallot, learnProposal, signaturesFor } from './ballot.ts';
import { noteClaim } from './catch-up.ts';
import { speakCheckpoint } from './checkpoint.ts';
import { type Configuration, createConfiguration, type Seat } from './configuration.ts';
import { accept, applyExecution, commitDecision, isOrdered } from './decision.ts';
import type { RefusalReason } from './effect.ts';
import type { Input } from './input.ts';
import {
  BATCH_BYTES_MAX,
  BATCH_OPERATIONS_MAX,
  OPERATION_BYTES_MAX,
  PENDING_BYTES_MAX,
  PENDING_OPERATIONS_MAX,
} from './limits.ts';
import { type Certificate, type Statement, stripMessage, type Vote } from './message.ts';
import { joinIds, operationId } from './operation.ts';
import { hasQuorum } from './quorum.ts';
import { speak } from './speech.ts';
import {
  acceptedEnd,
  epochEnd,
  findProposal,
  highWatermark,
  makeProposal,
  mayVote,
  openAnchor,
  openSequence,
  type Proposal,
  primaryOfView,
  type ReplicaState,
  type Turn,
} from './state.ts';
import { acceptBound, isHigher } from './view-change.ts';

/** A client's operation waits for its turn; the primary need not be the one that it was given to [CONS-13]. */
export function handleRequest({ state, effects }: Turn, operation: Uint8Array): void {
  const id = operationId(operation);
  if (state.pending.has(id)) return;
  const reason = refusalOf(state, operation, id);
  if (reason !== null) {
    effects.push({ type: 'refuse', operation, reason });
    return;
  }
  state.pending.set(id, operation);
  state.pendingBytes += operation.length;
  if (!isOrdered(state, id)) state.unproposed.set(id, operation);
}

/**
 * The primary repeats what its view is bound to [CONS-16]. On top of that it proposes batch upon batch, each following
 * from the one before, up to the high watermark: what has waited longest first [CONS-7].
 */
export function propose(turn: Turn): void {
  const { state } = turn;
  if (!state.active || !mayVote(state) || primaryOfView(state) !== state.id) return;
  if (!acceptBound(turn)) return;
  const anchor = openAnchor(state);
  if (anchor !== null) vote(turn, 'pre-prepare', anchor.sequence);
  const high = highWatermark(state);
  for (let end = acceptedEnd(state); end.sequence < high; end = acceptedEnd(state)) {
    const sequence = end.sequence + 1;
    // What was proposed in this view before a restart stands.
    if ((findBallot(state, sequence, state.view)?.ownVote ?? null) !== null) return;
    const proposal = nextProposal(state, sequence, end.digest);
    if (proposal === null || !accept(state, proposal, false)) return;
    vote(turn, 'pre-prepare', sequence);
  }
}

/**
 * A backup votes for what its view is bound to, whether or not the primary has asked for it, and then accepts the first
 * proposal of the primary that follows from what it has accepted before and repeats no operation [CONS-8].
 */
export function prepare(turn: Turn): void {
  const { state } = turn;
  if (!state.active || !mayVote(state) || !acceptBound(turn)) return;
  const anchor = openAnchor(state);
  if (anchor !== null && primaryOfView(state) !== state.id) vote(turn, 'prepare', anchor.sequence);
  const high = highWatermark(state);
  for (let end = acceptedEnd(state); end.sequence < high; end = acceptedEnd(state)) {
    const sequence = end.sequence + 1;
    const ballot = findBallot(state, sequence, state.view);
    if (ballot?.proposal == null || ballot.proposal.isRefused) return;
    const { batch, digest } = ballot.proposal;
    if (batch.length === 0 && !mayBeEmpty(state, sequence)) return;
    const own = ballot.ownVote?.content;
    const proposal = makeProposal(sequence, end.digest, batch);
    ballot.proposal.isRefused =
      !bytesEqual(proposal.digest, digest) ||
      (own !== undefined && !bytesEqual(own.digest, digest)) ||
      !accept(state, proposal, false);
    if (ballot.proposal.isRefused) return;
    if (own === undefined) vote(turn, 'prepare', sequence);
  }
}

/** Votes to prepare what is accepted at a sequence, unless that was said already. */
function vote(turn: Turn, kind: 'pre-prepare' | 'prepare', sequence: number): void {
  const { accepted, committed, configuration, view } = turn.state;
  const { digest, batch } = accepted[sequence - committed - 1] as Proposal;
  if ((findBallot(turn.state, sequence, view)?.ownVote ?? null) !== null) return;
  speak(turn, { kind, epoch: configuration.epoch, view, sequence, digest }, batch);
}

/** Counts each member once, by weight [CONS-9] [CONS-10]. Returns whether another rule may apply now that did not before. */
export function countVote(
  turn: Turn,
  ballot: Ballot,
  statement: Verified<Statement<Vote>>,
  { place, weight }: Seat,
): boolean {
  const { configuration } = turn.state;
  const { content, message } = statement;
  switch (content.kind) {
    case 'pre-prepare':
      if (place !== ballot.primary || ballot.prepares[place] !== undefined) return false;
      ballot.prepares[place] = statement;
      // After a restart the own vote has brought the batch back, and only the signature is missing.
      if (ballot.proposal === null) learnProposal(turn.state, ballot, content.digest, message.batch);
      else if (bytesEqual(ballot.proposal.digest, content.digest)) ballot.prepareWeight += weight;
      return true;
    case 'prepare': {
      if (isAgreed(configuration, ballot.prepareWeight, ballot.proposal?.digest, content.digest))
        return false;
      // The primary votes by its pre-prepare; certificates count on that.
      if (ballot.prepares[place] !== undefined || place === ballot.primary) return false;
      ballot.prepares[place] = statement;
      if (ballot.proposal === null) return false;
      if (!bytesEqual(ballot.proposal.digest, content.digest)) {
        shareProposal(turn, ballot, statement);
        return true;
      }
      const wasQuorum = hasQuorum(configuration, ballot.prepareWeight);
      ballot.prepareWeight += weight;
      return !wasQuorum && hasQuorum(configuration, ballot.prepareWeight);
    }
    case 'commit': {
      if (isAgreed(configuration, ballot.commitWeight, ballot.commitDigest, content.digest)) return false;
      if (ballot.commits[place] !== undefined) return false;
      ballot.commits[place] = statement;
      ballot.commitDigest ??= content.digest;
      if (!bytesEqual(ballot.commitDigest, content.digest)) return false;
      const wasQuorum = hasQuorum(configuration, ballot.commitWeight);
      ballot.commitWeight += weight;
      return !wasQuorum && hasQuorum(configuration, ballot.commitWeight);
    }
    default:
      return assertNever(content.kind);
  }
}

/**
 * A quorum of votes to prepare excludes any other batch in this view. What the view is bound to repeat is prepared as
 * one, by votes for the anchor alone. Who commits carries the certificate of the last to later views [CONS-9].
 */
export function commit(turn: Turn): void {
  const { state, effects } = turn;
  if (!state.active || state.accepted.length === 0 || !mayVote(state)) return;
  const { view, committed, configuration } = state;
  const { epoch } = configuration;
  const anchor = openAnchor(state);
  if (anchor !== null && !isPrepared(state, anchor.sequence, anchor.digest)) return;
  for (let sequence = Math.max(committed, state.committedTo) + 1; ; sequence++) {
    const digest = state.accepted[sequence - committed - 1]?.digest;
    if (digest === undefined) return;
    const isBound = anchor !== null && sequence <= anchor.sequence;
    if (!isBound && !isPrepared(state, sequence, digest)) return;
    const tip = isBound ? { ...anchor, view } : { view, sequence, digest };
    if (state.tip === null || isHigher(tip, state.tip)) {
      const { prepares } = findBallot(state, tip.sequence, view) as Ballot;
      state.tip = { epoch, ...tip, signatures: signaturesFor(state, prepares, tip.digest) };
      effects.push({ type: 'persist', record: { type: 'prepared', certificate: state.tip } });
    }
    state.committedTo = sequence;
    speak(turn, { kind: 'commit', epoch, view, sequence, digest });
  }
}

/** A quorum of commits in any view decides the sequence for ever, one sequence after the other [CONS-10]. */
export function decide(turn: Turn): void {
  const { state } = turn;
  while (openSequence(state) <= highWatermark(state)) {
    const ballot = decidedBallot(state);
    if (ballot === null) return;
    const { view, sequence, commits } = ballot;
    const digest = ballot.commitDigest as Uint8Array;
    const proposal = findProposal(state, digest);
    if (proposal === null) {
      for (const { sender } of signaturesFor(state, commits, digest)) noteClaim(state, sender, sequence);
      return;
    }
    const signatures = signaturesFor(state, commits, digest);
    const certificate: Certificate = {
      epoch: state.configuration.epoch,
      view,
      sequence,
      digest,
      signatures,
    };
    commitDecision(turn, { sequence, batch: proposal.batch, certificate }, proposal);
  }
}

/** The application takes one decision at a time; voting goes on meanwhile [CONS-11]. */
export function execute({ state, effects }: Turn): void {
  const [next] = state.waiting;
  if (state.isExecuting || next === undefined) return;
  state.isExecuting = true;
  effects.push({ type: 'commit', decision: next.decision });
}

export function handleExecuted(turn: Turn, input: Extract<Input, { type: 'executed' }>): void {
  const { state, effects } = turn;
  const { sequence, members, renews = false } = input;
  assert(
    state.isExecuting && sequence === state.executed + 1,
    `executed: got sequence ${sequence}, want ${state.executed + 1} while it is being executed`,
  );
  if (members !== null) createConfiguration(members);
  effects.push({ type: 'persist', record: { type: 'executed', sequence, members, renews } });
  applyExecution(state, sequence, { members, renews });
  speakCheckpoint(turn, input.state ?? new Uint8Array(32));
}

function refusalOf(state: ReplicaState, operation: Uint8Array, id: string): RefusalReason | null {
  if (operation.length === 0 || operation.length > OPERATION_BYTES_MAX) return 'operation-size';
  if (isOrdered(state, id) && !isAccepted(state, id)) return 'already-executed';
  if (state.pending.size >= PENDING_OPERATIONS_MAX) return 'pending-full';
  if (state.pendingBytes + operation.length > PENDING_BYTES_MAX) return 'pending-full';
  return null;
}

/** Whether a quorum has said the same already: one more voice adds nothing. */
function isAgreed(
  configuration: Configuration,
  weight: number,
  agreed: Uint8Array | null | undefined,
  digest: Uint8Array,
): boolean {
  return hasQuorum(configuration, weight) && agreed != null && bytesEqual(agreed, digest);
}

/** A vote for another batch than the one proposed here: show its sender the proposal, so that both have the proof. */
function shareProposal({ effects }: Turn, ballot: Ballot, vote: Statement<Vote>): void {
  const proposal = ballot.prepares[ballot.primary];
  if (proposal === undefined) return;
  effects.push({ type: 'relay', to: vote.sender, message: stripMessage(proposal.message) });
}

function isPrepared(state: ReplicaState, sequence: number, digest: Uint8Array): boolean {
  const ballot = findBallot(state, sequence, state.view);
  if (ballot?.proposal == null || !hasQuorum(state.configuration, ballot.prepareWeight)) return false;
  return ballot.ownVote !== null && bytesEqual(ballot.proposal.digest, digest);
}

function decidedBallot(state: ReplicaState): Ballot | null {
  const views = state.ballots.get(openSequence(state));
  if (views === undefined) return null;
  for (const ballot of views.values()) {
    if (hasQuorum(state.configuration, ballot.commitWeight)) return ballot;
  }
  return null;
}

/** The batch to propose next, or null when it is better to wait. */
function nextProposal(state: ReplicaState, sequence: number, parent: Uint8Array): Proposal | null {
  const { unproposed, accepted, settings } = state;
  if (unproposed.size === 0 && !mayBeEmpty(state, sequence)) return null;
  const operationsMax = Math.min(settings.batchOperations, BATCH_OPERATIONS_MAX);
  if (unproposed.size > 0 && accepted.length >= settings.eagerBatches && unproposed.size < operationsMax) {
    return null;
  }
  const ids: string[] = [];
  const batch: Uint8Array[] = [];
  let batchBytes = 0;
  for (const [id, operation] of unproposed) {
    batchBytes += operation.length;
    if (batch.length === operationsMax || batchBytes > BATCH_BYTES_MAX) break;
    ids.push(id);
    batch.push(operation);
  }
  return makeProposal(sequence, parent, batch, { ids, bytes: joinIds(ids) });
}

/** Batches without operations lead to the end of an epoch when nobody asks for anything [CONS-26]. */
function mayBeEmpty(state: ReplicaState, sequence: number): boolean {
  const end = epochEnd(state);
  return end !== null && sequence <= end;
}

function isAccepted(state: ReplicaState, id: string): boolean {
  return state.accepted.some(({ ids }) => ids.includes(id));
}
