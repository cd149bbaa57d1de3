import { bytesEqual, fromUtf8, sha256, toUtf8 } from '@nemea/core';
import { authenticate, type Sign, type VerifySignature } from '../authenticate.ts';
import { type Decision, encodeDecision, parseDecision } from '../certificate.ts';
import {
  type CheckpointProof,
  encodeTransfer,
  parseHeader,
  parseTransfer,
  type Transfer,
} from '../checkpoint.ts';
import type { Member } from '../configuration.ts';
import { drive, type Outbound, settle } from '../driver.ts';
import { type EquivocationProof, verifyEquivocation } from '../equivocation.ts';
import type { Input, TimerId } from '../input.ts';
import { encodeRecord, parseRecord } from '../journal.ts';
import { CHECKPOINT_INTERVAL } from '../limits.ts';
import { encodeMessage, parseMessage, type SignedMessage } from '../message.ts';
import { createReplica } from '../replica.ts';
import { restoreReplica } from '../restore.ts';
import type { ReplicaOptions, ReplicaState, Settings } from '../state.ts';
import { checkStatement, type Statements } from './checkers.ts';
import { Network, Schedule } from './network.ts';
import { createRandom, type Random } from './random.ts';
import { createCheapSigner, verifyCheaply } from './signatures.ts';

export const NETWORK_ID = new Uint8Array(32).fill(0x4e);

/** What a faulty replica does to its outgoing messages; the replica itself runs the production code. */
export type Misbehaviour = (context: {
  node: Node;
  message: SignedMessage;
  send: (to: string, message: SignedMessage) => void;
  others: readonly string[];
}) => void;

export type Node = {
  readonly id: string;
  readonly publicKey: Uint8Array;
  readonly sign: Sign;
  options: ReplicaOptions;
  /** Durable: survives a crash. */
  journal: Uint8Array[];
  /** Every decision that the application has executed, by sequence; a checker's view, not all of it is served. */
  readonly decisions: Decision[];
  /** The application's state: durable. What it does not need any more it does not keep. */
  application: Application;
  /** Decisions before it are not handed out to others. */
  servesFrom: number;
  /** The stable checkpoint that is handed out, with the application state of its sequence. */
  transfer: { readonly transfer: Transfer; readonly application: Application } | null;
  /** Proofs that announce epochs. */
  links: CheckpointProof[];
  /** Application states at the ends of intervals, by sequence, and those received, until they are installed. */
  readonly snapshots: Map<number, Application>;
  /** Null while crashed. */
  state: ReplicaState | null;
  readonly timers: Map<TimerId, number>;
  /** How long the application takes for a decision, beside a little. */
  executionMs: number;
  /** Probability of crashing between two effects. */
  crashChance: number;
  misbehaviour: Misbehaviour | null;
  readonly penalties: { id: string; proof: EquivocationProof }[];
  readonly statements: Statements;
};

/** What the simulated application has come to: who is to vote, and a running digest of all it was told. */
export type Application = {
  readonly sequence: number;
  readonly members: readonly Member[];
  readonly digest: Uint8Array;
};

export type ClusterOptions = {
  weights: readonly number[];
  seed?: number;
  settings?: Partial<Settings>;
  /** Ids beyond the first members: followers until an operation admits them. */
  followers?: number;
  signer?: (id: string) => { publicKey: Uint8Array; sign: Sign };
  verify?: VerifySignature;
};

const SETTINGS = { progressTimeoutMs: 400, pulseMs: 100, idlePulseMs: 1000, catchUpMs: 50 };

/**
 * Production replicas on virtual time and a faulty network. The application keeps the members: the operation
 * `members {json of id: weight}` changes them, `renew ...` asks for an epoch with the same, every other operation means
 * nothing to it.
 */
export class Cluster {
  readonly schedule = new Schedule();
  readonly random: Random;
  readonly network: Network;
  readonly nodes = new Map<string, Node>();
  readonly requested = new Set<string>();
  readonly #verify: VerifySignature;
  #operations = 0;
  #timerGeneration = 0;

