import type { Verified } from '@nemea/core';
import { contradicts } from './equivocation.ts';
import { type Statement, stripBatch } from './message.ts';
import type { ReplicaState, Turn } from './state.ts';

/**
 * Compares a statement with what is kept of its sender. On a contradiction hands out the proof, once per member, and
 * returns true: the first statement stands, the second is ignored [CONS-21].
 */
export function catchContradiction(turn: Turn, statement: Verified<Statement>): boolean {
  const { state, effects } = turn;
  const { sender } = statement;
  for (const kept of statementsOf(state, sender)) {
    if (!contradicts(kept.content, statement.content)) continue;
    if (!state.penalized.has(sender)) {
      state.penalized.add(sender);
      const proof = { first: stripBatch(kept.message), second: stripBatch(statement.message) };
      effects.push({ type: 'penalize', id: sender, proof });
    }
    return true;
  }
  return false;
}

function* statementsOf(state: ReplicaState, sender: string): Generator<Statement> {
  for (const { prepares, commits } of state.ballots.values()) {
    for (const statement of [prepares.get(sender), commits.get(sender)]) {
      if (statement !== undefined) yield statement;
    }
  }
  for (const statement of [
    state.viewChanges.get(sender)?.statement,
    state.checkpoints.get(sender),
    state.newView,
    state.waitingNewView,
  ]) {
    if (statement !== undefined && statement !== null && statement.sender === sender) yield statement;
  }
}
