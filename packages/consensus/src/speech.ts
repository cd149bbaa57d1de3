import { assert, bytesEqual } from '@nemea/core';
import { CHECKPOINT_INTERVAL } from './limits.ts';
import { type Batch, type Content, encodePayload } from './message.ts';
import type { ReplicaState, Turn } from './state.ts';

/** The slot of a statement: an honest replica fills each of its slots at most once [CONS-6]. */
export function slotOf(content: Content): string {
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
      return `vote/${content.sequence}/${content.view}`;
    case 'commit':
      return `commit/${content.sequence}/${content.view}`;
    case 'checkpoint':
      return `checkpoint/${content.sequence}`;
    case 'view-change':
    case 'new-view':
      return `${content.kind}/${content.epoch}/${content.view}`;
    case 'status':
      return 'status';
  }
}

export function ownStatement(state: ReplicaState, slot: string): Content | null {
  return state.own.get(slot)?.content ?? null;
}

/** Writes ahead, then speaks [CONS-6]. Saying something else in a slot already filled is a bug and stops the replica. */
export function speak(turn: Turn, content: Content, batch: Batch = []): void {
  const slot = slotOf(content);
  const said = ownStatement(turn.state, slot);
  assert(
    said === null || bytesEqual(encodePayload(said), encodePayload(content)),
    `replica would contradict itself in slot ${slot}`,
  );
  if (said === null) {
    turn.effects.push({ type: 'persist', record: { type: 'sent', content, batch } });
    turn.state.own.set(slot, { content, batch });
  }
  turn.effects.push({ type: 'broadcast', content, batch });
}

/** Forgets what the rules no longer allow to be said anyway: decided sequences, past views, past epochs. */
export function pruneOwn(state: ReplicaState): void {
  for (const [slot, { content }] of state.own) {
    if (isPast(state, content)) state.own.delete(slot);
  }
}

function isPast({ committed, view, configuration }: ReplicaState, content: Content): boolean {
  switch (content.kind) {
    case 'pre-prepare':
    case 'prepare':
    case 'commit':
      return content.sequence <= committed || content.view < view;
    case 'checkpoint':
      return content.sequence + 2 * CHECKPOINT_INTERVAL <= committed;
    case 'view-change':
    case 'new-view':
      return content.epoch < configuration.epoch || content.view < view;
    case 'status':
      return true;
  }
}