  constructor(options: ClusterOptions) {
    this.random = createRandom(options.seed ?? 1);
    this.network = new Network(this.schedule, this.random);
    this.#verify = options.verify ?? verifyCheaply;
    const signer = options.signer ?? createCheapSigner;
    const ids = [...Array(options.weights.length + (options.followers ?? 0)).keys()].map((i) => `r${i}`);
    const keys = new Map(ids.map((id) => [id, signer(id)]));
    const members = options.weights.map((weight, index) => {
      const id = `r${index}`;
      return { id, publicKey: this.#key(keys, id).publicKey, weight };
    });
    for (const id of ids) {
      const { publicKey, sign } = this.#key(keys, id);
      this.nodes.set(id, {
        id,
        publicKey,
        sign,
        options: {
          id,
          networkId: NETWORK_ID,
          members,
          verify: this.#verify,
          settings: { ...SETTINGS, ...options.settings },
        },
        journal: [],
        decisions: [],
        application: { sequence: 0, members, digest: new Uint8Array(32) },
        servesFrom: 1,
        transfer: null,
        links: [],
        snapshots: new Map(),
        state: null,
        timers: new Map(),
        executionMs: 0,
        crashChance: 0,
        misbehaviour: null,
        penalties: [],
        statements: new Map(),
      });
    }
    for (const id of ids) this.start(id);
  }

  node(id: string): Node {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no replica ${id}`);
    return node;
  }

  /** The running state of a replica that is not crashed. */
  replica(id: string): ReplicaState {
    const { state } = this.node(id);
    if (state === null) throw new Error(`replica ${id} has crashed`);
    return state;
  }

  /** Starts a replica, from its journal when it has one, as every start of the real rim does. */
  start(id: string): void {
    const node = this.node(id);
    const records = node.journal.map(parseRecord);
    const { state, effects } =
      records.length === 0 ? createReplica(node.options) : restoreReplica(node.options, records);
    node.state = state;
    this.#perform(node, settle({ state, sign: node.sign }, effects));
  }

  crash(id: string): void {
    const node = this.node(id);
    node.state = null;
    node.timers.clear();
  }

  /** Loses everything but the key: journal, application and memory. */
  wipe(id: string, rejoinToken?: Uint8Array): void {
    this.crash(id);
    const node = this.node(id);
    node.journal = [];
    node.decisions.length = 0;
    node.application = { sequence: 0, members: node.options.members, digest: new Uint8Array(32) };
    node.transfer = null;
    node.links = [];
    node.snapshots.clear();
    if (rejoinToken !== undefined) node.options = { ...node.options, rejoinToken };
  }

  /** From now on the replica hands out no decisions before its last stable checkpoint. */
  forgetDecisions(id: string): void {
    const node = this.node(id);
    if (node.transfer !== null) node.servesFrom = node.transfer.application.sequence + 1;
  }

  restart(id: string): void {
    this.crash(id);
    this.start(id);
  }

  /** Sends the operation to every running replica over the network. */
  request(text?: string): string {
    const operation = text ?? `operation ${this.#operations++}`;
    this.requested.add(operation);
    for (const id of this.nodes.keys()) this.requestAt(id, operation);
    return operation;
  }

  requestAt(id: string, operation: string): void {
    const input: Input = { type: 'request', operation: fromUtf8(operation) };
    this.network.deliver(id, id, () => this.#feed(id, input));
  }

  requestMembers(weights: Readonly<Record<string, number>>): string {
    return this.request(`members ${JSON.stringify(weights)}`);
  }

  /** Runs until all the replicas named have executed the operations, or virtual time is over. */
  runUntilExecuted(operations: readonly string[], ids: readonly string[], limitMs = 60_000): boolean {
    return this.schedule.run(() => ids.every((id) => this.hasExecuted(id, operations)), limitMs);
  }

  runFor(limitMs: number): void {
    this.schedule.run(() => false, limitMs);
  }

  hasExecuted(id: string, operations: readonly string[]): boolean {
    const executed = new Set(this.executed(id));
    return operations.every((operation) => executed.has(operation));
  }

  executed(id: string): string[] {
    return this.node(id).decisions.flatMap((decision) => decision?.batch.map(toUtf8) ?? []);
  }

  publicKeyOf = (id: string): Uint8Array | undefined => this.nodes.get(id)?.publicKey;

  #key<K>(keys: ReadonlyMap<string, K>, id: string): K {
    const key = keys.get(id);
    if (key === undefined) throw new Error(`no key of ${id}`);
    return key;
  }

  #feed(id: string, input: Input): void {
    const node = this.node(id);
    if (node.state === null) return;
    this.#perform(node, drive({ state: node.state, sign: node.sign }, input));
  }

  #perform(node: Node, effects: readonly Outbound[]): void {
    for (const effect of effects) {
      if (node.state === null) return;
      if (node.crashChance > 0 && this.random.chance(node.crashChance)) {
        this.crash(node.id);
        return;
      }
      this.#performOne(node, effect);
    }
  }

