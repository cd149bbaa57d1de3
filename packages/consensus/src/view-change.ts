import type { Verified } from '@nemea/core';
import { noteClaim } from './catch-up.ts';
import { verifyPreparedCertificate } from './certificate.ts';
import { primaryOf } from './configuration.ts';
import { catchContradiction } from './contradiction.ts';
import { ConsensusError } from './errors.ts';
import type { Anchor } from './journal.ts';
import { VIEW_DISTANCE_MAX } from './limits.ts';
import { type Certificate, type NewView, type Statement, stripBatch, type ViewChange } from './message.ts';
import { includesHonest, isQuorum } from './quorum.ts';
import { ownStatement, pruneOwn, speak } from './speech.ts';
import { findBatch, isMember, openSequence, primaryOfView, type ReplicaState, type Turn } from './state.ts';

/** Gives up the current view: from now on the replica votes in `view` or later only [CONS-14]. */
export function startViewChange(turn: Turn, view: number): void {
  const { state } = turn;
  if (!isMember(state) || state.executing !== null || view <= state.view) return;
  leaveView(state, view);
  const { prepared, committed, configuration } = state;
  speak(
    turn,
    {
      kind: 'view-change',
      epoch: configuration.epoch,
      view,
      committed,
      prepared: prepared?.certificate ?? null,
    },
    prepared?.batch ?? [],
  );
}

/** The part of a view change that a restarted replica repeats. */
export function leaveView(state: ReplicaState, view: number): void {
  state.view = view;
  state.active = false;
  state.anchor = null;
  state.newView = null;
  state.attempts++;
  forgetDistantBallots(state);
  pruneOwn(state);
}

export function handleViewChange(turn: Turn, statement: Verified<Statement<ViewChange>>): void {
  const { state, effects } = turn;
  const { sender, content } = statement;
  noteClaim(state, sender, content.committed);
  if (!state.configuration.byId.has(sender) || content.epoch !== state.configuration.epoch) return;
  if (catchContradiction(turn, statement)) return;

  const kept = state.viewChanges.get(sender)?.statement;
  const isNews =
    kept === undefined ||
    kept.content.view < content.view ||
    (kept.content.view === content.view && kept.message.batch.length === 0);
  if (isNews) state.viewChanges.set(sender, { statement, valid: false, judgedAt: 0 });
  // The sender may have missed the new view that ended its wait.
  if (state.newView !== null && state.newView.content.view >= content.view && sender !== state.id) {
    effects.push({ type: 'relay', to: sender, message: state.newView.message });
  }
}

/** Follows members to a later view once one of them must be honest, without waiting for the own timer [CONS-15]. */
export function joinLaterView(turn: Turn): void {
  const { state } = turn;
  const later = [...state.viewChanges.values()]
    .map(({ statement }) => statement)
    .filter(({ sender, content }) => content.view > state.view && sender !== state.id)
    .sort((a, b) => b.content.view - a.content.view);
  const senders: string[] = [];
  for (const { sender, content } of later) {
    senders.push(sender);
    if (includesHonest(state.configuration, senders)) {
      startViewChange(turn, content.view);
      return;
    }
  }
}

/** True once a quorum has left for this view or a later one, so that waiting for its primary has begun. */
export function isViewAwaited(state: ReplicaState): boolean {
  const senders: string[] = [];
  for (const [sender, { statement }] of state.viewChanges) {
    if (statement.content.view >= state.view) senders.push(sender);
  }
  return isQuorum(state.configuration, senders);
}

/** The primary of the coming view shows a quorum of view changes and thereby opens the view [CONS-16]. */
export function announceNewView(turn: Turn): void {
  const { state } = turn;
  const { view, configuration } = state;
  if (state.active || primaryOfView(state) !== state.id) return;
  if (ownStatement(state, `new-view/${configuration.epoch}/${view}`) !== null) return;
  const usable = [...state.viewChanges.values()]
    .filter((entry) => entry.statement.content.view === view && isUsable(state, entry))
    .map(({ statement }) => statement)
    .sort((a, b) => (a.sender < b.sender ? -1 : 1));
  if (
    !isQuorum(
      configuration,
      usable.map(({ sender }) => sender),
    )
  )
    return;
  const viewChanges = usable.map((statement) => ({ ...statement, message: stripBatch(statement.message) }));
  speak(turn, {
    kind: 'new-view',
    epoch: configuration.epoch,
    view,
    sequence: openSequence(state),
    viewChanges,
  });
}

