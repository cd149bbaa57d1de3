import { toHex } from '@nemea/core';
import { createConfiguration } from './configuration.ts';
import { applyDecision, applyExecution } from './decision.ts';
import type { Effect } from './effect.ts';
import { ConsensusError } from './errors.ts';
import type { BaseRecord, JournalRecord } from './journal.ts';
import { type NewView, parsePayload, type SignedMessage, type Statement } from './message.ts';
import { resume } from './replica.ts';
import { slotOf } from './speech.ts';
import { initialState, openSequence, type ReplicaOptions, type ReplicaState } from './state.ts';
import { applyEntry, leaveView } from './view-change.ts';

/**
 * A replica that knows all it has said and decided, from its journal in the order written [CONS-22]. `options` are
 * those of the first start. When the last decision was not yet executed, the effects begin with its `commit`. Throws
 * `JOURNAL_INVALID`: better no replica than one that might contradict itself.
 */
export function restoreReplica(
  options: ReplicaOptions,
  records: Iterable<JournalRecord>,
): { state: ReplicaState; effects: Effect[] } {
  const state = initialState(options);
  for (const record of records) applyRecord(state, record);
  const { executing } = state;
  const { effects } = resume(state);
  return {
    state,
    effects: executing === null ? effects : [{ type: 'commit', decision: executing }, ...effects],
  };
}

function applyRecord(state: ReplicaState, record: JournalRecord): void {
  switch (record.type) {
    case 'base':
      applyBase(state, record);
      break;
    case 'sent': {
      const { content, batch } = record;
      const isDeparture = content.kind === 'view-change' && content.epoch === state.configuration.epoch;
      if (isDeparture && content.view > state.view) leaveView(state, content.view);
      state.own.set(slotOf(content), { content, batch });
      break;
    }
    case 'prepared':
      state.prepared = { certificate: record.certificate, batch: record.batch };
      break;
    case 'entered':
      applyEntry(state, toNewView(record.newView), record.anchor);
      break;
    case 'committed':
      assertOrder(record.decision.sequence === openSequence(state) && state.executing === null, 'committed');
      applyDecision(state, record.decision);
      break;
    case 'executed':
      assertOrder(record.sequence === state.committed && state.executing !== null, 'executed');
      applyExecution(state, record.members);
      break;
  }
}

function applyBase(state: ReplicaState, base: BaseRecord): void {
  state.committed = base.committed;
  state.digest = base.digest;
  state.stable = base.stable;
  state.configuration = createConfiguration(base.members, base.epoch);
  state.executing = null;
  state.view = base.view;
  state.active = base.active;
  state.anchor = base.anchor;
  state.newView = base.newView === null ? null : toNewView(base.newView);
  state.prepared = base.prepared;
  state.own.clear();
  for (const { content, batch } of base.own) state.own.set(slotOf(content), { content, batch });
  state.executed.clear();
  for (const id of base.operationIds) state.executed.add(toHex(id));
}

function toNewView(message: SignedMessage): Statement<NewView> {
  const content = parsePayload(message.payload);
  if (content.kind !== 'new-view') {
    throw new ConsensusError('JOURNAL_INVALID', `got a ${content.kind}, want a new view`);
  }
  return { message, sender: message.sender, content };
}

function assertOrder(holds: boolean, type: string): void {
  if (!holds) throw new ConsensusError('JOURNAL_INVALID', `record ${type} is out of order`);
}
