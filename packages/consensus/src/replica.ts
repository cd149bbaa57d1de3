import { assertNever, type Verified } from '@nemea/core';
import {
  askForBatchesAgain,
  handleDecisions,
  handleStatus,
  handleSupply,
  handleWant,
  takeTransferred,
} from './catch-up.ts';
import { handleCheckpoint, handleTransfer } from './checkpoint.ts';
import type { Effect } from './effect.ts';
import type { Input, TimerId } from './input.ts';
import type { Statement, Vote } from './message.ts';
import { commit, decide, execute, handleExecuted, handleRequest, prepare, propose } from './normal-case.ts';
import { initialState, type ReplicaOptions, type ReplicaState, type Turn } from './state.ts';
import { askAgain, pulse, settleTimers } from './timers.ts';
import {
  announceNewView,
  handleNewView,
  handleViewChange,
  joinLaterView,
  startViewChange,
} from './view-change.ts';
import { handleVote, takeFuture } from './votes.ts';

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
 * From request to commit: the rules of `normal-case.ts` are tried in this order after every input. Whatever a replica says comes
 * back to it as a message, so each decision takes several steps. Many sequences are on their way at the same time.
 */
function advance(turn: Turn): void {
  takeTransferred(turn);
  decide(turn);
  takeFuture(turn);
  decide(turn);
  joinLaterView(turn);
  announceNewView(turn);
  propose(turn);
  prepare(turn);
  commit(turn);
  execute(turn);
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
      state.helped.clear();
      pulse(turn);
      askForBatchesAgain(turn);
      return;
    case 'catch-up':
      state.timers.catchUp = false;
      askAgain(turn);
      return;
    default:
      assertNever(id);
  }
}

/** Narrows a statement to the kind that its content was found to have. */
function withContent<C extends Statement['content']>(
  statement: Verified<Statement>,
  content: C,
): Verified<Statement<C>> {
  return { ...statement, content };
}
