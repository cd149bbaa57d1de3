import { bytesEqual, fromUtf8, mintVerified, toHex } from '@nemea/core';
import { signStatement } from '../authenticate.ts';
import type { Decision } from '../certificate.ts';
import { compact, type Transfer } from '../checkpoint.ts';
import {
  type Configuration,
  createConfiguration,
  type Member,
  primaryOf,
  weightOf,
} from '../configuration.ts';
import { drive, type Outbound, type SigningReplica, settle } from '../driver.ts';
import type { Input, TimerId } from '../input.ts';
import { encodeRecord, parseRecord } from '../journal.ts';
import { CHECKPOINT_INTERVAL } from '../limits.ts';
import {
  type Batch,
  type Checkpoint,
  type Content,
  encodeNewViewEvidence,
  encodeSignatures,
  evidenceDigest,
  type MemberSignature,
  NO_EVIDENCE,
  parsePayload,
  type SignedMessage,
  type Statement,
  type Tip,
  type ViewChange,
} from '../message.ts';
import { decisionDigest } from '../operation.ts';
import { hasQuorum, isQuorum } from '../quorum.ts';
import { createReplica } from '../replica.ts';
import { restoreReplica } from '../restore.ts';
import { acceptedEnd, openAnchor, type ReplicaOptions, type ReplicaState, type Turn } from '../state.ts';
import { isHigher } from '../view-change.ts';
import { createRandom, type Random } from './random.ts';
import { createCheapSigner, verifyCheaply } from './signatures.ts';

const NETWORK_ID = new Uint8Array(32).fill(0x41);
const OPERATIONS = [...'abcdefghijkl'].map(fromUtf8);
/** Decided before the adversary comes: the first checkpoint is two decisions away. */
const HISTORY = CHECKPOINT_INTERVAL - 2;
const IN_FLIGHT_MAX = 400;

type Honest = {
  readonly id: string;
  readonly options: ReplicaOptions;
  replica: SigningReplica;
  journal: Uint8Array[];
  readonly decisions: Decision[];
  readonly timers: Set<TimerId>;
};

type Seen = Tip & { readonly epoch: number; readonly byKind: Map<string, Map<string, Uint8Array>> };

/**
 * Honest replicas that run the production code, and one mind that controls the network and all faulty members. It sees
 * every message at once, delivers in any order or never, fires any timer at any time, signs with the faulty members'
 * keys whatever serves it, picks which certificates and view changes to show to whom, and lets journals begin anew and
 * replicas go on from checkpoints. Nothing is on a clock: a run is a function of its seed. `moves` counts what it did, so that a test can tell that it was not idle.
 */
export class World {
  readonly #random: Random;
  readonly #configuration: Configuration;
  readonly #faulty: readonly string[];
  readonly #sign = new Map<string, (message: Uint8Array) => Uint8Array>();
  readonly #honest: Honest[] = [];
  readonly #inFlight: { to: Honest; input: Input }[] = [];
  readonly #seen = new Map<string, Seen>();
  readonly #viewChanges = new Map<number, Map<string, Statement<ViewChange>>>();
  readonly #batches = new Map<string, Batch>();
  /** Signatures under checkpoints, by digest and sender. */
  readonly #checkpoints = new Map<string, Map<string, Uint8Array>>();
  /** States to go on from, proven by a quorum. */
  readonly #transfers: Transfer[] = [];
  #timeoutChance = 0.01;
  /** Digests that some quorum may show a commit certificate for, by sequence, and the view of the first. */
  readonly decidable = new Map<number, Map<string, number>>();
  readonly moves = {
    proposals: 0,
    newViews: 0,
    viewsEntered: 0,
    restarts: 0,
    lateDecisions: 0,
    /** Journals that began anew while a view was bound to repeat something. */
    compactions: 0,
    /** Replicas that went on from a checkpoint while a view was under way that others had opened or left. */
    transfers: 0,
  };

