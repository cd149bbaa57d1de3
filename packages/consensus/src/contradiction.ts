import type { Verified } from '@nemea/core';
import { contradicts } from './equivocation.ts';
import { parsePayload, type Statement, stripMessage } from './message.ts';
import type { ReplicaState, Turn } from './state.ts';

/**
 * Compares a statement with what is kept of its sender. On a contradiction hands out the proof, once per member and epoch,
 * and returns true: the first statement stands, the second is ignored [CONS-21].
 */
export function catchContradiction(turn: Turn, statement: Verified<Statement>): boolean {
  const { state, effects } = turn;
  const { sender } = statement;
  const kept = statementsOf(state, statement).find((other) => contradicts(other.content, statement.content));
  if (kept === undefined) return false;
  if (!state.penalized.has(sender)) {
    state.penalized.add(sender);
    const proof = { first: stripMessage(kept.message), second: stripMessage(statement.message) };
    effects.push({ type: 'penalize', id: sender, proof });
  }
  return true;
}

/** What the sender has said that this statement could contradict. */
function statementsOf(state: ReplicaState, { sender, content }: Statement): Statement[] {
  const kept: (Statement | undefined)[] = [];
  const place = state.configuration.byId.get(sender)?.place ?? -1;
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
    case 'commit': {
      const ballot = state.ballots.get(content.sequence)?.get(content.view);
      kept.push(ballot?.prepares[place], ballot?.commits[place]);
      if (content.kind === 'commit') kept.push(state.viewChanges.get(sender)?.statement);
      break;
    }
    case 'checkpoint':
      kept.push(...(state.checkpoints.get(sender) ?? []));
      break;
    case 'view-change':
      kept.push(state.viewChanges.get(sender)?.statement);
      for (const views of state.ballots.values()) {
        for (const { commits } of views.values()) kept.push(commits[place]);
      }
      break;
    case 'new-view': {
      const message = state.newView;
      if (message?.sender === sender) kept.push({ message, sender, content: parsePayload(message.payload) });
      break;
    }
    default:
  }
  return kept.filter((statement) => statement !== undefined);
}
