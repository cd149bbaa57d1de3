import { assert, assertNever, bytesEqual, type Verified } from '@nemea/core';
import {
  askForBatches,
  handleDecisions,
  handleStatus,
  handleSupply,
  handleWant,
  noteClaim,
  takeTransferred,
} from './catch-up.ts';
import { handleCheckpoint, handleTransfer, speakCheckpoint } from './checkpoint.ts';
import { type Configuration, createConfiguration, type Member, primaryOf } from './configuration.ts';
import { catchContradiction } from './contradiction.ts';
import { accept, applyExecution, commitDecision, isOrdered } from './decision.ts';
import type { Effect, RefusalReason } from './effect.ts';
import type { Input, TimerId } from './input.ts';
import {
  BATCH_BYTES_MAX,
  BATCH_OPERATIONS_MAX,
  FUTURE_STATEMENTS_MAX,
  MEMBERS_MAX,
  OPERATION_BYTES_MAX,
  PENDING_BYTES_MAX,
  PENDING_OPERATIONS_MAX,
  VIEW_DISTANCE_MAX,
  VOTES_AHEAD_MAX,
  WINDOW,
} from './limits.ts';
import {
  type Batch,
  type Certificate,
  type MemberSignature,
  type Statement,
  stripMessage,
  type Vote,
} from './message.ts';
import { joinIds, operationId } from './operation.ts';
import { hasQuorum } from './quorum.ts';
import { speak } from './speech.ts';
import {
  acceptedEnd,
  type Ballot,
  ballotOf,
  epochEnd,
  findBallot,
  findProposal,
  highWatermark,
  initialState,
  intervalEnd,
  makeProposal,
  mayVote,
  openAnchor,
  openSequence,
  type Proposal,
  pathTo,
  primaryOfView,
  type ReplicaOptions,
  type ReplicaState,
  type Turn,
  type Votes,
} from './state.ts';
import { askAgain, pulse, settleTimers } from './timers.ts';
import {
  announceNewView,
  handleNewView,
  handleViewChange,
  isHigher,
  joinLaterView,
  startViewChange,
} from './view-change.ts';

/** A new replica at sequence 0, and the effects that make it heard. Throws `CONFIGURATION_INVALID`. */
export function createReplica(options: ReplicaOptions): { state: ReplicaState; effects: Effect[] } {
  return resume(initialState(options));
}

/** Starts the timers and says where the replica stands; after a restart also what it may not have got across. */
export function resume(state: ReplicaState): { state: ReplicaState; effects: Effect[] } {
  const turn: Turn = { state, effects: [] };
  state.timers.pulsedAt = state.committed;
  state.timers.pulsedView = state.view;
  pulse(turn);
  execute(turn);
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
      // Most votes come after their quorum and change nothing: the rest of the step is for those that do.
      if (!handleMessage(turn, input.statement)) return turn;
      break;
    case 'request':
      handleRequest(turn, input.operation);
      break;
    case 'executed':
      handleExecuted(turn, input);
      break;
    case 'decisions':
      handleDecisions(turn, input.decisions);
      break;
    case 'transfer':
      if (!state.isExecuting) handleTransfer(turn, input.transfer);
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
 * back to it as a message, so each decision takes several steps. Many sequences are on their way at the same time.
 */
function advance(turn: Turn): void {
  takeTransferred(turn);
  decide(turn);
  takeFuture(turn);
  joinLaterView(turn);
  announceNewView(turn);
  propose(turn);
  prepare(turn);
  commit(turn);
  execute(turn);
}

/** A client's operation waits for its turn; the primary need not be the one that it was given to [CONS-13]. */
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
  if (!isOrdered(state, id)) state.unproposed.set(id, operation);
}

function refusalOf(state: ReplicaState, operation: Uint8Array, id: string): RefusalReason | null {
  if (operation.length === 0 || operation.length > OPERATION_BYTES_MAX) return 'operation-size';
  if (isOrdered(state, id) && !isAccepted(state, id)) return 'already-executed';
  if (state.pending.size >= PENDING_OPERATIONS_MAX) return 'pending-full';
  if (state.pendingBytes + operation.length > PENDING_BYTES_MAX) return 'pending-full';
  return null;
}

/**
 * The primary repeats what its view is bound to [CONS-16]. On top of that it proposes batch upon batch, each following
 * from the one before, up to the high watermark: what has waited longest first [CONS-7].
 */
