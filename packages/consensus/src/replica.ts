import { assert, assertNever, bytesEqual, type Verified } from '@nemea/core';
import {
  askForDecisions,
  handleDecisions,
  handleStatus,
  isBehind,
  noteClaim,
  takeTransferred,
} from './catch-up.ts';
import { handleCheckpoint, settleCheckpoint, speakCheckpoint } from './checkpoint.ts';
import { createConfiguration, type Member, primaryOf } from './configuration.ts';
import { catchContradiction } from './contradiction.ts';
import { applyExecution, commitDecision, operationId } from './decision.ts';
import type { Effect, RefusalReason } from './effect.ts';
import type { Input, TimerId } from './input.ts';
import {
  BATCH_BYTES_MAX,
  BATCH_OPERATIONS_MAX,
  FUTURE_STATEMENTS_MAX,
  OPERATION_BYTES_MAX,
  PENDING_BYTES_MAX,
  PENDING_OPERATIONS_MAX,
  VIEW_DISTANCE_MAX,
} from './limits.ts';
import {
  type Batch,
  decisionDigest,
  type MemberSignature,
  type Statement,
  stripBatch,
  type Vote,
} from './message.ts';
import { isQuorum } from './quorum.ts';
import { ownStatement, slotOf, speak } from './speech.ts';
import {
  type Ballot,
  ballotOf,
  findBatch,
  initialState,
  isMember,
  openSequence,
  primaryOfView,
  type ReplicaOptions,
  type ReplicaState,
  type Turn,
} from './state.ts';
import { placeOf, pulse, settleTimers } from './timers.ts';
import {
  announceNewView,
  handleNewView,
  handleViewChange,
  joinLaterView,
  startViewChange,
  takeWaitingNewView,
} from './view-change.ts';

/** A new replica at sequence 0, and the effects that make it heard. Throws `CONFIGURATION_INVALID`. */
export function createReplica(options: ReplicaOptions): { state: ReplicaState; effects: Effect[] } {
  return resume(initialState(options));
}

/** Starts the timers and says where the replica stands; after a restart also what it may not have got across. */
export function resume(state: ReplicaState): { state: ReplicaState; effects: Effect[] } {
  const turn: Turn = { state, effects: [] };
  state.timers.pulsedAt = placeOf(state);
  pulse(turn);
  settleTimers(turn);
  return turn;
}

/**
 * The replica. Takes the state over, applies one input and returns the state with what the rim has to do, in order.
 * Deterministic and total: bad behaviour of peers ends as silence or as a `penalize` effect, never as an exception.
 */
export function step(state: ReplicaState, input: Input): { state: ReplicaState; effects: Effect[] } {
  const turn: Turn = { state, effects: [] };
  switch (input.type) {
    case 'message':
      handleMessage(turn, input.statement);
      break;
    case 'request':
      handleRequest(turn, input.operation);
      break;
    case 'executed':
      handleExecuted(turn, input.sequence, input.members);
      break;
    case 'decisions':
      handleDecisions(turn, input.decisions);
      break;
    case 'timeout':
      handleTimeout(turn, input.id);
      break;
    default:
      assertNever(input);
  }
  advance(turn);
  settleTimers(turn);
  return turn;
}

/**
 * From request to commit: the rules below are tried in this order after every input. Whatever a replica says comes
 * back to it as a message, so each decision takes several steps.
 */
function advance(turn: Turn): void {
  if (turn.state.executing !== null || takeTransferred(turn)) return;
  joinLaterView(turn);
  announceNewView(turn);
  takeWaitingNewView(turn);
  propose(turn);
  prepare(turn);
  commit(turn);
  decide(turn);
  if (turn.state.executing === null) settleCheckpoint(turn);
}

/** The primary proposes one batch at a time: what its view is bound to, else what has waited longest [CONS-7]. */
function propose(turn: Turn): void {
  const { state } = turn;
  if (!state.active || primaryOfView(state) !== state.id || ownVote(state) !== null) return;
  const bound = boundDigest(state);
  const batch = bound === null ? nextBatch(state) : findBatch(state, bound);
  if (batch === null || batch.length === 0) return;
  const digest = decisionDigest(state.digest, batch);
  speak(turn, { kind: 'pre-prepare', view: state.view, sequence: openSequence(state), digest }, batch);
}

/** A backup accepts the first proposal of its view that the view allows and that repeats no operation [CONS-8]. */
function prepare(turn: Turn): void {
  const { state } = turn;
  const proposal = state.ballots.get(state.view)?.proposal;
  if (!state.active || !isMember(state) || proposal == null || ownVote(state) !== null) return;
  const { digest, view, sequence } = proposal.statement.content;
  const bound = boundDigest(state);
  if (bound === null ? repeatsOperation(state, proposal.batch) : !bytesEqual(bound, digest)) return;
  speak(turn, { kind: 'prepare', view, sequence, digest });
}

