import type { Verified } from '@nemea/core';
import { ballotOf, learnProposal } from './ballot.ts';
import { askForBatches, mayHelp, noteClaim } from './catch-up.ts';
import { holds, verifyPreparedCertificate } from './certificate.ts';
import { primaryOf } from './configuration.ts';
import { catchContradiction } from './contradiction.ts';
import { accept, forgetAbandoned, retract } from './decision.ts';
import { VIEW_DISTANCE_MAX } from './limits.ts';
import {
  type Certificate,
  encodeNewViewEvidence,
  encodeSignatures,
  evidenceDigest,
  type MemberSignature,
  type NewView,
  NO_EVIDENCE,
  parseNewViewEvidence,
  parseSignatures,
  type SignedMessage,
  type Statement,
  type Tip,
  type ViewChange,
} from './message.ts';
import { includesHonest, isQuorum } from './quorum.ts';
import { pruneOwn, speak } from './speech.ts';
import {
  acceptedEnd,
  highWatermark,
  mayVote,
  openAnchor,
  pathTo,
  primaryOfView,
  type ReplicaState,
  type Turn,
  type ViewChangeEntry,
} from './state.ts';

/** Gives up the current view: from now on the replica votes in `view` or later only [CONS-14]. */
export function startViewChange(turn: Turn, view: number): void {
  const { state } = turn;
  if (!mayVote(state) || view <= state.view) return;
  leaveView(state, view);
  const { tip, committed, configuration } = state;
  speak(
    turn,
    {
      kind: 'view-change',
      epoch: configuration.epoch,
      view,
      committed,
      tip: tip === null ? null : tipOf(tip),
    },
    [],
    tip === null ? NO_EVIDENCE : encodeSignatures(tip.signatures),
  );
}

/** The part of a view change that a restarted replica repeats. */
export function leaveView(state: ReplicaState, view: number): void {
  retract(state);
  state.view = view;
  state.active = false;
  state.anchor = null;
  state.newView = null;
  state.committedTo = 0;
  state.attempts++;
  forgetAbandoned(state);
  forgetDistantBallots(state);
  pruneOwn(state);
}

export function handleViewChange(turn: Turn, statement: Verified<Statement<ViewChange>>): void {
  const { state, effects } = turn;
  const { sender, content } = statement;
  noteClaim(state, sender, content.committed);
  if (!state.configuration.byId.has(sender) || content.epoch !== state.configuration.epoch) return;
  if (catchContradiction(turn, statement)) return;

  const kept = state.viewChanges.get(sender);
  const isNews =
    kept === undefined ||
    kept.statement.content.view < content.view ||
    (kept.statement.content.view === content.view && kept.isValid !== true);
  if (isNews) state.viewChanges.set(sender, { statement, isValid: null });
  // The sender may have missed the new view that ended its wait [CONS-17].
  if (state.newView !== null && state.view >= content.view && mayHelp(state, sender)) {
    effects.push({ type: 'relay', to: sender, message: state.newView });
  }
}