export function handleNewView(turn: Turn, statement: Verified<Statement<NewView>>): void {
  const { state } = turn;
  const { sender, content } = statement;
  noteClaim(state, sender, content.sequence - 1);
  if (content.epoch < state.configuration.epoch) return;
  if (content.sequence > openSequence(state) || state.executing !== null) {
    keepWaiting(state, statement);
    return;
  }
  if (content.epoch !== state.configuration.epoch) return;
  if (sender !== primaryOf(state.configuration, content.view)) return;
  if (catchContradiction(turn, statement)) return;
  if (content.view < state.view || (content.view === state.view && state.active)) return;
  const anchor = judgeNewView(state, content);
  if (anchor === null) return;
  enterView(turn, statement, anchor);
}

/** Takes up a new view that arrived before its sequence was open here. */
export function takeWaitingNewView(turn: Turn): void {
  const { state } = turn;
  const { waitingNewView } = state;
  if (waitingNewView === null || waitingNewView.content.sequence > openSequence(state)) return;
  state.waitingNewView = null;
  handleNewView(turn, waitingNewView);
}

/** One new view is kept, the latest, and only of the sequence that opens next. */
function keepWaiting(state: ReplicaState, statement: Verified<Statement<NewView>>): void {
  const { view, sequence } = statement.content;
  if (sequence > openSequence(state) + 1 || !state.configuration.byId.has(statement.sender)) return;
  const kept = state.waitingNewView?.content;
  const isLater =
    kept === undefined || kept.sequence < sequence || (kept.sequence === sequence && kept.view < view);
  if (isLater) state.waitingNewView = statement;
}

function enterView(turn: Turn, { message, sender, content }: Statement<NewView>, anchor: Anchor): void {
  const { state, effects } = turn;
  const newView = { message: stripBatch(message), sender, content };
  effects.push({
    type: 'persist',
    record: { type: 'entered', view: content.view, anchor, newView: newView.message },
  });
  applyEntry(state, newView, anchor);
}

/** The part of entering a view that a restarted replica repeats. */
export function applyEntry(state: ReplicaState, newView: Statement<NewView>, anchor: Anchor): void {
  state.view = newView.content.view;
  state.active = true;
  state.anchor = anchor;
  state.newView = newView;
  forgetDistantBallots(state);
  pruneOwn(state);
}

/**
 * What the view changes oblige the view to propose: the batch of the highest view that a quorum has prepared at its
 * sequence, or any. Null when they prove nothing. A quorum that had not committed the sequence leaves no decision out,
 * because every deciding quorum shares an honest member with it [CONS-16].
 */
function judgeNewView(state: ReplicaState, { view, sequence, epoch, viewChanges }: NewView): Anchor | null {
  const sound = viewChanges.every(
    ({ content }) => content.view === view && content.epoch === epoch && content.committed < sequence,
  );
  if (
    !sound ||
    !isQuorum(
      state.configuration,
      viewChanges.map(({ sender }) => sender),
    )
  )
    return null;
  let best: Certificate | null = null;
  for (const { content } of viewChanges) {
    const { prepared } = content;
    if (prepared?.sequence === sequence && (best === null || prepared.view > best.view)) best = prepared;
  }
  if (best === null) return { sequence, digest: null };
  return certificateHolds(state, best) ? { sequence, digest: best.digest } : null;
}

/** A view change counts when its prepared certificate holds and the batch is at hand to be proposed again. */
function isUsable(
  state: ReplicaState,
  entry: { statement: Verified<Statement<ViewChange>>; valid: boolean; judgedAt: number },
): boolean {
  const { committed, prepared } = entry.statement.content;
  if (committed > state.committed) return false;
  if (prepared === null || prepared.sequence < openSequence(state)) return true;
  if (entry.judgedAt !== openSequence(state)) {
    entry.judgedAt = openSequence(state);
    entry.valid = certificateHolds(state, prepared);
  }
  return entry.valid && findBatch(state, prepared.digest) !== null;
}

function certificateHolds(state: ReplicaState, certificate: Certificate): boolean {
  try {
    verifyPreparedCertificate(state, certificate);
    return true;
  } catch (error) {
    if (error instanceof ConsensusError) return false;
    throw error;
  }
}

function forgetDistantBallots(state: ReplicaState): void {
  for (const view of state.ballots.keys()) {
    if (Math.abs(view - state.view) > VIEW_DISTANCE_MAX) state.ballots.delete(view);
  }
}