function propose(turn: Turn): void {
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
function prepare(turn: Turn): void {
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

/**
 * Accepts all that the view is bound to repeat, once the batches are here: the view proposes it, not the primary.
 * Returns whether votes on anything may follow [CONS-16]. They are written down: no vote of this view brings them.
 */
function acceptBound({ state, effects }: Turn): boolean {
  const anchor = openAnchor(state);
  if (anchor === null || acceptedEnd(state).sequence >= anchor.sequence) return true;
  if (anchor.sequence > highWatermark(state)) return false;
  const path = pathTo(state, anchor);
  if (path === null) return false;
  for (const proposal of path) {
    accept(state, proposal, true);
    const { sequence, parent, digest, batch } = proposal;
    if (sequence < anchor.sequence) {
      effects.push({ type: 'persist', record: { type: 'repeated', sequence, parent, batch } });
    }
    learnProposal(state, ballotOf(state, sequence, state.view), digest, batch);
  }
  return true;
}

/** Votes to prepare what is accepted at a sequence, unless that was said already. */
function vote(turn: Turn, kind: 'pre-prepare' | 'prepare', sequence: number): void {
  const { accepted, committed, configuration, view } = turn.state;
  const { digest, batch } = accepted[sequence - committed - 1] as Proposal;
  if ((findBallot(turn.state, sequence, view)?.ownVote ?? null) !== null) return;
  speak(turn, { kind, epoch: configuration.epoch, view, sequence, digest }, batch);
}

/**
 * A quorum of votes to prepare excludes any other batch in this view. What the view is bound to repeat is prepared as
 * one, by votes for the anchor alone. Who commits carries the certificate of the last to later views [CONS-9].
 */
function commit(turn: Turn): void {
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
function decide(turn: Turn): void {
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
function execute({ state, effects }: Turn): void {
  const [next] = state.waiting;
  if (state.isExecuting || next === undefined) return;
  state.isExecuting = true;
  effects.push({ type: 'commit', decision: next.decision });
}

function handleExecuted(turn: Turn, input: Extract<Input, { type: 'executed' }>): void {
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

/** Returns whether anything may follow from it. */
function handleMessage(turn: Turn, statement: Verified<Statement>): boolean {
  const { content } = statement;
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
    case 'commit':
      return handleVote(turn, statement as Verified<Statement<Vote>>);
    case 'checkpoint':
      return handleCheckpoint(turn, withContent(statement, content));
    case 'view-change':
      handleViewChange(turn, withContent(statement, content));
      return true;
    case 'new-view':
      handleNewView(turn, withContent(statement, content));
      return true;
    case 'status':
      handleStatus(turn, withContent(statement, content));
      return true;
    case 'want':
      handleWant(turn, withContent(statement, content));
      return false;
    case 'supply':
      handleSupply(turn, withContent(statement, content));
      return true;
    default:
      return assertNever(content);
  }
}

function handleVote(turn: Turn, statement: Verified<Statement<Vote>>): boolean {
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
  const place = state.configuration.placeOf.get(sender);
  if (place === undefined || sequence > state.committed + VOTES_AHEAD_MAX) return true;
  if (Math.abs(view - state.view) > VIEW_DISTANCE_MAX) return true;
  const ballot = ballotOf(state, sequence, view);
  if (mayContradict(state, ballot, place) && catchContradiction(turn, statement)) {
    // A primary that proposes two batches is not worth the wait for the timer.
    if (view === state.view && sender === primaryOfView(state)) startViewChange(turn, view + 1);
    return true;
  }
  return recordVote(turn, ballot, statement, place);
}

/** Whether anything is kept of the sender that a closer look is worth. */
function mayContradict(state: ReplicaState, { prepares, commits }: Ballot, place: number): boolean {
  return prepares[place] !== undefined || commits[place] !== undefined || state.viewChanges.size > 0;
}

/** Counts a vote once. Returns whether a rule above may apply now that did not before. */
function recordVote(
  turn: Turn,
  ballot: Ballot,
  statement: Verified<Statement<Vote>>,
  place: number,
): boolean {
  const { configuration } = turn.state;
  const { sender, content, message } = statement;
  const { weight } = configuration.members[place] as Member;
  switch (content.kind) {
    case 'pre-prepare':
      if (sender !== primaryOf(configuration, ballot.view) || ballot.prepares[place] !== undefined)
        return false;
      ballot.prepares[place] = statement;
      // After a restart the own vote has brought the batch back, and only the signature is missing.
      if (ballot.proposal === null) learnProposal(turn.state, ballot, content.digest, message.batch);
      else if (bytesEqual(ballot.proposal.digest, content.digest)) ballot.prepareWeight += weight;
      return true;
    case 'prepare': {
      if (isAgreed(configuration, ballot.prepareWeight, ballot.proposal?.digest, content.digest))
        return false;
      // The primary votes by its pre-prepare; certificates count on that.
      if (ballot.prepares[place] !== undefined || sender === primaryOf(configuration, ballot.view))
        return false;
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
function shareProposal({ state, effects }: Turn, ballot: Ballot, vote: Statement<Vote>): void {
  const { configuration } = state;
  const place = configuration.placeOf.get(primaryOf(configuration, ballot.view)) as number;
  const proposal = ballot.prepares[place];
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

function takeFuture(turn: Turn): void {
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
  decide(turn);
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
      askForBatches(turn, null);
      return;
    case 'catch-up':
      state.timers.catchUp = false;
      askAgain(turn);
      return;
    default:
      assertNever(id);
  }
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

function weightFor({ configuration }: ReplicaState, votes: Votes, digest: Uint8Array): number {
  let weight = 0;
  for (const [place, member] of configuration.members.entries()) {
    const vote = votes[place];
    if (vote !== undefined && bytesEqual(vote.content.digest, digest)) weight += member.weight;
  }
  return weight;
}

/** The signatures for one digest, ordered by sender. */
function signaturesFor({ configuration }: ReplicaState, votes: Votes, digest: Uint8Array): MemberSignature[] {
  const signatures: MemberSignature[] = [];
  for (let place = 0; place < configuration.members.length; place++) {
    const vote = votes[place];
    if (vote === undefined || !bytesEqual(vote.content.digest, digest)) continue;
    signatures.push({ sender: vote.sender, signature: vote.message.signature });
  }
  return signatures;
}

/** Narrows a statement to the kind that its content was found to have. */
function withContent<C extends Statement['content']>(
  statement: Verified<Statement>,
  content: C,
): Verified<Statement<C>> {
  return { ...statement, content };
}