  constructor({ weights, faulty, seed }: { weights: readonly number[]; faulty: number; seed: number }) {
    this.#random = createRandom(seed);
    const members: Member[] = weights.map((weight, index) => {
      const id = `r${index}`;
      const { publicKey, sign } = createCheapSigner(id);
      this.#sign.set(id, sign);
      return { id, publicKey, weight };
    });
    this.#configuration = createConfiguration(members);
    // Any members, as long as they hold less than a third of the weight together.
    const shuffled = [...weights.keys()].sort(() => this.#random.next() - 0.5).map((index) => `r${index}`);
    const chosen: string[] = [];
    for (const id of shuffled) {
      const weight = [...chosen, id].reduce((sum, other) => sum + weightOf(this.#configuration, other), 0);
      if (chosen.length < faulty && 3 * weight < this.#configuration.weightTotal) chosen.push(id);
    }
    this.#faulty = chosen;
    const history = this.#history();
    for (const { id } of members) if (!chosen.includes(id)) this.#start(id, members, history);
  }

  /** One move of the adversary. */
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
    else this.#deliver();
  }

  /** What all had agreed on in peace. */
  #history(): Decision[] {
    const decisions: Decision[] = [];
    let digest: Uint8Array = new Uint8Array(32);
    for (let sequence = 1; sequence <= HISTORY; sequence++) {
      const batch = [fromUtf8(`history ${sequence}`)];
      digest = decisionDigest(digest, batch);
      const place = { epoch: 1, view: 0, sequence, digest };
      const signatures = this.#configuration.members.map(({ id }) => ({
        sender: id,
        signature: this.#signed(id, { kind: 'commit', ...place }, [], NO_EVIDENCE).message.signature,
      }));
      decisions.push({ sequence, batch, certificate: { ...place, signatures } });
    }
    return decisions;
  }

  #start(id: string, members: readonly Member[], history: readonly Decision[]): void {
    const settings = { eagerBatches: 32, batchOperations: 1 };
    const options = { id, networkId: NETWORK_ID, members, verify: verifyCheaply, settings };
    const { state, effects } = createReplica(options);
    const sign = this.#sign.get(id) as (message: Uint8Array) => Uint8Array;
    const honest = {
      id,
      options,
      replica: { state, sign },
      journal: [],
      decisions: [],
      timers: new Set<TimerId>(),
    };
    this.#honest.push(honest);
    this.#perform(honest, settle(honest.replica, effects));
    this.#feed(honest, { type: 'decisions', decisions: history });
    for (const { sequence } of history) this.#feed(honest, { type: 'executed', sequence, members: null });
    for (const operation of OPERATIONS) {
      if (this.#random.chance(0.8)) this.#feed(honest, { type: 'request', operation });
    }
  }

  #feed(honest: Honest, input: Input): void {
    const { view, active } = honest.replica.state;
    this.#perform(honest, drive(honest.replica, input));
    const after = honest.replica.state;
    if (after.active && (after.view !== view || !active)) this.moves.viewsEntered++;
  }

  #perform(honest: Honest, effects: readonly Outbound[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'persist':
          if (effect.record.type === 'base') honest.journal = [];
          honest.journal.push(encodeRecord(effect.record));
          break;
        case 'transmit':
          this.#witness(effect.message);
          for (const to of this.#honest) {
            if (to === honest || (effect.to !== null && effect.to !== to.id)) continue;
            this.#send(to, toInput(effect.message));
          }
          break;
        case 'commit': {
          const { sequence } = effect.decision;
          honest.decisions[sequence - 1] = effect.decision;
          this.#send(honest, { type: 'executed', sequence, members: null });
          break;
        }
        case 'fetch': {
          const from = this.#honest.find(({ id }) => id === effect.from);
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

  #send(to: Honest, input: Input): void {
    this.#inFlight.push({ to, input });
    // What is lost is lost: nothing here promises delivery.
    if (this.#inFlight.length > IN_FLIGHT_MAX) this.#inFlight.splice(this.#index(this.#inFlight), 1);
  }

  #deliver(): void {
    if (this.#inFlight.length === 0) return;
    const [next] = this.#inFlight.splice(this.#index(this.#inFlight), 1);
    const { to, input } = next as { to: Honest; input: Input };
    const { state } = to.replica;
    if (input.type === 'executed' && (!state.isExecuting || state.executed !== input.sequence - 1)) return;
    this.#feed(to, input);
  }

  #fireTimer(): void {
    const honest = this.#pick(this.#honest);
    const id = this.#pick([...honest.timers]);
    if (id === undefined) return;
    honest.timers.delete(id);
    this.#feed(honest, { type: 'timeout', id });
  }

  /** A journal may begin anew at any moment: the adversary likes those in which something must still be repeated. */
  #compact(): void {
    const honest = this.#pick(this.#honest);
    const { state } = honest.replica;
    if (openAnchor(state) === null) return;
    const turn: Turn = { state, effects: [] };
    compact(turn);
    this.#perform(honest, settle(honest.replica, turn.effects));
    this.moves.compactions++;
  }

  /** With the faulty members' signatures what few honest ones have executed is a checkpoint already. */
  #noteCheckpoint(content: Checkpoint, { sender, signature }: SignedMessage): void {
    const key = toHex(content.digest);
    const signed = this.#checkpoints.get(key) ?? new Map<string, Uint8Array>();
    this.#checkpoints.set(key, signed.set(sender, signature));
    for (const id of this.#faulty)
      signed.set(id, this.#signed(id, content, [], NO_EVIDENCE).message.signature);
    if (!isQuorum(this.#configuration, [...signed.keys()])) return;
    const signatures = [...signed].map(([id, by]) => ({ sender: id, signature: by }));
    for (const { replica } of this.#honest) {
      for (const { transfer, digest, encoded } of replica.state.unstable) {
        if (!bytesEqual(digest, content.digest)) continue;
        this.#transfers.push({ ...transfer, proofs: [{ header: encoded, signatures }] });
        return;
      }
    }
  }

  /** Somebody goes on from a checkpoint, in whatever view it is, be it behind by much or by little. */
  #transfer(): void {
    const honest = this.#pick(this.#honest);
    const transfer = this.#pick(this.#transfers);
    if (transfer === undefined) return;
    const { committed, view } = honest.replica.state;
    this.#feed(honest, { type: 'transfer', transfer });
    if (honest.replica.state.committed > committed && view > 0) this.moves.transfers++;
  }

  /** A crash that loses no durable record. */
  #restart(): void {
    if (!this.#random.chance(0.1)) return;
    const honest = this.#pick(this.#honest);
    const { state, effects } = restoreReplica(honest.options, honest.journal.map(parseRecord));
    honest.replica = { state, sign: honest.replica.sign };
    honest.timers.clear();
    for (let at = this.#inFlight.length - 1; at >= 0; at--) {
      const { to, input } = this.#inFlight[at] as { to: Honest; input: Input };
      if (to === honest && input.type !== 'message') this.#inFlight.splice(at, 1);
    }
    this.moves.restarts++;
    this.#perform(honest, settle(honest.replica, effects));
    for (const operation of OPERATIONS) this.#feed(honest, { type: 'request', operation });
  }

  /** Keeps what can be used later: votes for certificates, view changes, batches. Checks agreement. */
  #witness(message: SignedMessage): void {
    const content = parsePayload(message.payload);
    switch (content.kind) {
      case 'pre-prepare':
        this.#batches.set(toHex(content.digest), message.batch);
        this.#seenOf(content).byKind.get('prepare')?.set(message.sender, message.signature);
        return;
      case 'prepare':
        this.#seenOf(content).byKind.get('prepare')?.set(message.sender, message.signature);
        return;
      case 'commit':
        this.#seenOf(content).byKind.get('commit')?.set(message.sender, message.signature);
        this.#check(content);
        return;
      case 'checkpoint':
        this.#noteCheckpoint(content, message);
        return;
      case 'view-change': {
        const byView = this.#viewChanges.get(content.view) ?? new Map<string, Statement<ViewChange>>();
        byView.set(message.sender, { message, sender: message.sender, content });
        this.#viewChanges.set(content.view, byView);
        return;
      }
      default:
    }
  }

  /** Counts every faulty member as a supporter of everything: what could be decided must never be two things. */
  #check(vote: Tip & { epoch: number }): void {
    const { byKind } = this.#seenOf(vote);
    const supporters = [...(byKind.get('commit')?.keys() ?? []), ...this.#faulty];
    if (!isQuorum(this.#configuration, supporters)) return;
    const digests = this.decidable.get(vote.sequence) ?? new Map<string, number>();
    this.decidable.set(vote.sequence, digests);
    const digest = toHex(vote.digest);
    if (digests.has(digest)) return;
    digests.set(digest, vote.view);
    if (vote.view > 0) this.moves.lateDecisions++;
    if (digests.size > 1) {
      const views = [...digests.values()].join(' and ');
      throw new Error(`two decisions are possible at sequence ${vote.sequence}, in views ${views}`);
    }
  }

  #seenOf({ epoch, view, sequence, digest }: Tip & { epoch: number }): Seen {
    const key = `${epoch}/${view}/${sequence}/${toHex(digest)}`;
    let seen = this.#seen.get(key);
    if (seen === undefined) {
      const byKind = new Map([
        ['prepare', new Map<string, Uint8Array>()],
        ['commit', new Map<string, Uint8Array>()],
      ]);
      seen = { epoch, view, sequence, digest, byKind };
      this.#seen.set(key, seen);
    }
    return seen;
  }

  /** A faulty primary extends what a replica has accepted, repeats what is known, or repeats the anchor of its view. */
  #propose(): void {
    const target = this.#pick(this.#honest).replica.state;
    const primary = primaryOf(this.#configuration, target.view);
    if (!target.active || !this.#faulty.includes(primary)) return;
    const { view, anchor } = target;
    const end = acceptedEnd(target);
    let sequence = end.sequence + 1;
    let batch: Batch = [this.#pick(OPERATIONS)];
    let digest = decisionDigest(end.digest, batch);
    if (anchor !== null && this.#random.chance(0.5)) {
      const known = this.#batches.get(toHex(anchor.digest));
      if (known === undefined) return;
      ({ sequence, digest } = anchor);
      batch = known;
    } else if (this.#random.chance(0.5)) {
      const known = [...this.#batches].find(
        ([hex, other]) => hex === toHex(decisionDigest(end.digest, other)),
      );
      if (known !== undefined) {
        batch = known[1];
        digest = decisionDigest(end.digest, batch);
      }
    }
    this.moves.proposals++;
    const content = { kind: 'pre-prepare' as const, epoch: 1, view, sequence, digest };
    this.#say(primary, content, batch, NO_EVIDENCE, this.#subset());
  }

  /** Supports whatever a replica has before it, so that each sees the votes that make it go on. */
  #vote(): void {
    const target = this.#pick(this.#honest);
    const { view, committed } = target.replica.state;
    const sequence = committed + this.#random.integer(1, 4);
    const ballot = target.replica.state.ballots.get(sequence)?.get(view);
    const digests = [...this.#seen.values()].filter(
      (seen) => seen.sequence === sequence && seen.view === view,
    );
    const digest = this.#random.chance(0.8) ? ballot?.proposal?.digest : this.#pick(digests)?.digest;
    if (digest === undefined) return;
    const kind = this.#random.chance(0.5) ? ('prepare' as const) : ('commit' as const);
    for (const sender of this.#faulty) {
      if (kind === 'prepare' && sender === primaryOf(this.#configuration, view)) continue;
      this.#say(sender, { kind, epoch: 1, view, sequence, digest }, [], NO_EVIDENCE, [target]);
    }
  }

  #changeView(): void {
    const view = this.#pick(this.#honest).replica.state.view + this.#random.integer(0, 1);
    if (view === 0) return;
    for (const sender of this.#faulty) {
      const { message } = this.#departure(sender, view);
      for (const to of this.#subset()) this.#send(to, toInput(message));
    }
  }

  /** A faulty primary picks a quorum of view changes that suits it, another one for others if it likes. */
  #openView(): void {
    const views = [...this.#viewChanges.keys()].filter((view) =>
      this.#faulty.includes(primaryOf(this.#configuration, view)),
    );
    const view = this.#pick(views.slice(-3));
    if (view === undefined) return;
    const honest = [...(this.#viewChanges.get(view)?.values() ?? [])];
    const shown = [...this.#faulty.map((sender) => this.#departure(sender, view)), ...honest].sort(
      () => this.#random.next() - 0.5,
    );
    // As few as possible: who is left out may have committed.
    const chosen: Statement<ViewChange>[] = [];
    for (const statement of shown) {
      const senders = chosen.map(({ sender }) => sender);
      if (!isQuorum(this.#configuration, senders)) chosen.push(statement);
    }
    const senders = chosen.map(({ sender }) => sender);
    if (!isQuorum(this.#configuration, senders)) return;
    let highest: Statement<ViewChange> | null = null;
    for (const statement of chosen) {
      const { tip } = statement.content;
      if (tip !== null && (highest?.content.tip == null || isHigher(tip, highest.content.tip)))
        highest = statement;
    }
    const tip = highest?.content.tip ?? null;
    const signatures = tip === null ? [] : this.#signaturesFor(this.#seenOf({ epoch: 1, ...tip }));
    if (signatures === null) return;
    const evidence = encodeNewViewEvidence({ viewChanges: chosen, signatures });
    this.moves.newViews++;
    const content = { kind: 'new-view' as const, epoch: 1, view, evidence: evidenceDigest(evidence) };
    this.#say(primaryOf(this.#configuration, view), content, [], evidence, this.#subset());
  }

  /** A view change of a faulty member, with any tip that can be proven, or with none. */
  #departure(sender: string, view: number): Statement<ViewChange> {
    const provable: { tip: Tip; signatures: MemberSignature[] }[] = [];
    for (const seen of this.#seen.values()) {
      if (seen.view >= view) continue;
      const signatures = this.#signaturesFor(seen);
      const { view: at, sequence, digest } = seen;
      if (signatures !== null) provable.push({ tip: { view: at, sequence, digest }, signatures });
    }
    const choice = this.#random.chance(0.2) ? undefined : this.#pick(provable);
    const content = {
      kind: 'view-change' as const,
      epoch: 1,
      view,
      committed: 0,
      tip: choice?.tip ?? null,
    };
    const evidence = choice === undefined ? NO_EVIDENCE : encodeSignatures(choice.signatures);
    const { message } = this.#signed(sender, content, [], evidence);
    return { message, sender, content };
  }

  /** The signatures of a prepared certificate, with those of the faulty, or null when it takes more. */
  #signaturesFor({ byKind, ...place }: Seen): MemberSignature[] | null {
    const votes = new Map(byKind.get('prepare'));
    const primary = primaryOf(this.#configuration, place.view);
    for (const id of this.#faulty) {
      const kind = id === primary ? ('pre-prepare' as const) : ('prepare' as const);
      votes.set(id, this.#signed(id, { kind, ...place }, [], NO_EVIDENCE).message.signature);
    }
    const weight = [...votes.keys()].reduce((sum, id) => sum + weightOf(this.#configuration, id), 0);
    if (!hasQuorum(this.#configuration, weight)) return null;
    return [...votes].map(([sender, signature]) => ({ sender, signature }));
  }

  #say(
    sender: string,
    content: Content,
    batch: Batch,
    evidence: Uint8Array,
    targets: readonly Honest[],
  ): void {
    const { message } = this.#signed(sender, content, batch, evidence);
    if (content.kind === 'pre-prepare') this.#batches.set(toHex(content.digest), batch);
    if ('digest' in content && 'view' in content && 'epoch' in content) this.#seenOf(content);
    for (const to of targets) this.#send(to, toInput(message));
  }

  #signed(sender: string, content: Content, batch: Batch, evidence: Uint8Array): Statement {
    const sign = this.#sign.get(sender) as (message: Uint8Array) => Uint8Array;
    return signStatement({ networkId: NETWORK_ID, sender, content, batch, evidence, sign });
  }

  #subset(): Honest[] {
    return this.#honest.filter(() => this.#random.chance(0.7));
  }

  #index(list: readonly unknown[]): number {
    return this.#random.integer(0, list.length - 1);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#index(list)] as T;
  }

  /** Throws unless honest replicas agree on every sequence that two of them have executed. */
  checkAgreement(): void {
    const first: Uint8Array[] = [];
    for (const { id, decisions } of this.#honest) {
      for (const decision of decisions) {
        if (decision === undefined) continue;
        const { sequence, certificate } = decision;
        const known = first[sequence] ?? certificate.digest;
        first[sequence] = known;
        if (!bytesEqual(known, certificate.digest)) throw new Error(`${id} disagrees at ${sequence}`);
      }
    }
  }

  get states(): ReplicaState[] {
    return this.#honest.map(({ replica }) => replica.state);
  }
}

/** Who went on from a checkpoint has no decisions before it. */
function isKept(decision: Decision | undefined): decision is Decision {
  return decision !== undefined;
}

/** Only what was signed by its sender's key is ever in flight. */
function toInput(message: SignedMessage): Input {
  const statement = mintVerified({ message, sender: message.sender, content: parsePayload(message.payload) });
  return { type: 'message', statement };
}
