import { bytesEqual } from '@nemea/core';
import { type Decision, holds, verifyDecision } from './certificate.ts';
import { commitDecision, proposalOf } from './decision.ts';
import { CLAIMS_MAX, DECISIONS_MAX, HELP_MAX, WINDOW } from './limits.ts';
import type { Statement, Status, Supply, Tip, Want } from './message.ts';
import { keyOf } from './operation.ts';
import {
  highWatermark,
  makeProposal,
  openSequence,
  type ReplicaState,
  rememberProposal,
  type Turn,
} from './state.ts';

/**
 * A peer's word that sequences up to `committed` are decided. It is only a reason to ask: what comes back must carry
 * certificates, so a liar costs a question [CONS-19].
 */
export function noteClaim(state: ReplicaState, sender: string, committed: number): void {
  if (committed <= state.committed || sender === state.id) return;
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

/** Behind by less than what is in progress is mostly a message on its way; by more, messages have been missed. */
export function isFarBehind(state: ReplicaState): boolean {
  for (const claim of state.claims.values()) {
    if (claim > state.committed + WINDOW) return true;
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

/** Whether a peer may be sent something for its asking, which counts as help: beyond its share it waits [CONS-23]. */
export function mayHelp({ id, helped }: ReplicaState, peer: string): boolean {
  const count = helped.get(peer) ?? 0;
  if (peer === id || count >= HELP_MAX || (count === 0 && helped.size >= CLAIMS_MAX)) return false;
  helped.set(peer, count + 1);
  return true;
}

/** Lets a peer that is behind know whom to ask, and one that missed a new view have it [CONS-17]. */
export function handleStatus({ state, effects }: Turn, { sender, content }: Statement<Status>): void {
  if (sender === state.id) return;
  noteClaim(state, sender, content.committed);
  const { view, committed, configuration, newView } = state;
  const { epoch } = configuration;
  const lacksView = content.epoch === epoch && content.view < view && newView !== null;
  if (content.committed >= committed && !lacksView) return;
  if (!mayHelp(state, sender)) return;
  if (content.committed < committed) {
    effects.push({
      type: 'send',
      to: sender,
      content: { kind: 'status', epoch, view, committed },
      batch: [],
    });
  }
  if (lacksView) effects.push({ type: 'relay', to: sender, message: newView });
}

export function handleDecisions({ state }: Turn, decisions: readonly Decision[]): void {
  state.transfer = decisions
    .slice(0, DECISIONS_MAX)
    .filter(({ sequence }) => sequence > state.committed)
    .sort((a, b) => a.sequence - b.sequence);
}

/**
 * Commits transferred decisions, as far as executing what is before them has told the configuration that judges them.
 */
export function takeTransferred(turn: Turn): void {
  const { state } = turn;
  while (state.transfer.length > 0 && openSequence(state) <= highWatermark(state)) {
    const decision = state.transfer.shift() as Decision;
    if (decision.sequence <= state.committed) continue;
    if (
      decision.sequence !== openSequence(state) ||
      !holds(() => verifyDecision(state, state.digest, decision))
    ) {
      state.transfer = [];
      return;
    }
    commitDecision(turn, decision, proposalOf(state, decision));
  }
}

/** Hands out the batches that lead to a digest, the last first, because each names its parent. */
export function handleWant({ state, effects }: Turn, { sender, content }: Statement<Want>): void {
  if (!state.configuration.byId.has(sender) || !mayHelp(state, sender)) return;
  let { digest } = content;
  for (let sent = 0; sent < WINDOW; sent++) {
    const proposal = state.proposals.get(keyOf(digest));
    if (proposal === undefined || proposal.sequence <= content.after) return;
    const { sequence, parent, batch } = proposal;
    effects.push({ type: 'send', to: sender, content: { kind: 'supply', sequence, parent, digest }, batch });
    digest = parent;
  }
}

/** Takes a batch that is missing on the way to a tip that is to be repeated. Hashing shows whether it is the one. */
export function handleSupply({ state }: Turn, { message, content }: Statement<Supply>): void {
  const { sequence, parent, digest } = content;
  const isMissing = wanted(state).some(({ tip }) => {
    const missing = missingLink(state, tip);
    return missing !== null && missing.sequence === sequence && bytesEqual(missing.digest, digest);
  });
  if (!isMissing) return;
  const proposal = makeProposal(sequence, parent, message.batch);
  if (bytesEqual(proposal.digest, digest)) rememberProposal(state, proposal);
}

/** Asks one member, or all others, for the batches that a tip stands for. */
export function askForBatches({ state, effects }: Turn, tip: Tip | null, to: string | null): void {
  const missing = tip === null ? null : missingLink(state, tip);
  if (tip === null || missing === null || to === state.id) return;
  const content: Want = { kind: 'want', after: state.committed, view: tip.view, ...missing };
  if (to === null) effects.push({ type: 'broadcast', content, batch: [], evidence: new Uint8Array(0) });
  else effects.push({ type: 'send', to, content, batch: [] });
}

/** Asks once more for the batches that are still missing. */
export function askForBatchesAgain(turn: Turn): void {
  for (const { tip, from } of wanted(turn.state)) askForBatches(turn, tip, from);
}

/**
 * What the replica has to repeat, or will have to when it opens its view: tips that are proven. With whom to ask for their
 * batches: the member that shows the tip, or all when the view is open [CONS-16].
 */
function wanted({ active, anchor, view, viewChanges }: ReplicaState): { tip: Tip; from: string | null }[] {
  if (active) return anchor === null ? [] : [{ tip: anchor, from: null }];
  return [...viewChanges.values()].flatMap(({ statement: { sender, content }, isValid }) => {
    const isProven = content.view === view && isValid === true;
    return isProven && content.tip !== null ? [{ tip: content.tip, from: sender }] : [];
  });
}

/** The last place before a tip whose batch is not known here, or null when all are. */
function missingLink(state: ReplicaState, tip: Tip): { sequence: number; digest: Uint8Array } | null {
  let { sequence, digest } = tip;
  while (sequence > state.committed) {
    const proposal = state.proposals.get(keyOf(digest));
    if (proposal === undefined) return { sequence, digest };
    digest = proposal.parent;
    sequence--;
  }
  return null;
}
