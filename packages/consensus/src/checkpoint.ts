import { bytesEqual, fromHex, type Verified } from '@nemea/core';
import { catchContradiction } from './contradiction.ts';
import type { BaseRecord } from './journal.ts';
import { CHECKPOINT_INTERVAL } from './limits.ts';
import type { Checkpoint, Statement } from './message.ts';
import { isQuorum } from './quorum.ts';
import { speak } from './speech.ts';
import { isMember, type ReplicaState, type Turn } from './state.ts';

/** Every 16th executed sequence members sign the digest of the whole history [CONS-20]. */
export function speakCheckpoint(turn: Turn): void {
  const { state } = turn;
  if (state.committed % CHECKPOINT_INTERVAL !== 0 || !isMember(state)) return;
  speak(turn, { kind: 'checkpoint', sequence: state.committed, digest: state.digest });
}

export function handleCheckpoint(turn: Turn, statement: Verified<Statement<Checkpoint>>): void {
  const { state } = turn;
  const { sender, content } = statement;
  if (!state.configuration.byId.has(sender) || content.sequence <= state.stable) return;
  if (catchContradiction(turn, statement)) return;
  const kept = state.checkpoints.get(sender);
  if (kept === undefined || kept.content.sequence < content.sequence)
    state.checkpoints.set(sender, statement);
}

/**
 * Makes the own latest checkpoint stable once a quorum has signed it. The base record then written replaces the
 * journal before it, so it waits until no decision is being executed.
 */
export function settleCheckpoint(turn: Turn): void {
  const { state, effects } = turn;
  const own = state.checkpoints.get(state.id);
  if (own === undefined || own.content.sequence <= state.stable) return;
  const { sequence, digest } = own.content;
  const signers = [...state.checkpoints.values()]
    .filter(({ content }) => content.sequence === sequence && bytesEqual(content.digest, digest))
    .sort((a, b) => (a.sender < b.sender ? -1 : 1));
  if (
    !isQuorum(
      state.configuration,
      signers.map(({ sender }) => sender),
    )
  )
    return;
  state.stable = sequence;
  const signatures = signers.map(({ sender, message }) => ({ sender, signature: message.signature }));
  effects.push({ type: 'persist', record: toBaseRecord(state) });
  effects.push({ type: 'checkpoint', certificate: { sequence, digest, signatures } });
}

function toBaseRecord(state: ReplicaState): BaseRecord {
  return {
    type: 'base',
    committed: state.committed,
    digest: state.digest,
    stable: state.stable,
    epoch: state.configuration.epoch,
    members: state.configuration.members,
    view: state.view,
    active: state.active,
    anchor: state.anchor,
    newView: state.newView?.message ?? null,
    prepared: state.prepared,
    own: [...state.own.values()],
    operationIds: [...state.executed].map(fromHex),
  };
}
