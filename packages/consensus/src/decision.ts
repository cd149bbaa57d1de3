import { assert, sha256, toHex } from '@nemea/core';
import type { Decision } from './certificate.ts';
import { createConfiguration, type Member, sameMembers } from './configuration.ts';
import { OPERATION_WINDOW } from './limits.ts';
import { pruneOwn } from './speech.ts';
import type { ReplicaState, Turn } from './state.ts';

export function operationId(operation: Uint8Array): string {
  return toHex(sha256(operation));
}

/** Journals a decision whose certificate holds and hands it to the application [CONS-10]. */
export function commitDecision(turn: Turn, decision: Decision): void {
  turn.effects.push({ type: 'persist', record: { type: 'committed', decision } });
  applyDecision(turn.state, decision);
  turn.effects.push({ type: 'commit', decision });
}

/** The part of a commit that a restarted replica repeats. Closes the sequence; nothing is open until it is executed. */
export function applyDecision(state: ReplicaState, decision: Decision): void {
  const { sequence, batch, certificate } = decision;
  assert(sequence === state.committed + 1, `decision ${sequence} after ${state.committed}`);
  assert(state.executing === null, `decision ${sequence} before ${state.committed} was executed`);
  state.committed = sequence;
  state.digest = certificate.digest;
  state.executing = decision;
  state.attempts = 0;
  state.prepared = null;
  state.ballots.clear();
  for (const operation of batch) recordExecuted(state, operation);
  for (const [id, claim] of state.claims) {
    if (claim <= sequence) state.claims.delete(id);
  }
  pruneOwn(state);
}

/**
 * Opens the next sequence. Changed members begin an epoch, whose views count from 0 because nothing said under the
 * old configuration binds the new one [CONS-11]. Otherwise the certificate shows in which view the next sequence
 * goes on: a quorum was there, so nothing can be prepared at that sequence in a lower view [CONS-17].
 */
export function applyExecution(state: ReplicaState, members: readonly Member[] | null): void {
  assert(state.executing !== null, `nothing to execute at ${state.committed}`);
  const { view } = state.executing.certificate;
  state.executing = null;
  const configuration =
    members === null ? state.configuration : createConfiguration(members, state.committed + 1);
  if (!sameMembers(state.configuration, configuration)) {
    state.configuration = configuration;
    placeInView(state, 0);
    state.waitingNewView = null;
    state.viewChanges.clear();
    for (const map of [state.checkpoints, state.future]) keepMembers(state, map);
    keepMembers(state, state.penalized);
  } else if (view > state.view || (view === state.view && !state.active)) {
    placeInView(state, view);
  }
  for (const [id, { statement }] of state.viewChanges) {
    if (statement.content.view < state.view || (statement.content.view === state.view && state.active)) {
      state.viewChanges.delete(id);
    }
  }
  pruneOwn(state);
}

function placeInView(state: ReplicaState, view: number): void {
  state.view = view;
  state.active = true;
  state.anchor = null;
  state.newView = null;
  state.attempts = 0;
}

function keepMembers(
  state: ReplicaState,
  ids: { keys(): Iterable<string>; delete(id: string): boolean },
): void {
  for (const id of [...ids.keys()]) {
    if (!state.configuration.byId.has(id)) ids.delete(id);
  }
}

function recordExecuted(state: ReplicaState, operation: Uint8Array): void {
  const id = operationId(operation);
  state.executed.add(id);
  const oldest = state.executed.values().next();
  if (state.executed.size > OPERATION_WINDOW && oldest.done !== true) state.executed.delete(oldest.value);
  if (state.pending.delete(id)) state.pendingBytes -= operation.length;
}