/** Follows members to a later view once one of them must be honest, without waiting for the own timer [CONS-15]. */
export function joinLaterView(turn: Turn): void {
  const { state } = turn;
  if (state.viewChanges.size === 0) return;
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

/** The primary of the coming view shows view changes of a quorum and thereby opens the view [CONS-16]. */
export function announceNewView(turn: Turn): void {
  const { state } = turn;
  const { view, configuration } = state;
  if (state.active || !mayVote(state) || primaryOfView(state) !== state.id) return;
  if (state.own.has(`new-view/${configuration.epoch}/${view}`)) return;
  const usable = usableViewChanges(turn);
  if (usable === null) return;
  usable.sort((a, b) => (a.sender < b.sender ? -1 : 1));
  const anchor = highestTip(usable);
  const evidence = encodeNewViewEvidence({
    viewChanges: usable,
    signatures: anchor === null ? [] : parseSignatures(anchor.message.evidence),
  });
  const digest = evidenceDigest(evidence);
  speak(turn, { kind: 'new-view', epoch: configuration.epoch, view, evidence: digest }, [], evidence);
}

/**
 * View changes of a quorum for the view, whose highest tip can be repeated, or null as long as there are none. An honest
 * member has the batches that lead to its tip, and gives them to whoever asks. A faulty one may show a tip whose batches
 * all others have forgotten: without it the quorum comes about all the same, and a view bound to it would go nowhere.
 */
function usableViewChanges(turn: Turn): Statement<ViewChange>[] | null {
  const { configuration, view, viewChanges } = turn.state;
  const isEnough = (shown: readonly Statement<ViewChange>[]) =>
    isQuorum(
      configuration,
      shown.map(({ sender }) => sender),
    );
  const waiting = [...viewChanges.values()].filter(({ statement }) => statement.content.view === view);
  if (!isEnough(waiting.map(({ statement }) => statement))) return null;
  let usable = waiting.filter((entry) => isProven(turn, entry)).map(({ statement }) => statement);
  while (isEnough(usable)) {
    const highest = highestTip(usable);
    if (highest === null || isWithinReach(turn.state, highest.content.tip as Tip)) return usable;
    usable = usable.filter((statement) => statement !== highest);
  }
  return null;
}

/** Whether nothing that leads to a tip is missing here. */
function isWithinReach(state: ReplicaState, tip: Tip): boolean {
  return tip.sequence <= state.committed || pathTo(state, tip) !== null;
}

export function handleNewView(turn: Turn, statement: Verified<Statement<NewView>>): void {
  const { state, effects } = turn;
  const { sender, content, message } = statement;
  if (content.epoch !== state.configuration.epoch) return;
  if (sender !== primaryOf(state.configuration, content.view)) return;
  if (catchContradiction(turn, statement)) return;
  if (content.view < state.view || (content.view === state.view && state.active)) return;
  const judged = judgeNewView(state, content, message);
  if (judged === null) return;
  effects.push({ type: 'persist', record: { type: 'entered', newView: message } });
  enterView(state, content.view, message, judged.anchor);
  const primary = primaryOfView(state);
  askForBatches(turn, judged.anchor, primary === state.id ? null : primary);
}

/** The part of entering a view that a restarted replica repeats. */
export function enterView(
  state: ReplicaState,
  view: number,
  newView: SignedMessage,
  anchor: Tip | null,
): void {
  retract(state);
  state.view = view;
  state.active = true;
  state.anchor = anchor;
  state.newView = newView;
  state.committedTo = 0;
  for (const [id, { statement }] of state.viewChanges) {
    if (statement.content.view <= view) state.viewChanges.delete(id);
  }
  forgetAbandoned(state);
  forgetDistantBallots(state);
  pruneOwn(state);
}

/**
 * Accepts all that the view is bound to repeat, once the batches are here: the view proposes it, not the primary.
 * Returns whether votes on anything may follow [CONS-16]. They are written down: no vote of this view brings them.
 */
export function acceptBound({ state, effects }: Turn): boolean {
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

/**
 * What the view changes oblige the view to repeat: all up to the highest tip among them. Null when they prove nothing.
 * Whatever was decided in a lower view lies on the way to that tip [CONS-16].
 */
export function judgeNewView(
  state: ReplicaState,
  { view, epoch }: NewView,
  message: SignedMessage,
): { anchor: Tip | null } | null {
  const { viewChanges, signatures } = parseNewViewEvidence(message.evidence);
  const isSound = viewChanges.every(({ content }) => content.view === view && content.epoch === epoch);
  const senders = viewChanges.map(({ sender }) => sender);
  if (!isSound || !isQuorum(state.configuration, senders)) return null;
  const tip = highestTip(viewChanges)?.content.tip ?? null;
  if (tip === null) return { anchor: null };
  return certificateHolds(state, tip, signatures) ? { anchor: tip } : null;
}

function highestTip(viewChanges: readonly Statement<ViewChange>[]): Statement<ViewChange> | null {
  let best: Statement<ViewChange> | null = null;
  for (const statement of viewChanges) {
    const { tip } = statement.content;
    if (tip !== null && (best === null || isHigher(tip, best.content.tip as Tip))) best = statement;
  }
  return best;
}

/** By view, then by sequence: what was prepared last covers what was decided before [CONS-16]. */
export function isHigher(a: Tip, b: Tip): boolean {
  return a.view > b.view || (a.view === b.view && a.sequence > b.sequence);
}

/** A view change counts when its tip is proven: only then can the new view be. Its sender is asked for what is missing here. */
function isProven(turn: Turn, entry: ViewChangeEntry): boolean {
  const { state } = turn;
  const { content, message, sender } = entry.statement;
  const { tip } = content;
  if (tip === null) return true;
  if (entry.isValid === null) {
    const { epoch } = state.configuration;
    entry.isValid = holds(() => {
      const signatures = parseSignatures(message.evidence);
      verifyPreparedCertificate(state, { epoch, ...tip, signatures });
    });
    if (entry.isValid) askForBatches(turn, tip, sender);
  }
  return entry.isValid;
}

function certificateHolds(state: ReplicaState, tip: Tip, signatures: readonly MemberSignature[]): boolean {
  const { epoch } = state.configuration;
  return holds(() => verifyPreparedCertificate(state, { epoch, ...tip, signatures }));
}

function tipOf({ view, sequence, digest }: Certificate): Tip {
  return { view, sequence, digest };
}

/** Keeps whatever the replica itself has said in a view in which it may still vote. */
function forgetDistantBallots(state: ReplicaState): void {
  for (const views of state.ballots.values()) {
    for (const view of views.keys()) {
      if (Math.abs(view - state.view) > VIEW_DISTANCE_MAX) views.delete(view);
    }
  }
}