  #performOne(node: Node, effect: Outbound): void {
    switch (effect.type) {
      case 'persist':
        if (effect.record.type === 'base') node.journal = [];
        node.journal.push(encodeRecord(effect.record));
        break;
      case 'transmit':
        this.#transmit(node, effect.to, effect.message);
        break;
      case 'forward':
        for (const to of this.#others(node)) {
          const input: Input = { type: 'request', operation: effect.operation };
          this.network.deliver(node.id, to, () => this.#feed(to, input));
        }
        break;
      case 'commit':
        this.#execute(node, effect.decision);
        break;
      case 'startTimer':
        this.#startTimer(node, effect.id, effect.timeoutMs);
        break;
      case 'stopTimer':
        node.timers.delete(effect.id);
        break;
      case 'penalize':
        this.#checkPenalty(node, effect);
        break;
      case 'fetch':
        this.#fetch(node, effect.from, effect.sequence);
        break;
      case 'checkpoint':
        this.#keepCheckpoint(node, effect.transfer, effect.announcesEpoch);
        break;
      case 'install':
        this.#install(node, effect.checkpoint);
        break;
      case 'refuse':
        break;
    }
  }

  #transmit(node: Node, to: string | null, message: SignedMessage): void {
    if (message.sender === node.id) checkStatement(node.statements, message);
    const send = (target: string, sent: SignedMessage) => {
      const bytes = encodeMessage(sent);
      this.network.deliver(node.id, target, () => this.#receive(target, bytes));
    };
    const others = this.#others(node);
    if (node.misbehaviour !== null && to === null) {
      node.misbehaviour({ node, message, send, others });
      return;
    }
    for (const target of to === null ? others : [to]) send(target, message);
  }

