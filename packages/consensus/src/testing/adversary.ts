import { toHex } from '@nemea/core';
import { type Configuration, createConfiguration, primaryOf, weightOf } from '../configuration.ts';
import type { TimerId } from '../input.ts';
import {
  type Batch,
  type Content,
  encodeNewViewEvidence,
  encodeSignatures,
  evidenceDigest,
  type MemberSignature,
  NO_EVIDENCE,
  type Statement,
  type Tip,
  type ViewChange,
} from '../message.ts';
import { decisionDigest } from '../operation.ts';
import { isQuorum } from '../quorum.ts';
import { acceptedEnd, openAnchor } from '../state.ts';
import { isHigher } from '../view-change.ts';
import { checkAgreement } from './checkers.ts';
import { createRandom, type Random } from './random.ts';
import { createCheapSigner } from './signatures.ts';
import { signedBy, Witness } from './witness.ts';
import { type Honest, OPERATIONS, World } from './world.ts';

/** More than views in a row that have faulty primaries, several times over. */
const REST_ROUNDS = 40;

export type AdversaryOptions = {
  readonly weights: readonly number[];
  /** How many members are faulty, as long as they hold less than a third of the weight together. */
  readonly faulty: number;
  readonly seed: number;
};

/**
 * One mind that controls the network and all faulty members. It sees every message at once, delivers in any order or
 * never, fires any timer at any time, signs with the faulty members' keys whatever serves it, picks which certificates and
 * view changes to show to whom, and lets journals begin anew and replicas go on from checkpoints. A run is a function of
 * its seed.
 */
