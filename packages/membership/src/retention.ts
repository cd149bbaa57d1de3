import { fromHex } from '@nemea/core';
import type { LedgerView } from './ledger-view.ts';
import type { Candidacy, MembershipState, TaskState } from './state.ts';

/** What is over stays at hand this long, for those who want to look at it. */
export const TASKS_KEPT = 256;
export const CANDIDACIES_KEPT = 64;

/**
 * Bounds the state, once in an epoch. Forgotten is only what cannot come back: tasks and disputes that layer 1 has
 * closed, candidacies that are decided or whose jury let a whole epoch pass (they may be put forward again), and what those who are
 * no members answered for [MEMB-5].
 */
export function forgetOld(state: MembershipState, ledger: LedgerView): MembershipState {
  return {
    ...state,
    tasks: newest(
      state.tasks,
      TASKS_KEPT,
      (id: string, _task: TaskState) => !ledger.isTaskClosed(fromHex(id), state.ledgerBlock),
    ),
    candidacies: newest(
      withoutStale(state.candidacies, state.epochClosed),
      CANDIDACIES_KEPT,
      (_id: string, candidacy: Candidacy) => candidacy.outcome === 'open',
    ),
    answeredThrough: new Map([...state.answeredThrough].filter(([account]) => state.roster.has(account))),
    disputesJudged: new Set(
      [...state.disputesJudged].filter((id) => !ledger.isDisputeClosed(fromHex(id), state.ledgerBlock)),
    ),
  };
}

function withoutStale(
  candidacies: ReadonlyMap<string, Candidacy>,
  epochClosed: number,
): ReadonlyMap<string, Candidacy> {
  return new Map(
    [...candidacies].filter(
      ([, candidacy]) => candidacy.outcome !== 'open' || candidacy.epoch >= epochClosed,
    ),
  );
}

/** All that must stay, and the newest of the rest, in the order in which they came. */
function newest<T>(
  entries: ReadonlyMap<string, T>,
  keep: number,
  mustStay: (id: string, value: T) => boolean,
): ReadonlyMap<string, T> {
  const over = [...entries].filter(([id, value]) => !mustStay(id, value));
  const forgotten = new Set(over.slice(0, Math.max(0, over.length - keep)).map(([id]) => id));
  return new Map([...entries].filter(([id]) => !forgotten.has(id)));
}
