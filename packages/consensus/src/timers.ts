import { askForDecisions, isBehind, isFarBehind } from './catch-up.ts';
import { BACKOFF_DOUBLINGS_MAX, FORWARD_OPERATIONS_MAX, REPEATED_SEQUENCES_MAX } from './limits.ts';
import { travelsWith } from './speech.ts';
import {
  epochEnd,
  highWatermark,
  mayVote,
  openAnchor,
  openSequence,
  type ReplicaState,
  type Turn,
} from './state.ts';
import { isViewAwaited } from './view-change.ts';

/** Brings the timers in line with the state at the end of a step; each is started only when its subject changes. */
export function settleTimers(turn: Turn): void {
  settleProgress(turn);
  settlePulse(turn);
  settleCatchUp(turn);
}

/**
 * The progress timer watches the oldest pending operation, not progress as such: a primary that keeps deciding other
 * operations but leaves out one is given up too [CONS-13].
 */
function settleProgress({ state, effects }: Turn): void {
  const { timers, view, settings } = state;
  const subject = progressSubject(state);
  if (subject === timers.progress && (subject === null || view === timers.progressView)) return;
  timers.progress = subject;
  timers.progressView = view;
  if (subject === null) {
    effects.push({ type: 'stopTimer', id: 'progress' });
    return;
  }
  const timeoutMs = settings.progressTimeoutMs * 2 ** Math.min(state.attempts, BACKOFF_DOUBLINGS_MAX);
  effects.push({ type: 'startTimer', id: 'progress', timeoutMs });
}

/** What the replica waits for: an operation, a sequence, the end of the epoch or a new view. */
function progressSubject(state: ReplicaState): string | number | null {
  if (!mayVote(state)) return null;
  if (!state.active) return isViewAwaited(state) ? 'new view' : null;
  // Not the primary is slow but the application: nothing can be voted on until it has caught up.
  if (openSequence(state) > highWatermark(state)) return null;
  const [oldest] = state.pending.keys();
  if (oldest !== undefined) return oldest;
  if (state.accepted.length > 0 || openAnchor(state) !== null) return openSequence(state);
  return epochEnd(state) === null ? null : 'epoch';
}

function settlePulse({ state, effects }: Turn): void {
  const pace = isBusy(state) ? 'busy' : 'idle';
  if (pace === state.timers.pulse) return;
  state.timers.pulse = pace;
  const { pulseMs, idlePulseMs } = state.settings;
  effects.push({ type: 'startTimer', id: 'pulse', timeoutMs: pace === 'busy' ? pulseMs : idlePulseMs });
}

function isBusy(state: ReplicaState): boolean {
  return !state.active || state.pending.size > 0 || state.ballots.size > 0 || isBehind(state);
}

/**
 * Says where the replica stands. When it has not moved since the last pulse, also repeats what may have been lost: its
 * first open statements and the oldest pending operations.
 */
export function pulse({ state, effects }: Turn): void {
  const { view, committed, configuration, timers } = state;
  const { epoch } = configuration;
  const evidence = new Uint8Array(0);
  effects.push({
    type: 'broadcast',
    content: { kind: 'status', epoch, view, committed },
    batch: [],
    evidence,
  });
  const hasMoved = timers.pulsedAt !== committed || timers.pulsedView !== view;
  timers.pulsedAt = committed;
  timers.pulsedView = view;
  if (hasMoved) return;
  for (const own of state.own.values()) effects.push({ type: 'broadcast', ...own });
  if (!isBusy(state)) return;
  for (let ahead = 1; ahead <= REPEATED_SEQUENCES_MAX; ahead++)
    repeatVotes({ state, effects }, committed + ahead);
  const anchor = state.anchor?.sequence ?? 0;
  if (anchor > committed + REPEATED_SEQUENCES_MAX) repeatVotes({ state, effects }, anchor);
  let forwarded = 0;
  for (const operation of state.pending.values()) {
    if (forwarded++ === FORWARD_OPERATIONS_MAX) break;
    effects.push({ type: 'forward', operation });
  }
}

/** What the replica has said at a sequence in its view. */
function repeatVotes({ state, effects }: Turn, sequence: number): void {
  const ballot = state.ballots.get(sequence)?.get(state.view);
  for (const own of [ballot?.ownVote, ballot?.ownCommit]) {
    if (own === null || own === undefined) continue;
    const batch = travelsWith(own.content) ? own.batch : [];
    effects.push({ type: 'broadcast', content: own.content, batch, evidence: own.evidence });
  }
}

function settleCatchUp(turn: Turn): void {
  const { state, effects } = turn;
  if (!isBehind(state)) {
    if (state.timers.catchUp) effects.push({ type: 'stopTimer', id: 'catch-up' });
    state.timers.catchUp = false;
    state.asked = null;
    return;
  }
  if (state.transfer.length > 0) return;
  const wasAnswered = state.asked !== null && state.asked.committed < state.committed;
  if (state.timers.catchUp && !wasAnswered) return;
  state.asked = null;
  if (isFarBehind(state) || wasAnswered) askForDecisions(turn);
  startCatchUp(turn);
}

/** Asks the next peer: the one before has not answered in time, or not with the truth. */
export function askAgain(turn: Turn): void {
  if (!isBehind(turn.state)) return;
  askForDecisions(turn);
  startCatchUp(turn);
}

function startCatchUp({ state, effects }: Turn): void {
  state.timers.catchUp = true;
  effects.push({ type: 'startTimer', id: 'catch-up', timeoutMs: state.settings.catchUpMs });
}
