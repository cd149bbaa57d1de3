import { assert, type Verified } from '@nemea/core';
import { type Sign, signStatement } from './authenticate.ts';
import type { Effect } from './effect.ts';
import type { Input } from './input.ts';
import type { OwnStatement } from './journal.ts';
import { NO_EVIDENCE, type SignedMessage, type Statement } from './message.ts';
import { step } from './replica.ts';
import type { ReplicaState } from './state.ts';

/** A replica and the key it speaks with. */
export type SigningReplica = { readonly state: ReplicaState; readonly sign: Sign };

/** The effects that are left for the rim once everything is signed and own messages have been delivered. */
export type Outbound =
  | Exclude<Effect, { type: 'broadcast' } | { type: 'send' } | { type: 'relay' }>
  /** Send to one peer, or to all others when `to` is null. */
  | { readonly type: 'transmit'; readonly to: string | null; readonly message: SignedMessage };

/** An own statement opens at most the next rule, so a turn of the replica ends after a few rounds. */
const ROUNDS_MAX = 64;

/**
 * Feeds one input, signs what the replica says and feeds that back until it has no more to say. The effects are to be
 * performed in order. A `commit`, of which there is at most one, comes last: its answer, `executed`, leads to effects
 * that must not overtake the others.
 */
export function drive(replica: SigningReplica, input: Input): Outbound[] {
  return settle(replica, step(replica.state, input).effects);
}

/** The same for the effects that `createReplica` and `restoreReplica` begin with. */
export function settle(replica: SigningReplica, effects: readonly Effect[]): Outbound[] {
  if (effects.length === 0) return [];
  const outbound: Outbound[] = [];
  let said = perform(replica, effects, outbound);
  for (let round = 0; said.length > 0; round++) {
    assert(round < ROUNDS_MAX, 'a replica answers itself without end');
    const answers = said.flatMap((statement) => step(replica.state, { type: 'message', statement }).effects);
    said = perform(replica, answers, outbound);
  }
  const commit = outbound.findIndex(({ type }) => type === 'commit');
  return commit === -1 ? outbound : [...outbound.toSpliced(commit, 1), outbound[commit] as Outbound];
}

/** Returns what was said to all, for delivery to oneself. */
function perform(
  replica: SigningReplica,
  effects: readonly Effect[],
  outbound: Outbound[],
): Verified<Statement>[] {
  const said: Verified<Statement>[] = [];
  for (const effect of effects) {
    switch (effect.type) {
      case 'broadcast': {
        const statement = toStatement(replica, effect);
        outbound.push({ type: 'transmit', to: null, message: statement.message });
        said.push(statement);
        break;
      }
      case 'send': {
        const { message } = toStatement(replica, { ...effect, evidence: NO_EVIDENCE });
        outbound.push({ type: 'transmit', to: effect.to, message });
        break;
      }
      case 'relay':
        outbound.push({ type: 'transmit', to: effect.to, message: effect.message });
        break;
      default:
        outbound.push(effect);
    }
  }
  return said;
}

function toStatement(
  { state, sign }: SigningReplica,
  { content, batch, evidence }: OwnStatement,
): Verified<Statement> {
  return signStatement({ networkId: state.networkId, sender: state.id, content, batch, evidence, sign });
}
