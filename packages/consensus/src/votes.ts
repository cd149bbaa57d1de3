/** Votes as they come in: kept once for each member, counted by weight, held against what was said before. */
import { assertNever, bytesEqual, type Verified } from '@nemea/core';
import { noteClaim } from './catch-up.ts';
import type { Configuration, Seat } from './configuration.ts';
import { catchContradiction } from './contradiction.ts';
import { FUTURE_STATEMENTS_MAX, MEMBERS_MAX, VIEW_DISTANCE_MAX, VOTES_AHEAD_MAX, WINDOW } from './limits.ts';
import { type Batch, type MemberSignature, type Statement, stripMessage, type Vote } from './message.ts';
import { hasQuorum } from './quorum.ts';
import {
  type Ballot,
  ballotOf,
  intervalEnd,
  primaryOfView,
  type ReplicaState,
  type Turn,
  type Votes,
} from './state.ts';
import { startViewChange } from './view-change.ts';

export function handleVote(turn: Turn, statement: Verified<Statement<Vote>>): boolean {
  const { state } = turn;
  const { sender, content } = statement;
  const { view, sequence } = content;
  if (sequence <= state.committed) return false; // [CONS-18]
  // Who votes at a sequence has executed all up to two intervals before.
  noteClaim(state, sender, intervalEnd(sequence) - WINDOW);
  if (content.epoch !== state.configuration.epoch) {
    keepForLater(state, statement);
    return true;
  }
  const seat = state.configuration.byId.get(sender);
  if (seat === undefined || sequence > state.committed + VOTES_AHEAD_MAX) return true;
  if (Math.abs(view - state.view) > VIEW_DISTANCE_MAX) return true;
  const ballot = ballotOf(state, sequence, view);
  if (mayContradict(state, ballot, seat.place, content.digest) && catchContradiction(turn, statement)) {
    // A primary that proposes two batches is not worth the wait for the timer.
    if (view === state.view && sender === primaryOfView(state)) startViewChange(turn, view + 1);
    return true;
  }
  return recordVote(turn, ballot, statement, seat);
}

/** Whether anything is kept of the sender that a closer look is worth: most have voted for the same before. */
function mayContradict(
  state: ReplicaState,
  { prepares, commits }: Ballot,
  place: number,
  digest: Uint8Array,
): boolean {
  return (
    isForAnother(prepares[place], digest) ||
    isForAnother(commits[place], digest) ||
    state.viewChanges.size > 0
  );
}

function isForAnother(vote: Statement<Vote> | undefined, digest: Uint8Array): boolean {
  return vote !== undefined && !bytesEqual(vote.content.digest, digest);
}

/** Counts a vote once. Returns whether a rule above may apply now that did not before. */
function recordVote(
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

/** Whether a quorum has said the same already: one more voice adds nothing. */
function isAgreed(
  configuration: Configuration,
  weight: number,
  agreed: Uint8Array | null | undefined,
  digest: Uint8Array,
): boolean {
  return hasQuorum(configuration, weight) && agreed != null && bytesEqual(agreed, digest);
}

/** From here on votes are counted for this batch. */
export function learnProposal(state: ReplicaState, ballot: Ballot, digest: Uint8Array, batch: Batch): void {
  ballot.proposal = { digest, batch, isRefused: false };
  ballot.prepareWeight = weightFor(state, ballot.prepares, digest);
  ballot.commitDigest = digest;
  ballot.commitWeight = weightFor(state, ballot.commits, digest);
}

/** A vote for another batch than the one proposed here: show its sender the proposal, so that both have the proof. */
function shareProposal({ effects }: Turn, ballot: Ballot, vote: Statement<Vote>): void {
  const proposal = ballot.prepares[ballot.primary];
  if (proposal === undefined) return;
  effects.push({ type: 'relay', to: vote.sender, message: stripMessage(proposal.message) });
}

/** Holds what is said about an epoch that has not begun here, a few statements of each sender. */
function keepForLater(state: ReplicaState, statement: Verified<Statement<Vote>>): void {
  if (statement.content.epoch < state.configuration.epoch) return;
  const kept = state.future.get(statement.sender) ?? [];
  if (state.future.size >= 2 * MEMBERS_MAX && kept.length === 0) return;
  if (kept.length < FUTURE_STATEMENTS_MAX) kept.push(statement);
  state.future.set(statement.sender, kept);
}

/** Counts what was said about the epoch that has begun meanwhile. */
export function takeFuture(turn: Turn): void {
  const { state } = turn;
  if (state.future.size === 0) return;
  const { epoch } = state.configuration;
  for (const [sender, statements] of [...state.future]) {
    const later = statements.filter(({ content }) => content.epoch > epoch);
    if (later.length === statements.length) continue;
    if (later.length > 0) state.future.set(sender, later);
    else state.future.delete(sender);
    for (const statement of statements) if (statement.content.epoch === epoch) handleVote(turn, statement);
  }
}

function weightFor({ configuration }: ReplicaState, votes: Votes, digest: Uint8Array): number {
  let weight = 0;
  for (const member of configuration.members) {
    const vote = votes[member.place];
    if (vote !== undefined && bytesEqual(vote.content.digest, digest)) weight += member.weight;
  }
  return weight;
}

/** The signatures for one digest, ordered by sender. */
export function signaturesFor(
  { configuration }: ReplicaState,
  votes: Votes,
  digest: Uint8Array,
): MemberSignature[] {
  const signatures: MemberSignature[] = [];
  for (let place = 0; place < configuration.members.length; place++) {
    const vote = votes[place];
    if (vote === undefined || !bytesEqual(vote.content.digest, digest)) continue;
    signatures.push({ sender: vote.sender, signature: vote.message.signature });
  }
  return signatures;
}
