import { bytesEqual } from '@nemea/core';
import { ballotOf, learnProposal } from './ballot.ts';
import { type CheckpointProof, parseHeader, restoreRecent, toStable } from './checkpoint.ts';
import { createConfiguration } from './configuration.ts';
import { accept, applyDecision, applyExecution, proposalOf } from './decision.ts';
import type { Effect } from './effect.ts';
import { ConsensusError } from './errors.ts';
import type { BaseRecord, JournalRecord, Link, OwnStatement } from './journal.ts';
import { parsePayload, type SignedMessage } from './message.ts';
import { keyOf } from './operation.ts';
import { resume } from './replica.ts';
import { recordOwn } from './speech.ts';
import {
  acceptedEnd,
  configurationOf,
  findProposal,
  initialState,
  makeProposal,
  openSequence,
  type ReplicaOptions,
  type ReplicaState,
  rememberProposal,
} from './state.ts';
import { enterView, judgeNewView, leaveView } from './view-change.ts';

/**
 * A replica that knows all it has said and decided, from its journal in the order written [CONS-22]. `options` are
 * those of the first start. The effects begin with the `install` of a transferred state and the `commit` of the first
 * decision that was not yet executed, if there are such. Throws `JOURNAL_INVALID`: better no replica than one that
 * might contradict itself.
 */
export function restoreReplica(
  options: ReplicaOptions,
  records: readonly JournalRecord[],
): { state: ReplicaState; effects: Effect[] } {
  const state = initialState(options);
  let installed: CheckpointProof | null = null;
  // A base replaces all before it, and whoever removes that may be interrupted.
  const base = records.findLastIndex(({ type }) => type === 'base');
  for (const record of records.slice(Math.max(0, base))) {
    applyRecord(state, record);
    if (record.type === 'base' && record.isTransferred) installed = record.stable;
    if (record.type === 'executed') installed = null;
  }
  const { effects } = resume(state);
  return {
    state,
    effects: installed === null ? effects : [{ type: 'install', checkpoint: installed }, ...effects],
  };
}

function applyRecord(state: ReplicaState, record: JournalRecord): void {
  switch (record.type) {
    case 'base':
      applyBase(state, record);
      break;
    case 'sent':
      applySent(state, record);
      break;
    case 'repeated':
      applyRepeated(state, record);
      break;
    case 'prepared':
      state.tip = record.certificate;
      break;
    case 'entered':
      applyEntered(state, record.newView);
      break;
    case 'committed': {
      const { certificate } = record;
      const { sequence, digest } = certificate;
      assertOrder(sequence === openSequence(state), 'committed');
      const batch = record.batch ?? findProposal(state, digest)?.batch;
      if (batch === undefined) throw invalid(`batch of sequence ${sequence} is missing`);
      const decision = { sequence, batch, certificate };
      const proposal = proposalOf(state, decision);
      assertOrder(bytesEqual(proposal.digest, digest), 'committed');
      applyDecision(state, decision, proposal);
      break;
    }
    case 'executed':
      assertOrder(record.sequence === state.executed + 1 && state.waiting.length > 0, 'executed');
      applyExecution(state, record.sequence, record);
      break;
  }
}

function applySent(state: ReplicaState, statement: OwnStatement): void {
  const { content, batch, evidence } = statement;
  const isDeparture = content.kind === 'view-change' && content.epoch === state.configuration.epoch;
  if (isDeparture && content.view > state.view) leaveView(state, content.view);
  recordOwn(state, { content, batch, evidence });
  if (content.kind === 'commit') state.committedTo = Math.max(state.committedTo, content.sequence);
  if (content.kind !== 'pre-prepare' && content.kind !== 'prepare') return;
  const ballot = ballotOf(state, content.sequence, content.view);
  learnProposal(state, ballot, content.digest, batch);
  const end = acceptedEnd(state);
  if (content.view !== state.view || content.sequence !== end.sequence + 1) return;
  const proposal = makeProposal(content.sequence, end.digest, batch);
  if (bytesEqual(proposal.digest, content.digest)) accept(state, proposal, true);
}

function applyRepeated(state: ReplicaState, { sequence, parent, batch }: Link): void {
  const proposal = makeProposal(sequence, parent, batch);
  rememberProposal(state, proposal);
  if (state.anchor === null || sequence >= state.anchor.sequence) return;
  const end = acceptedEnd(state);
  if (sequence !== end.sequence + 1 || !bytesEqual(parent, end.digest)) return;
  accept(state, proposal, true);
  learnProposal(state, ballotOf(state, sequence, state.view), proposal.digest, batch);
}

function applyEntered(state: ReplicaState, message: SignedMessage): void {
  const content = parsePayload(message.payload);
  if (content.kind !== 'new-view') throw invalid(`got a ${content.kind}, want a new view`);
  const judged = judgeNewView(state, content, message);
  if (judged === null) throw invalid('the new view does not hold');
  enterView(state, content.view, message, judged.anchor);
}

function applyBase(state: ReplicaState, base: BaseRecord): void {
  state.configurations = base.epochs.map(({ epoch, members }) => createConfiguration(members, epoch));
  const configuration = state.configurations.find(({ epoch }) => epoch === base.epoch);
  if (configuration === undefined) throw invalid(`epoch ${base.epoch} is missing`);
  state.configuration = configuration;
  state.executed = base.executed;
  state.executedDigest = base.executedDigest;
  state.committed = base.executed;
  state.digest = base.executedDigest;
  state.executedOperations = base.executedOperations;
  restoreRecent(state, base.recentParent, base.recent);
  const { stable } = base;
  if (stable !== null) {
    const { sequence } = parseHeader(stable.header);
    const { epoch } = configurationOf(state, sequence) ?? configuration;
    state.stable = toStable(epoch, stable, sequence);
  }
  state.compacted = base.executed;
  state.view = base.view;
  state.active = base.active;
  state.tip = base.tip;
  state.muted = base.muted instanceof Uint8Array ? keyOf(base.muted) : base.muted;
  for (const { certificate, batch } of base.waiting) {
    const { sequence } = certificate;
    const proposal = makeProposal(sequence, state.digest, batch);
    for (const id of proposal.ids) state.places.set(id, state.nextPlace++);
    state.waiting.push({ decision: { sequence, batch, certificate }, proposal });
    state.committed = sequence;
    state.digest = certificate.digest;
  }
  assertOrder(state.committed === base.committed && bytesEqual(state.digest, base.digest), 'base');
  if (base.newView !== null && base.active) applyEntered(state, base.newView);
  for (const link of base.links) applyRepeated(state, link);
  const own = [...base.own].sort((a, b) => sequenceOf(a) - sequenceOf(b));
  for (const statement of own) applySent(state, statement);
}

function sequenceOf({ content }: OwnStatement): number {
  return 'sequence' in content ? content.sequence : 0;
}

function assertOrder(holds: boolean, type: string): void {
  if (!holds) throw invalid(`record ${type} is out of order`);
}

function invalid(message: string): ConsensusError {
  return new ConsensusError('JOURNAL_INVALID', message);
}