/** A quorum of votes to prepare excludes any other batch in this view; the certificate carries that to later views [CONS-9]. */
function commit(turn: Turn): void {
  const { state, effects } = turn;
  const ballot = state.ballots.get(state.view);
  const vote = ownVote(state);
  if (!state.active || ballot?.proposal == null || vote === null) return;
  const { digest, view, sequence } = ballot.proposal.statement.content;
  if (!bytesEqual(vote.digest, digest)) return;
  if (ownStatement(state, `commit/${sequence}/${view}`) !== null) return;
  const signatures = quorumFor(state, ballot.prepares, digest);
  if (signatures === null) return;
  state.prepared = { certificate: { view, sequence, digest, signatures }, batch: ballot.proposal.batch };
  effects.push({ type: 'persist', record: { type: 'prepared', ...state.prepared } });
  speak(turn, { kind: 'commit', view, sequence, digest });
}

/** A quorum of commits in any view decides the sequence for ever [CONS-10]. */
function decide(turn: Turn): void {
  const { state } = turn;
  for (const { view, commits } of state.ballots.values()) {
    if (!isQuorum(state.configuration, commits.keys())) continue;
    for (const { content } of commits.values()) {
      const { digest, sequence } = content;
      const signatures = quorumFor(state, commits, digest);
      if (signatures === null) continue;
      const batch = findBatch(state, digest);
      if (batch !== null) {
        commitDecision(turn, { sequence, batch, certificate: { view, sequence, digest, signatures } });
      } else {
        for (const { sender } of signatures) noteClaim(state, sender, sequence);
      }
      return;
    }
  }
}

function handleMessage(turn: Turn, statement: Verified<Statement>): void {
  const { content } = statement;
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
    case 'commit':
      handleVote(turn, withContent(statement, content));
      break;
    case 'checkpoint':
      handleCheckpoint(turn, withContent(statement, content));
      break;
    case 'view-change':
      handleViewChange(turn, withContent(statement, content));
      break;
    case 'new-view':
      handleNewView(turn, withContent(statement, content));
      break;
    case 'status':
      handleStatus(turn, withContent(statement, content));
      break;
    default:
      assertNever(content);
  }
}

function handleVote(turn: Turn, statement: Verified<Statement<Vote>>): void {
  const { state } = turn;
  const { sender, content } = statement;
  const { view, sequence } = content;
  // Who votes at a sequence has executed all before it.
  noteClaim(state, sender, sequence - 1);
  if (sequence <= state.committed) return; // [CONS-18]
  if (sequence > openSequence(state) || state.executing !== null) {
    keepForLater(state, statement);
    return;
  }
  if (!state.configuration.byId.has(sender)) return;
  if (Math.abs(view - state.view) > VIEW_DISTANCE_MAX) return;
  if (catchContradiction(turn, statement)) {
    // A primary that proposes two batches is not worth the wait for the timer.
    if (view === state.view && sender === primaryOfView(state)) startViewChange(turn, view + 1);
    return;
  }
  recordVote(turn, ballotOf(state, view), statement);
}

function recordVote(turn: Turn, ballot: Ballot, statement: Verified<Statement<Vote>>): void {
  const { state } = turn;
  const { sender, content, message } = statement;
  const isPrimary = sender === primaryOf(state.configuration, ballot.view);
  switch (content.kind) {
    case 'pre-prepare':
      if (!isPrimary || ballot.proposal !== null) return;
      if (message.batch.length === 0) return;
      if (!bytesEqual(decisionDigest(state.digest, message.batch), content.digest)) return;
      ballot.proposal = { statement, batch: message.batch };
      ballot.prepares.set(sender, statement);
      return;
    case 'prepare':
      // The primary votes by its pre-prepare; certificates count on that.
      if (isPrimary || ballot.prepares.has(sender)) return;
      ballot.prepares.set(sender, statement);
      shareProposal(turn, ballot, statement);
      return;
    case 'commit':
      if (!ballot.commits.has(sender)) ballot.commits.set(sender, statement);
      return;
    default:
      assertNever(content.kind);
  }
}

/** A vote for another batch than the one proposed here: show its sender the proposal, so that both have the proof. */
function shareProposal({ effects }: Turn, { proposal }: Ballot, vote: Statement<Vote>): void {
  if (proposal === null || bytesEqual(proposal.statement.content.digest, vote.content.digest)) return;
  effects.push({ type: 'relay', to: vote.sender, message: stripBatch(proposal.statement.message) });
}

