import { type Decision, verifyDecision } from './certificate.ts';
import { commitDecision } from './decision.ts';
import { ConsensusError } from './errors.ts';
import { CLAIMS_MAX, DECISIONS_MAX } from './limits.ts';
import type { Statement, Status } from './message.ts';
import { openSequence, type ReplicaState, type Turn } from './state.ts';

/**
 * A peer's word that sequences up to `committed` are decided. It is only a reason to ask: what comes back must carry
 * certificates, so a liar costs a question [CONS-19].
 */
export function noteClaim(state: ReplicaState, sender: string, committed: number): void {
  if (sender === state.id || committed <= state.committed) return;
  const known = state.claims.get(sender);
  if (known !== undefined && known >= committed) return;
  if (known === undefined && state.claims.size >= CLAIMS_MAX && !makeRoom(state, sender)) return;
  state.claims.set(sender, committed);
}

/** A member's claim takes the place of a stranger's. */
function makeRoom({ claims, configuration }: ReplicaState, sender: string): boolean {
  if (!configuration.byId.has(sender)) return false;
  for (const id of claims.keys()) {
    if (!configuration.byId.has(id)) return claims.delete(id);
  }
  return false;
}

export function isBehind(state: ReplicaState): boolean {
  return state.claims.size > 0;
}

/** Behind by one is mostly a message on its way; by more, messages have been missed. */
export function isFarBehind(state: ReplicaState): boolean {
  for (const claim of state.claims.values()) {
    if (claim > openSequence(state)) return true;
  }
  return false;
}

/** Asks the claimants in turn, the one after the last asked first; who was asked in vain is forgotten. */
export function askForDecisions({ state, effects }: Turn): void {
  const { asked } = state;
  if (asked !== null && asked.committed === state.committed) state.claims.delete(asked.id);
  const ids = [...state.claims.keys()].sort();
  const from = ids.find((id) => asked !== null && id > asked.id) ?? ids[0];
  if (from === undefined) {
    state.asked = null;
    return;
  }
  state.asked = { id: from, committed: state.committed };
  effects.push({ type: 'fetch', from, sequence: openSequence(state) });
}

/** Lets a peer that is behind know whom to ask, and one that missed a new view have it. */
export function handleStatus({ state, effects }: Turn, { sender, content }: Statement<Status>): void {
  if (sender === state.id) return;
  noteClaim(state, sender, content.committed);
  const { view, committed } = state;
  if (content.committed < committed) {
    effects.push({ type: 'send', to: sender, content: { kind: 'status', view, committed }, batch: [] });
  } else if (content.committed === committed && content.view < view && state.newView !== null) {
    effects.push({ type: 'relay', to: sender, message: state.newView.message });
  }
}

export function handleDecisions({ state }: Turn, decisions: readonly Decision[]): void {
  state.transfer = decisions
    .slice(0, DECISIONS_MAX)
    .filter(({ sequence }) => sequence > state.committed)
    .sort((a, b) => a.sequence - b.sequence);
}

/**
 * Commits the next transferred decision, one at a time, because only its execution tells the configuration that judges
 * the one after it. Returns true when there was one.
 */
export function takeTransferred(turn: Turn): boolean {
  const { state } = turn;
  let decision = state.transfer.shift();
  while (decision !== undefined && decision.sequence <= state.committed) decision = state.transfer.shift();
  if (decision === undefined) return false;
  if (decision.sequence !== openSequence(state) || !decisionHolds(state, decision)) {
    state.transfer = [];
    return false;
  }
  commitDecision(turn, decision);
  return true;
}

function decisionHolds(state: ReplicaState, decision: Decision): boolean {
  try {
    verifyDecision(state, state.digest, decision);
    return true;
  } catch (error) {
    if (error instanceof ConsensusError) return false;
    throw error;
  }
}
