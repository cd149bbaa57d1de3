import { assert, bytesEqual } from '@nemea/core';
import { ballotOf } from './ballot.ts';
import type { OwnStatement } from './journal.ts';
import { CHECKPOINT_INTERVAL } from './limits.ts';
import { type Batch, type Content, encodePayload, NO_EVIDENCE } from './message.ts';
import type { ReplicaState, Turn } from './state.ts';

/** The slot of a statement: an honest replica fills each of its slots at most once [CONS-6]. Hints have none. */
export function slotOf(content: Content): string | null {
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
      return `vote/${content.epoch}/${content.view}/${content.sequence}`;
    case 'commit':
      return `commit/${content.epoch}/${content.view}/${content.sequence}`;
    case 'checkpoint':
      return `checkpoint/${content.sequence}`;
    case 'view-change':
    case 'new-view':
      return `${content.kind}/${content.epoch}/${content.view}`;
    case 'status':
    case 'want':
    case 'supply':
      return null;
  }
}

/** Writes ahead, then speaks [CONS-6]. Saying something else in a slot already filled is a bug and stops the replica. */
export function speak(
  turn: Turn,
  content: Content,
  batch: Batch = [],
  evidence: Uint8Array = NO_EVIDENCE,
): void {
  const said = ownStatement(turn.state, content);
  assert(
    said === null || bytesEqual(encodePayload(said.content), encodePayload(content)),
    'a replica would contradict itself',
  );
  if (said === null) {
    const statement = { content, batch, evidence };
    turn.effects.push({ type: 'persist', record: { type: 'sent', ...statement } });
    recordOwn(turn.state, statement);
  }
  turn.effects.push({ type: 'broadcast', content, batch: travelsWith(content) ? batch : [], evidence });
}

/** A prepare is written down with the batch, but only the proposal needs to bring it to others. */
export function travelsWith({ kind }: Content): boolean {
  return kind === 'pre-prepare';
}

/** What the replica has said in the slot of a statement, or null. */
export function ownStatement(state: ReplicaState, content: Content): OwnStatement | null {
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
      return state.ballots.get(content.sequence)?.get(content.view)?.ownVote ?? null;
    case 'commit':
      return state.ballots.get(content.sequence)?.get(content.view)?.ownCommit ?? null;
    default:
      return state.own.get(slotOf(content) ?? '') ?? null;
  }
}

/** Remembers what was said, for repetition and against contradiction. */
export function recordOwn(state: ReplicaState, statement: OwnStatement): void {
  const { content, batch, evidence } = statement;
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare': {
      ballotOf(state, content.sequence, content.view).ownVote = { content, batch, evidence };
      break;
    }
    case 'commit':
      ballotOf(state, content.sequence, content.view).ownCommit = { content, batch, evidence };
      break;
    default:
      state.own.set(slotOf(content) ?? '', statement);
  }
}

/** Forgets what the rules no longer allow to be said anyway: past views, past epochs, old checkpoints. */
export function pruneOwn(state: ReplicaState): void {
  const { executed, view, configuration } = state;
  for (const [slot, { content }] of state.own) {
    if (content.kind === 'checkpoint') {
      if (content.sequence + 2 * CHECKPOINT_INTERVAL <= executed) state.own.delete(slot);
    } else if (content.kind === 'view-change' || content.kind === 'new-view') {
      const isPast = content.epoch < configuration.epoch || content.view < view;
      if (isPast) state.own.delete(slot);
    }
  }
}