/** Holds what is said about the next sequence while this one is still open, a few statements of each sender. */
function keepForLater(state: ReplicaState, statement: Verified<Statement<Vote>>): void {
  const { sender, content } = statement;
  if (content.sequence > openSequence(state) + 1) return;
  const slots = state.future.get(sender) ?? new Map<string, Verified<Statement>>();
  if (!state.future.has(sender)) {
    if (!state.configuration.byId.has(sender)) return;
    state.future.set(sender, slots);
  }
  if (slots.size < FUTURE_STATEMENTS_MAX) slots.set(slotOf(content), statement);
}

function handleRequest({ state, effects }: Turn, operation: Uint8Array): void {
  const id = operationId(operation);
  if (state.pending.has(id)) return;
  const reason = refusalOf(state, operation, id);
  if (reason !== null) {
    effects.push({ type: 'refuse', operation, reason });
    return;
  }
  state.pending.set(id, operation);
  state.pendingBytes += operation.length;
}

function refusalOf(state: ReplicaState, operation: Uint8Array, id: string): RefusalReason | null {
  if (operation.length === 0 || operation.length > OPERATION_BYTES_MAX) return 'operation-size';
  if (state.executed.has(id)) return 'already-executed';
  if (state.pending.size >= PENDING_OPERATIONS_MAX) return 'pending-full';
  if (state.pendingBytes + operation.length > PENDING_BYTES_MAX) return 'pending-full';
  return null;
}

function handleExecuted(turn: Turn, sequence: number, members: readonly Member[] | null): void {
  const { state, effects } = turn;
  assert(
    state.executing !== null && sequence === state.committed,
    `executed: got sequence ${sequence}, want ${state.committed} while it is being executed`,
  );
  if (members !== null) createConfiguration(members);
  effects.push({ type: 'persist', record: { type: 'executed', sequence, members } });
  applyExecution(state, members);
  speakCheckpoint(turn);
  for (const statement of takeFuture(state)) handleMessage(turn, statement);
}

function takeFuture(state: ReplicaState): Verified<Statement>[] {
  const due: Verified<Statement>[] = [];
  for (const slots of state.future.values()) due.push(...slots.values());
  state.future.clear();
  return due;
}

function handleTimeout(turn: Turn, id: TimerId): void {
  const { state } = turn;
  switch (id) {
    case 'progress':
      if (state.timers.progress === null) return;
      state.timers.progress = null;
      startViewChange(turn, state.view + 1);
      return;
    case 'pulse':
      state.timers.pulse = null;
      pulse(turn);
      return;
    case 'catch-up':
      state.timers.catchUp = false;
      if (isBehind(state) && state.executing === null) askForDecisions(turn);
      return;
    default:
      assertNever(id);
  }
}

/** What the replica itself has voted to prepare in its current view, or null. */
function ownVote(state: ReplicaState): Vote | null {
  const content = ownStatement(state, `vote/${openSequence(state)}/${state.view}`);
  return content !== null && (content.kind === 'pre-prepare' || content.kind === 'prepare') ? content : null;
}

/** The digest that the new view demands at the open sequence, or null when it leaves the choice. */
function boundDigest({ anchor, committed }: ReplicaState): Uint8Array | null {
  return anchor !== null && anchor.sequence === committed + 1 ? anchor.digest : null;
}

function nextBatch(state: ReplicaState): Batch {
  const batch: Uint8Array[] = [];
  let batchBytes = 0;
  for (const operation of state.pending.values()) {
    batchBytes += operation.length;
    if (batch.length === BATCH_OPERATIONS_MAX || batchBytes > BATCH_BYTES_MAX) break;
    batch.push(operation);
  }
  return batch;
}

/** Every replica has executed the same history, so all honest ones agree on what is a repetition [CONS-12]. */
function repeatsOperation(state: ReplicaState, batch: Batch): boolean {
  const ids = new Set(batch.map(operationId));
  if (ids.size !== batch.length) return true;
  for (const id of ids) {
    if (state.executed.has(id)) return true;
  }
  return false;
}

/** The signatures for one digest, ordered by sender, when they make a quorum. */
function quorumFor(
  state: ReplicaState,
  votes: ReadonlyMap<string, Statement<Vote>>,
  digest: Uint8Array,
): MemberSignature[] | null {
  const matching = [...votes.values()].filter(({ content }) => bytesEqual(content.digest, digest));
  if (
    !isQuorum(
      state.configuration,
      matching.map(({ sender }) => sender),
    )
  )
    return null;
  matching.sort((a, b) => (a.sender < b.sender ? -1 : 1));
  return matching.map(({ sender, message }) => ({ sender, signature: message.signature }));
}

/** Narrows a statement to the kind that its content was found to have. */
function withContent<C extends Statement['content']>(
  statement: Verified<Statement>,
  content: C,
): Verified<Statement<C>> {
  return { ...statement, content };
}
