import { bytesEqual, fromUtf8, mintVerified } from '@nemea/core';
import type { Decision } from '../certificate.ts';
import { compact, type Transfer } from '../checkpoint.ts';
import type { Configuration } from '../configuration.ts';
import { drive, type Outbound, type SigningReplica, settle } from '../driver.ts';
import type { Input, TimerId } from '../input.ts';
import { encodeRecord, parseRecord } from '../journal.ts';
import { CHECKPOINT_INTERVAL } from '../limits.ts';
import { parsePayload, type SignedMessage } from '../message.ts';
import { decisionDigest } from '../operation.ts';
import { createReplica } from '../replica.ts';
import { restoreReplica } from '../restore.ts';
import type { ReplicaOptions, Turn } from '../state.ts';
import type { Random } from './random.ts';
import { createCheapSigner, verifyCheaply } from './signatures.ts';
import { NETWORK_ID, signedBy, type Witness } from './witness.ts';

export const OPERATIONS = [...'abcdefghijkl'].map(fromUtf8);
/** Decided before the adversary comes: the first checkpoint is two decisions away. */
const HISTORY = CHECKPOINT_INTERVAL - 2;
const IN_FLIGHT_MAX = 400;

export type Honest = {
  readonly id: string;
  readonly options: ReplicaOptions;
  replica: SigningReplica;
  journal: Uint8Array[];
  readonly decisions: Decision[];
  readonly timers: Set<TimerId>;
};

export type WorldOptions = {
  readonly configuration: Configuration;
  readonly faulty: readonly string[];
  readonly random: Random;
  readonly witness: Witness;
};

/**
 * Honest replicas that run the production code, their disks, and what is in flight between them. Nothing happens by itself and
 * nothing is on a clock: whoever owns the world feeds, delivers and restarts. A witness hears all that is said.
 */
export class World {
  readonly honest: readonly Honest[];
  readonly #faulty: readonly string[];
  readonly #random: Random;
  readonly #witness: Witness;
  readonly #inFlight: { to: Honest; input: Input }[] = [];
  /** States to go on from, proven by a quorum. */
  readonly transfers: Transfer[] = [];
  viewsEntered = 0;

  constructor({ configuration, faulty, random, witness }: WorldOptions) {
    this.#faulty = faulty;
    this.#random = random;
    this.#witness = witness;
    const ids = configuration.members.map(({ id }) => id).filter((id) => !faulty.includes(id));
    const started = ids.map((id) => startReplica(id, configuration));
    this.honest = started.map(({ honest }) => honest);
    const history = historyOf(configuration);
    for (const { honest, effects } of started) {
      this.#perform(honest, effects);
      this.feed(honest, { type: 'decisions', decisions: history });
      for (const { sequence } of history) this.feed(honest, { type: 'executed', sequence, members: null });
      for (const operation of OPERATIONS) {
        if (random.chance(0.8)) this.feed(honest, { type: 'request', operation });
      }
    }
  }

  feed(honest: Honest, input: Input): void {
    const { view, active } = honest.replica.state;
    this.#perform(honest, drive(honest.replica, input));
    const after = honest.replica.state;
    if (after.active && (after.view !== view || !active)) this.viewsEntered++;
  }

  /** Only what was signed by its sender's key is ever in flight. */
  sendMessage(to: Honest, message: SignedMessage): void {
    const content = parsePayload(message.payload);
    const statement = mintVerified({ message, sender: message.sender, content });
    this.#send(to, { type: 'message', statement });
  }

