import { askForDecisions, isBehind, isFarBehind } from './catch-up.ts';
import { BACKOFF_DOUBLINGS_MAX, FORWARD_OPERATIONS_MAX } from './limits.ts';
import { isMember, openSequence, type ReplicaState, type Turn } from './state.ts';
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
  const subject = progressSubject(state);
  if (subject === state.timers.progress) return;
  state.timers.progress = subject;
  if (subject === null) {
    effects.push({ type: 'stopTimer', id: 'progress' });
    return;
  }
  const timeoutMs = state.settings.progressTimeoutMs * 2 ** Math.min(state.attempts, BACKOFF_DOUBLINGS_MAX);
  effects.push({ type: 'startTimer', id: 'progress', timeoutMs });
}

function progressSubject(state: ReplicaState): string | null {
  if (state.executing !== null) return state.timers.progress;
  if (!isMember(state)) return null;
  if (!state.active) return isViewAwaited(state) ? `view ${state.view}` : null;
  const [oldest] = state.pending.keys();
  if (oldest !== undefined) return `operation ${oldest} in view ${state.view}`;
  const hasProposal = (state.ballots.get(state.view)?.proposal ?? null) !== null;
  return hasProposal ? `sequence ${openSequence(state)} in view ${state.view}` : null;
}

function settlePulse({ state, effects }: Turn): void {
  const pace = isBusy(state) ? 'busy' : 'idle';
  if (pace === state.timers.pulse) return;
  state.timers.pulse = pace;
  const { pulseMs, idlePulseMs } = state.settings;
  effects.push({ type: 'startTimer', id: 'pulse', timeoutMs: pace === 'busy' ? pulseMs : idlePulseMs });
}

function isBusy(state: ReplicaState): boolean {
  const hasProposal = (state.ballots.get(state.view)?.proposal ?? null) !== null;
  return !state.active || state.pending.size > 0 || hasProposal || isBehind(state);
}

/**
 * Says where the replica stands. When it has not moved since the last pulse, also repeats what may have been lost: its
 * open statements and the oldest pending operations.
 */
export function pulse({ state, effects }: Turn): void {
  const { view, committed } = state;
  effects.push({ type: 'broadcast', content: { kind: 'status', view, committed }, batch: [] });
  const place = placeOf(state);
  const hasMoved = state.timers.pulsedAt !== place;
  state.timers.pulsedAt = place;
  if (hasMoved || !isBusy(state)) return;
  for (const { content, batch } of state.own.values()) effects.push({ type: 'broadcast', content, batch });
  let forwarded = 0;
  for (const operation of state.pending.values()) {
    if (forwarded++ === FORWARD_OPERATIONS_MAX) break;
    effects.push({ type: 'forward', operation });
  }
}

/** Where the replica stands, as one value. */
export function placeOf({ view, committed }: ReplicaState): string {
  return `${view}/${committed}`;
}

function settleCatchUp(turn: Turn): void {
  const { state, effects } = turn;
  if (!isBehind(state)) {
    if (state.timers.catchUp) effects.push({ type: 'stopTimer', id: 'catch-up' });
    state.timers.catchUp = false;
    state.asked = null;
    return;
  }
  if (state.executing !== null || state.transfer.length > 0) return;
  const wasAnswered = state.asked !== null && state.asked.committed < state.committed;
  if (state.timers.catchUp && !wasAnswered) return;
  state.asked = null;
  if (isFarBehind(state)) askForDecisions(turn);
  state.timers.catchUp = true;
  effects.push({ type: 'startTimer', id: 'catch-up', timeoutMs: state.settings.catchUpMs });
}
