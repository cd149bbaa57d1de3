/** Votes as they come in: kept within bounds, held against what was said before, and then counted. */
import { bytesEqual, type Verified } from '@nemea/core';
import { type Ballot, ballotOf } from './ballot.ts';
import { noteClaim } from './catch-up.ts';
import { catchContradiction } from './contradiction.ts';
import {
  FUTURE_BYTES_MAX,
  FUTURE_STATEMENTS_MAX,
  MEMBERS_MAX,
  VIEW_DISTANCE_MAX,
  VOTES_AHEAD_MAX,
  WINDOW,
} from './limits.ts';
import type { Statement, Vote } from './message.ts';
import { countVote } from './normal-case.ts';
import { intervalEnd, primaryOfView, type ReplicaState, type Turn } from './state.ts';
import { startViewChange } from './view-change.ts';

/** Returns whether a rule of the normal case may apply now that did not before. */
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
  return countVote(turn, ballot, statement, seat);
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

/** Holds what is said about an epoch that has not begun here, a few statements of each sender. */
function keepForLater(state: ReplicaState, statement: Verified<Statement<Vote>>): void {
  if (statement.content.epoch < state.configuration.epoch) return;
  const kept = state.future.get(statement.sender) ?? [];
  if (state.future.size >= 2 * MEMBERS_MAX && kept.length === 0) return;
  if (kept.length >= FUTURE_STATEMENTS_MAX) return;
  if (batchBytes([...kept, statement]) > FUTURE_BYTES_MAX) return;
  kept.push(statement);
  state.future.set(statement.sender, kept);
}

function batchBytes(statements: readonly Verified<Statement<Vote>>[]): number {
  let bytes = 0;
  for (const { message } of statements) for (const operation of message.batch) bytes += operation.length;
  return bytes;
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
