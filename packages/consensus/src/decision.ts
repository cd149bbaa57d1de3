import { assert, bytesEqual } from '@nemea/core';
import { findBallot } from './ballot.ts';
import type { Decision } from './certificate.ts';
import { type Configuration, createConfiguration, type Member, sameMembers } from './configuration.ts';
import { CHECKPOINT_INTERVAL, OPERATION_WINDOW, PROPOSALS_MAX, WINDOW } from './limits.ts';
import { keyOf, type OperationId } from './operation.ts';
import { pruneOwn } from './speech.ts';
import {
  epochEnd,
  intervalEnd,
  makeProposal,
  type Proposal,
  type ReplicaState,
  rememberProposal,
  type Turn,
} from './state.ts';

/** Journals a decision whose certificate holds [CONS-10]. Execution follows in order. */
export function commitDecision(turn: Turn, decision: Decision, proposal: Proposal): void {
  const { certificate, batch, sequence } = decision;
  const own = findBallot(turn.state, sequence, certificate.view)?.ownVote?.content;
  // What the replica has voted for is in the journal already.
  const isWritten = own !== undefined && bytesEqual(own.digest, certificate.digest);
  turn.effects.push({
    type: 'persist',
    record: { type: 'committed', certificate, batch: isWritten ? null : batch },
  });
  applyDecision(turn.state, decision, proposal);
}

/** The part of a commit that a restarted replica repeats. */
export function applyDecision(state: ReplicaState, decision: Decision, proposal: Proposal): void {
  const { sequence, certificate } = decision;
  assert(sequence === state.committed + 1, `decision ${sequence} after ${state.committed}`);
  const [next] = state.accepted;
  if (next !== undefined && bytesEqual(next.digest, certificate.digest)) {
    state.accepted.shift();
  } else {
    if (next !== undefined) retract(state);
    for (const id of proposal.ids) state.places.set(id, state.nextPlace++);
  }
  state.committed = sequence;
  state.digest = certificate.digest;
  state.attempts = 0;
  state.waiting.push({ decision, proposal });
  for (let i = 0; i < proposal.ids.length && state.pending.size > 0; i++) {
    const id = proposal.ids[i] as OperationId;
    if (!state.pending.delete(id)) continue;
    state.unproposed.delete(id);
    state.pendingBytes -= (decision.batch[i] as Uint8Array).length;
  }
  state.ballots.delete(sequence);
  state.proposals.delete(keyOf(certificate.digest));
  for (const [id, claim] of state.claims) {
    if (claim <= sequence) state.claims.delete(id);
  }
  if (sequence % CHECKPOINT_INTERVAL === 0) {
    forgetDecided(state);
    state.helped.clear();
  }
  enterEpoch(state);
}

/**
 * A decision was executed. `members` are those who vote once the next epoch begins: at the second end of an interval
 * from here, so that nobody can have voted beyond it yet [CONS-26].
 */
export function applyExecution(
  state: ReplicaState,
  sequence: number,
  { members, renews }: { readonly members: readonly Member[] | null; readonly renews: boolean },
): void {
  const waiting = state.waiting.shift();
  assert(waiting?.decision.sequence === sequence, `nothing to execute at ${sequence}`);
  const { decision, proposal } = waiting;
  const { ids, idBytes } = proposal;
  const { digest } = decision.certificate;
  state.isExecuting = false;
  state.executed = sequence;
  state.executedDigest = digest;
  state.executedOperations += decision.batch.length;
  state.recent.push({ sequence, digest, idBytes, ids });
  state.recentOperations += decision.batch.length;
  if (typeof state.muted === 'string' && state.muted !== 'until-epoch') {
    if (ids.includes(state.muted)) state.muted = 'until-epoch'; // [CONS-25]
  }
  forgetOperations(state);
  if (sequence % CHECKPOINT_INTERVAL === 0) pruneOwn(state);
  if (members !== null) schedule(state, sequence, members, renews);
  while (state.configurations.length > 1 && isLongPast(state)) state.configurations.shift();
  enterEpoch(state);
}

/** Accepts what a primary proposes on top of what was accepted before, unless it repeats an operation [CONS-12]. */
export function accept(state: ReplicaState, proposal: Proposal, mayRepeat: boolean): boolean {
  const first = state.nextPlace;
  for (let index = 0; index < proposal.ids.length; index++) {
    const id = proposal.ids[index] as OperationId;
    const place = state.places.get(id);
    if (!mayRepeat && place !== undefined && place >= first - OPERATION_WINDOW) {
      for (const taken of proposal.ids.slice(0, index)) state.places.delete(taken);
      state.nextPlace = first;
      return false;
    }
    state.places.set(id, state.nextPlace++);
  }
  state.accepted.push(proposal);
  rememberProposal(state, proposal);
  if (state.unproposed.size > 0) for (const id of proposal.ids) state.unproposed.delete(id);
  return true;
}