  /** Something of what is in flight arrives, in no order. */
  deliver(): void {
    if (this.#inFlight.length === 0) return;
    const { to, input } = this.#takeAny();
    const { state } = to.replica;
    if (input.type === 'executed' && (!state.isExecuting || state.executed !== input.sequence - 1)) return;
    this.feed(to, input);
  }

  /** All that is in flight arrives, and what follows from it, until nothing is left. */
  deliverAll(): void {
    while (this.#inFlight.length > 0) this.deliver();
  }

  /** A crash that loses no durable record. */
  restart(honest: Honest): void {
    const { state, effects } = restoreReplica(honest.options, honest.journal.map(parseRecord));
    honest.replica = { state, sign: honest.replica.sign };
    honest.timers.clear();
    for (let at = this.#inFlight.length - 1; at >= 0; at--) {
      const { to, input } = this.#inFlight[at] as { to: Honest; input: Input };
      if (to === honest && input.type !== 'message') this.#inFlight.splice(at, 1);
    }
    this.#perform(honest, settle(honest.replica, effects));
    for (const operation of OPERATIONS) this.feed(honest, { type: 'request', operation });
  }

  /** A journal may begin anew at any moment. */
  compact(honest: Honest): void {
    const turn: Turn = { state: honest.replica.state, effects: [] };
    compact(turn);
    this.#perform(honest, settle(honest.replica, turn.effects));
  }

  #perform(honest: Honest, effects: readonly Outbound[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'persist':
          // A crash may have kept what came before, and it must not matter.
          if (effect.record.type === 'base' && this.#random.chance(0.5)) honest.journal = [];
          honest.journal.push(encodeRecord(effect.record));
          break;
        case 'transmit':
          this.#witness.hear(effect.message);
          this.#noteTransfer(effect.message);
          for (const to of this.honest) {
            if (to === honest || (effect.to !== null && effect.to !== to.id)) continue;
            this.sendMessage(to, effect.message);
          }
          break;
        case 'commit': {
          const { sequence } = effect.decision;
          honest.decisions[sequence - 1] = effect.decision;
          this.#send(honest, { type: 'executed', sequence, members: null });
          break;
        }
        case 'fetch': {
          const from = this.honest.find(({ id }) => id === effect.from);
          const decisions = from?.decisions.slice(effect.sequence - 1).filter(isKept) ?? [];
          this.#send(honest, { type: 'decisions', decisions });
          break;
        }
        case 'startTimer':
          honest.timers.add(effect.id);
          break;
        case 'stopTimer':
          honest.timers.delete(effect.id);
          break;
        case 'penalize':
          if (!this.#faulty.includes(effect.id)) throw new Error(`an honest member is accused: ${effect.id}`);
          break;
        default:
      }
    }
  }

  /** Whoever has a checkpoint that is stable by now may be asked for it. */
  #noteTransfer({ payload }: SignedMessage): void {
    const content = parsePayload(payload);
    if (content.kind !== 'checkpoint') return;
    for (const { replica } of this.honest) {
      for (const { transfer, digest, encoded } of replica.state.unstable) {
        if (!bytesEqual(digest, content.digest)) continue;
        const proof = this.#witness.stable(encoded, content);
        if (proof !== null) this.transfers.push({ ...transfer, proofs: [proof] });
        return;
      }
    }
  }

  #send(to: Honest, input: Input): void {
    this.#inFlight.push({ to, input });
    // What is lost is lost: nothing here promises delivery.
    if (this.#inFlight.length > IN_FLIGHT_MAX) this.#takeAny();
  }

  #takeAny(): { to: Honest; input: Input } {
    const [any] = this.#inFlight.splice(this.#random.integer(0, this.#inFlight.length - 1), 1);
    return any as { to: Honest; input: Input };
  }
}

function startReplica(id: string, { members }: Configuration): { honest: Honest; effects: Outbound[] } {
  const settings = { eagerBatches: 32, batchOperations: 1 };
  const options = { id, networkId: NETWORK_ID, members, verify: verifyCheaply, settings };
  const { state, effects } = createReplica(options);
  const replica = { state, sign: createCheapSigner(id).sign };
  const honest = { id, options, replica, journal: [], decisions: [], timers: new Set<TimerId>() };
  return { honest, effects: settle(replica, effects) };
}

/** What all had agreed on in peace. */
function historyOf({ members }: Configuration): Decision[] {
  const decisions: Decision[] = [];
  let digest: Uint8Array = new Uint8Array(32);
  for (let sequence = 1; sequence <= HISTORY; sequence++) {
    const batch = [fromUtf8(`history ${sequence}`)];
    digest = decisionDigest(digest, batch);
    const place = { epoch: 1, view: 0, sequence, digest };
    const signatures = members.map(({ id }) => ({
      sender: id,
      signature: signedBy(id, { kind: 'commit', ...place }).message.signature,
    }));
    decisions.push({ sequence, batch, certificate: { ...place, signatures } });
  }
  return decisions;
}

/** Who went on from a checkpoint has no decisions before it. */
function isKept(decision: Decision | undefined): decision is Decision {
  return decision !== undefined;
}