export class Adversary {
  readonly #random: Random;
  readonly #configuration: Configuration;
  readonly #faulty: readonly string[];
  readonly #witness: Witness;
  readonly #world: World;
  #timeoutChance = 0.01;
  readonly #moves = {
    proposals: 0,
    newViews: 0,
    restarts: 0,
    /** Journals that began anew while a view was bound to repeat something. */
    compactions: 0,
    /** Replicas that went on from a checkpoint in a later view than the first. */
    transfers: 0,
  };

  constructor({ weights, faulty, seed }: AdversaryOptions) {
    this.#random = createRandom(seed);
    this.#configuration = createConfiguration(
      weights.map((weight, index) => {
        const id = `r${index}`;
        return { id, publicKey: createCheapSigner(id).publicKey, weight };
      }),
    );
    this.#faulty = this.#corrupt(faulty);
    this.#witness = new Witness(this.#configuration, this.#faulty);
    this.#world = new World({
      configuration: this.#configuration,
      faulty: this.#faulty,
      random: this.#random,
      witness: this.#witness,
    });
  }

  /** What it did and what came of it, so that a test can tell that it was not idle. */
  get moves(): Readonly<Record<string, number>> {
    const { viewsEntered } = this.#world;
    const { lateDecisions } = this.#witness;
    return { ...this.#moves, viewsEntered, lateDecisions };
  }

  /** Throws unless honest replicas agree on every sequence that two of them have executed. */
  checkAgreement(): void {
    checkAgreement(this.#world.honest);
  }

  /** One move. Throws when it makes two decisions possible at one sequence, or has an honest member accused. */
  step(): void {
    // Storms of time-outs, and calm in which something gets decided.
    if (this.#random.chance(0.004)) this.#timeoutChance = this.#random.chance(0.5) ? 0.002 : 0.05;
    const dice = this.#random.next();
    if (this.#random.chance(0.01)) this.#compact();
    if (this.#random.chance(0.01)) this.#transfer();
    if (dice < this.#timeoutChance) this.#fireTimer();
    else if (dice < 0.055) this.#restart();
    else if (dice < 0.13) this.#propose();
    else if (dice < 0.2) this.#vote();
    else if (dice < 0.215) this.#changeView();
    else if (dice < 0.23) this.#openView();
    else this.#world.deliver();
  }

  /**
   * The network heals: what is said arrives, and progress timers end only after all others have been of no use. The faulty
   * members vote for nothing, and go on showing tips. Returns whether the honest ones come to decide all that was asked of them.
   */
  rest(): boolean {
    for (let round = 0; round < REST_ROUNDS; round++) {
      for (const timer of ['pulse', 'catch-up', 'pulse', 'catch-up', 'progress'] as const)
        this.#fireAll(timer);
      const states = this.#world.honest.map(({ replica }) => replica.state);
      for (const view of new Set(states.map((state) => state.view))) {
        for (const sender of this.#faulty) this.#say(this.#departure(sender, view), this.#world.honest);
      }
      this.#world.deliverAll();
      const isEven = new Set(states.map(({ executed }) => executed)).size === 1;
      if (isEven && states.every(({ pending }) => pending.size === 0)) return true;
    }
    return false;
  }

  #fireAll(id: TimerId): void {
    for (const honest of this.#world.honest) {
      if (honest.timers.delete(id)) this.#world.feed(honest, { type: 'timeout', id });
    }
    this.#world.deliverAll();
  }

  /** Any members, as long as they hold less than a third of the weight together. */
  #corrupt(count: number): string[] {
    const { members, weightTotal } = this.#configuration;
    const shuffled = this.#shuffled(members.map(({ id }) => id));
    const chosen: string[] = [];
    for (const id of shuffled) {
      const weight = [...chosen, id].reduce((sum, other) => sum + weightOf(this.#configuration, other), 0);
      if (chosen.length < count && 3 * weight < weightTotal) chosen.push(id);
    }
    return chosen;
  }

  #fireTimer(): void {
    const honest = this.#pickHonest();
    const id = this.#pick([...honest.timers]);
    if (id === undefined) return;
    honest.timers.delete(id);
    this.#world.feed(honest, { type: 'timeout', id });
  }

  /** It likes journals to begin anew when something must still be repeated. */
  #compact(): void {
    const honest = this.#pickHonest();
    if (openAnchor(honest.replica.state) === null) return;
    this.#world.compact(honest);
    this.#moves.compactions++;
  }

  /** Somebody who is behind, by much or by little, goes on from a checkpoint; rather one that has changed its view. */
  #transfer(): void {
    const transfer = this.#pick(this.#world.transfers);
    const end = transfer?.recent.at(-1)?.sequence ?? 0;
    const behind = this.#world.honest.filter(({ replica: { state } }) => state.committed < end);
    const honest =
      this.#pick(behind.filter(({ replica: { state } }) => state.view > 0)) ?? this.#pick(behind);
    if (transfer === undefined || honest === undefined) return;
    const { committed, view } = honest.replica.state;
    this.#world.feed(honest, { type: 'transfer', transfer });
    if (honest.replica.state.committed > committed && view > 0) this.#moves.transfers++;
  }

  #restart(): void {
    if (!this.#random.chance(0.1)) return;
    this.#world.restart(this.#pickHonest());
    this.#moves.restarts++;
  }

  /** A faulty primary extends what a replica has accepted, repeats what is known, or repeats the anchor of its view. */
  #propose(): void {
    const target = this.#pickHonest().replica.state;
    const primary = primaryOf(this.#configuration, target.view);
    if (!target.active || !this.#faulty.includes(primary)) return;
    const { view, anchor } = target;
    const { batches } = this.#witness;
    const end = acceptedEnd(target);
    let sequence = end.sequence + 1;
    let batch: Batch = [this.#pick(OPERATIONS) as Uint8Array];
    let digest = decisionDigest(end.digest, batch);
    if (anchor !== null && this.#random.chance(0.5)) {
      const known = batches.get(toHex(anchor.digest));
      if (known === undefined) return;
      ({ sequence, digest } = anchor);
      batch = known;
    } else if (this.#random.chance(0.5)) {
      const known = [...batches].find(([hex, other]) => hex === toHex(decisionDigest(end.digest, other)));
      if (known !== undefined) {
        batch = known[1];
        digest = decisionDigest(end.digest, batch);
      }
    }
    this.#moves.proposals++;
    batches.set(toHex(digest), batch);
    const content = { kind: 'pre-prepare' as const, epoch: 1, view, sequence, digest };
    this.#witness.seenOf(content);
    this.#say(signedBy(primary, content, batch), this.#subset());
  }

  /** Supports whatever a replica has before it, so that each sees the votes that make it go on. */
  #vote(): void {
    const target = this.#pickHonest();
    const { view, committed, ballots } = target.replica.state;
    const sequence = committed + this.#random.integer(1, 4);
    const proposal = ballots.get(sequence)?.get(view)?.proposal;
    const places = this.#witness.seen.filter((seen) => seen.sequence === sequence && seen.view === view);
    const digest = this.#random.chance(0.8) ? proposal?.digest : this.#pick(places)?.digest;
    if (digest === undefined) return;
    const kind = this.#random.chance(0.5) ? ('prepare' as const) : ('commit' as const);
    const content = { kind, epoch: 1, view, sequence, digest };
    this.#witness.seenOf(content);
    for (const sender of this.#faulty) {
      if (kind === 'prepare' && sender === primaryOf(this.#configuration, view)) continue;
      this.#say(signedBy(sender, content), [target]);
    }
  }

  #changeView(): void {
    const view = this.#pickHonest().replica.state.view + this.#random.integer(0, 1);
    if (view === 0) return;
    for (const sender of this.#faulty) this.#say(this.#departure(sender, view), this.#subset());
  }

  /** A faulty primary picks a quorum of view changes that suits it, another one for others if it likes. */
  #openView(): void {
    const { viewChanges } = this.#witness;
    const views = [...viewChanges.keys()].filter((view) =>
      this.#faulty.includes(primaryOf(this.#configuration, view)),
    );
    const view = this.#pick(views.slice(-3));
    if (view === undefined) return;
    const honest = [...(viewChanges.get(view)?.values() ?? [])];
    const chosen = this.#fewest([...this.#faulty.map((sender) => this.#departure(sender, view)), ...honest]);
    if (chosen === null) return;
    const tip = highestTip(chosen);
    const signatures = tip === null ? [] : this.#witness.prepared(this.#witness.seenOf({ epoch: 1, ...tip }));
    if (signatures === null) return;
    const evidence = encodeNewViewEvidence({ viewChanges: chosen, signatures });
    this.#moves.newViews++;
    const content = { kind: 'new-view' as const, epoch: 1, view, evidence: evidenceDigest(evidence) };
    const primary = primaryOf(this.#configuration, view);
    this.#say(signedBy(primary, content, [], evidence), this.#subset());
  }

  /** Any quorum of view changes with as few as possible: who is left out may have committed. */
  #fewest(shown: readonly Statement<ViewChange>[]): Statement<ViewChange>[] | null {
    const chosen: Statement<ViewChange>[] = [];
    const suffices = () =>
      isQuorum(
        this.#configuration,
        chosen.map(({ sender }) => sender),
      );
    for (const statement of this.#shuffled(shown)) if (!suffices()) chosen.push(statement);
    return suffices() ? chosen : null;
  }

  /** A view change of a faulty member, with any tip that can be proven, or with none. */
  #departure(sender: string, view: number): Statement<ViewChange> {
    const provable: { tip: Tip; signatures: MemberSignature[] }[] = [];
    for (const seen of this.#witness.seen) {
      if (seen.view >= view) continue;
      const signatures = this.#witness.prepared(seen);
      const { view: at, sequence, digest } = seen;
      if (signatures !== null) provable.push({ tip: { view: at, sequence, digest }, signatures });
    }
    const choice = this.#random.chance(0.2) ? undefined : this.#pick(provable);
    const tip = choice?.tip ?? null;
    const content = { kind: 'view-change' as const, epoch: 1, view, committed: 0, tip };
    const evidence = choice === undefined ? NO_EVIDENCE : encodeSignatures(choice.signatures);
    return { ...signedBy(sender, content, [], evidence), content };
  }

  #say({ message }: Statement<Content>, targets: readonly Honest[]): void {
    for (const to of targets) this.#world.sendMessage(to, message);
  }

  #subset(): Honest[] {
    return this.#world.honest.filter(() => this.#random.chance(0.7));
  }

  #pickHonest(): Honest {
    return this.#pick(this.#world.honest) as Honest;
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#random.integer(0, list.length - 1)];
  }

  #shuffled<T>(list: readonly T[]): T[] {
    return [...list].sort(() => this.#random.next() - 0.5);
  }
}

function highestTip(viewChanges: readonly Statement<ViewChange>[]): Tip | null {
  let highest: Tip | null = null;
  for (const { content } of viewChanges) {
    const { tip } = content;
    if (tip !== null && (highest === null || isHigher(tip, highest))) highest = tip;
  }
  return highest;
}