/** Takes back what was accepted in a view that is left: it may be proposed again. */
export function retract(state: ReplicaState): void {
  for (const proposal of state.accepted.splice(0)) {
    for (const id of proposal.ids) state.places.delete(id);
    state.nextPlace -= proposal.ids.length;
  }
  state.unproposed.clear();
  for (const [id, operation] of state.pending) {
    if (!isOrdered(state, id)) state.unproposed.set(id, operation);
  }
}

/**
 * Bounds what views leave behind that decide nothing. What leads to the replica's own tip and to the anchor is kept, for others
 * may have to ask for it; of the rest the oldest goes [CONS-23].
 */
export function forgetAbandoned(state: ReplicaState): void {
  const { proposals, tip, anchor } = state;
  if (proposals.size <= PROPOSALS_MAX) return;
  const kept = new Set<string>();
  for (const end of [tip, anchor]) {
    let key = end === null ? '' : keyOf(end.digest);
    for (let next = proposals.get(key); next !== undefined; next = proposals.get(key)) {
      kept.add(key);
      key = keyOf(next.parent);
    }
  }
  for (const key of proposals.keys()) {
    if (proposals.size <= PROPOSALS_MAX) return;
    if (!kept.has(key)) proposals.delete(key);
  }
}

/** Whether an operation is among the last that were ordered or accepted [CONS-12]. */
export function isOrdered(state: ReplicaState, id: OperationId): boolean {
  const place = state.places.get(id);
  return place !== undefined && place >= state.nextPlace - OPERATION_WINDOW;
}

/**
 * Schedules the members of the epoch that begins with the interval after the next one; the last word counts. An epoch
 * with the same members is one that somebody asked for: it stays, whatever else the interval says of the members.
 */
function schedule(state: ReplicaState, sequence: number, members: readonly Member[], renews: boolean): void {
  const { configurations } = state;
  const configuration = createConfiguration(members, intervalEnd(sequence) + CHECKPOINT_INTERVAL + 1);
  const replaced = configurations.at(-1)?.epoch === configuration.epoch ? configurations.pop() : undefined;
  const before = configurations.at(-1) as Configuration;
  const isRenewal = renews || (replaced !== undefined && sameMembers(before, replaced));
  if (isRenewal || !sameMembers(before, configuration)) configurations.push(configuration);
}

/**
 * Begins the next epoch once all of this one is decided and it is certain who its members are. Views count from 0,
 * because nothing said in one epoch counts in another [CONS-11].
 */
function enterEpoch(state: ReplicaState): void {
  const end = epochEnd(state);
  if (end === null || state.committed !== end || state.executed < end - CHECKPOINT_INTERVAL) return;
  retract(state);
  const at = state.configurations.indexOf(state.configuration);
  state.configuration = state.configurations[at + 1] as Configuration;
  state.view = 0;
  state.active = true;
  state.anchor = null;
  state.newView = null;
  state.tip = null;
  state.attempts = 0;
  state.committedTo = 0;
  state.ballots.clear();
  state.proposals.clear();
  state.viewChanges.clear();
  state.penalized.clear();
  if (state.muted === 'until-epoch') state.muted = null;
  pruneOwn(state);
}

function isLongPast({ configurations, executed }: ReplicaState): boolean {
  return (configurations[1] as Configuration).epoch + WINDOW <= executed;
}

/** Forgets the oldest executed sequences whose operations are all too old to be taken for repetitions. */
function forgetOperations(state: ReplicaState): void {
  const { recent, places } = state;
  for (let oldest = recent[0]; oldest !== undefined && recent.length > 1; oldest = recent[0]) {
    const count = oldest.ids.length;
    if (state.recentOperations - count < OPERATION_WINDOW) return;
    const bound = state.executedOperations - OPERATION_WINDOW;
    for (const id of oldest.ids) if ((places.get(id) ?? 0) < bound) places.delete(id);
    state.recentOperations -= count;
    state.recentParent = oldest.digest;
    recent.shift();
  }
}

function forgetDecided(state: ReplicaState): void {
  for (const [key, { sequence }] of state.proposals) {
    if (sequence <= state.committed) state.proposals.delete(key);
  }
}

export function proposalOf(state: ReplicaState, decision: Decision): Proposal {
  return makeProposal(decision.sequence, state.digest, decision.batch);
}