  #receive(id: string, bytes: Uint8Array): void {
    const statement = authenticate({
      networkId: NETWORK_ID,
      message: parseMessage(bytes),
      publicKeyOf: this.publicKeyOf,
      verify: this.#verify,
    });
    this.#feed(id, { type: 'message', statement });
  }

  /** The application: durable at once, and a decision repeated after a restart changes nothing. */
  #execute(node: Node, decision: Decision): void {
    const { sequence, batch, certificate } = decision;
    if (sequence === node.application.sequence + 1) {
      node.decisions[sequence - 1] = decision;
      let { members } = node.application;
      for (const operation of batch) members = this.#membersAfter(members, operation);
      const digest = sha256(node.application.digest, certificate.digest);
      node.application = { sequence, members, digest };
      if (sequence % CHECKPOINT_INTERVAL === 0) node.snapshots.set(sequence, node.application);
    }
    const { members, digest } = node.snapshots.get(sequence) ?? node.application;
    const delayMs = node.executionMs + this.random.integer(0, 2);
    this.schedule.after(delayMs, () => {
      const { state } = node;
      if (state === null || !state.isExecuting || state.executed !== sequence - 1) return;
      const renews = batch.some((operation) => toUtf8(operation).startsWith('renew '));
      this.#feed(node.id, { type: 'executed', sequence, members, renews, state: digest });
    });
  }

  #keepCheckpoint(node: Node, transfer: Transfer, announcesEpoch: boolean): void {
    const proof = transfer.proofs[0] as CheckpointProof;
    const { sequence } = parseHeader(proof.header);
    const application = node.snapshots.get(sequence);
    if (announcesEpoch) node.links.push(proof);
    if (application !== undefined) node.transfer = { transfer, application };
    for (const at of node.snapshots.keys()) if (at < sequence) node.snapshots.delete(at);
  }

  #install(node: Node, { header }: CheckpointProof): void {
    const { sequence } = parseHeader(header);
    const application = node.snapshots.get(sequence);
    if (application === undefined) throw new Error(`${node.id} has no application state of ${sequence}`);
    if (node.application.sequence < sequence) node.application = application;
  }

  #membersAfter(members: readonly Member[], operation: Uint8Array): readonly Member[] {
    const text = toUtf8(operation);
    if (!text.startsWith('members ')) return members;
    const weights: Record<string, number> = JSON.parse(text.slice('members '.length));
    return Object.entries(weights).map(([id, weight]) => ({
      id,
      publicKey: this.node(id).publicKey,
      weight,
    }));
  }

  #startTimer(node: Node, id: TimerId, timeoutMs: number): void {
    const generation = this.#timerGeneration++;
    node.timers.set(id, generation);
    this.schedule.after(timeoutMs, () => {
      if (node.timers.get(id) !== generation) return;
      node.timers.delete(id);
      this.#feed(node.id, { type: 'timeout', id });
    });
  }

  #checkPenalty(node: Node, { id, proof }: { id: string; proof: EquivocationProof }): void {
    const input = { networkId: NETWORK_ID, proof, publicKeyOf: this.publicKeyOf, verify: this.#verify };
    if (verifyEquivocation(input) !== id) throw new Error(`the proof against ${id} names another`);
    node.penalties.push({ id, proof });
  }

  #fetch(node: Node, from: string, sequence: number): void {
    this.network.deliver(node.id, from, () => {
      const peer = this.node(from);
      if (peer.state === null) return;
      if (sequence < peer.servesFrom && peer.transfer !== null) {
        this.#sendTransfer(peer, node, peer.transfer);
        return;
      }
      const bytes = peer.decisions.slice(sequence - 1, sequence + 31).map(encodeDecision);
      this.network.deliver(from, node.id, () => {
        this.#feed(node.id, { type: 'decisions', decisions: bytes.map(parseDecision) });
      });
    });
  }

  #sendTransfer(peer: Node, to: Node, { transfer, application }: NonNullable<Node['transfer']>): void {
    const last = transfer.proofs[0] as CheckpointProof;
    const end = parseHeader(last.header).sequence;
    const links = peer.links.filter(({ header }) => parseHeader(header).sequence < end);
    const bytes = encodeTransfer({ ...transfer, proofs: [...links, last] });
    this.network.deliver(peer.id, to.id, () => {
      const received = parseTransfer(bytes);
      const proof = received.proofs.at(-1) as CheckpointProof;
      const { sequence, state } = parseHeader(proof.header);
      if (!bytesEqual(state, application.digest)) throw new Error(`${peer.id} hands out another state`);
      to.snapshots.set(sequence, application);
      this.#feed(to.id, { type: 'transfer', transfer: received });
    });
  }

  #others(node: Node): string[] {
    return [...this.nodes.keys()].filter((id) => id !== node.id);
  }
}
