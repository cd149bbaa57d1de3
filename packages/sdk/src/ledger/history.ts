import { CodedError, hashDomain, toHex } from '@nemea/core';
import type { DisputeOnLedger, LedgerView, NodeRecord, Registration, TaskOnLedger } from '@nemea/membership';

/** Layer-1 events that layer 2 builds on, decoded; addresses and digests as the machine wants them. */
export type LedgerEvent = { readonly block: number; readonly txHash: string } & (
  | {
      readonly type: 'node-admitted';
      readonly record: NodeRecord;
      readonly credit: number;
      readonly weight: number;
    }
  | { readonly type: 'weight'; readonly account: string; readonly credit: number; readonly weight: number }
  | { readonly type: 'node-evicted'; readonly account: string; readonly reason: number }
  | { readonly type: 'deposit'; readonly account: string; readonly deposit: bigint }
  | {
      readonly type: 'policy';
      readonly kind: PolicyKind;
      readonly digest: string;
      readonly approved: boolean;
    }
  | { readonly type: 'epoch'; readonly epoch: number }
  | { readonly type: 'task-created'; readonly task: TaskOnLedger }
  | {
      readonly type: 'executor-committed';
      readonly taskId: string;
      readonly attempt: number;
      readonly commitment: string;
    }
  | {
      readonly type: 'task-settled';
      readonly taskId: string;
      readonly executor: string;
      readonly certificateDigest: string;
    }
  | { readonly type: 'task-ended'; readonly taskId: string; readonly reason: number }
  | { readonly type: 'dispute'; readonly dispute: DisputeOnLedger }
  | { readonly type: 'dispute-resolved'; readonly disputeId: string; readonly guilty: boolean }
);

export type PolicyKind = 'ek-root' | 'release' | 'image' | 'code';

export interface BlockHeader {
  readonly number: number;
  readonly hash: Uint8Array;
  readonly timestampS: number;
}

/** An account's credit, and whether it is an active member, from a block on. */
export interface Standing {
  readonly block: number;
  readonly credit: number;
  readonly isActive: boolean;
}

export type LedgerErrorCode =
  | 'LEDGER_REORGANISED'
  | 'LEDGER_CONTRACT_MISSING'
  | 'LEDGER_GAP'
  | 'LEDGER_REVERTED'
  | 'LEDGER_TIMED_OUT'
  | 'LEDGER_UNREACHABLE';
export class LedgerError extends CodedError<LedgerErrorCode> {}

/**
 * The node's light copy of layer 1: headers and events since the deployment, answered as of any block. It only grows;
 * a chain that contradicts what was seen is an error, never a silent change of facts.
 */
export class LedgerHistory implements LedgerView {
  readonly #startBlock: number;
  readonly #epochMs: number;
  readonly #networkId: Uint8Array;
  readonly #genesis: ReadonlySet<string>;
  readonly #headers: BlockHeader[] = [];
  readonly #events: LedgerEvent[] = [];
  readonly #seeds = new Map<number, Uint8Array>();
  readonly #boundaries = new Map<number, number>();
  readonly #tasks = new Map<string, TaskOnLedger>();
  /** Block in which layer 1 closed a task or a dispute, by id. */
  readonly #closed = new Map<string, number>();
  #epochLast = -1;
  /** Counted once per state of the events: asked for with every message. */
  #weights: { events: number; byAccount: ReadonlyMap<string, number> } = { events: 0, byAccount: new Map() };

  constructor(options: {
    startBlock: number;
    epochMs: number;
    networkId: Uint8Array;
    genesisAccounts: readonly string[];
  }) {
    this.#startBlock = options.startBlock;
    this.#epochMs = options.epochMs;
    this.#networkId = options.networkId;
    this.#genesis = new Set(options.genesisAccounts);
  }

  /** Appends the next block with its events. Throws `LEDGER_GAP` for any other block. */
  append(header: BlockHeader, events: readonly LedgerEvent[]): void {
    const expected = this.#startBlock + this.#headers.length;
    if (header.number !== expected) {
      throw new LedgerError('LEDGER_GAP', `block: got ${header.number}, want ${expected}`);
    }
    this.#headers.push(header);
    this.#events.push(...events);
    for (const event of events) {
      if (event.type === 'task-created') this.#tasks.set(toHex(event.task.taskId), event.task);
      if (event.type === 'task-settled' || event.type === 'task-ended')
        this.#closed.set(event.taskId, event.block);
      if (event.type === 'dispute-resolved') this.#closed.set(event.disputeId, event.block);
    }
    this.#openEpoch(header);
  }

  /** Chains the seed at the first block of each epoch; an epoch in which no block fell has none. */
  #openEpoch(header: BlockHeader): void {
    const epoch = this.epochOf(header.number);
    if (epoch <= this.#epochLast) return;
    const previous = this.#seeds.get(this.#epochLast) ?? new Uint8Array(32);
    this.#seeds.set(epoch, hashDomain('nemea/epoch-seed/1', this.#networkId, previous, header.hash));
    this.#boundaries.set(epoch, header.number);
    this.#epochLast = epoch;
  }

  get head(): number {
    return this.#startBlock + this.#headers.length - 1;
  }

  get startBlock(): number {
    return this.#startBlock;
  }

  get events(): readonly LedgerEvent[] {
    return this.#events;
  }

  #header(block: number): BlockHeader | undefined {
    return this.#headers[block - this.#startBlock];
  }

  blockHash(block: number): Uint8Array | undefined {
    return this.#header(block)?.hash;
  }

  blockTimestampS(block: number): number | undefined {
    return this.#header(block)?.timestampS;
  }

  epochOf(block: number): number {
    const first = this.#headers[0];
    const header = this.#header(Math.max(block, this.#startBlock));
    if (first === undefined || header === undefined) return 0;
    return Math.floor(((header.timestampS - first.timestampS) * 1000) / this.#epochMs);
  }

  epochSeed(epoch: number): Uint8Array | undefined {
    return this.#seeds.get(epoch);
  }

  epochBoundary(epoch: number): number | undefined {
    return this.#boundaries.get(epoch);
  }

  task(taskId: Uint8Array, atBlock: number): TaskOnLedger | undefined {
    const task = this.#tasks.get(toHex(taskId));
    return task !== undefined && task.createdBlock <= atBlock ? task : undefined;
  }

  isTaskClosed(taskId: Uint8Array, atBlock: number): boolean {
    return this.#isClosed(taskId, atBlock);
  }

  isDisputeClosed(disputeId: Uint8Array, atBlock: number): boolean {
    return this.#isClosed(disputeId, atBlock);
  }

  #isClosed(id: Uint8Array, atBlock: number): boolean {
    const closedBlock = this.#closed.get(toHex(id));
    return closedBlock !== undefined && closedBlock <= atBlock;
  }

  dispute(disputeId: Uint8Array, atBlock: number): DisputeOnLedger | undefined {
    const id = toHex(disputeId);
    for (const event of this.#until(atBlock)) {
      if (event.type === 'dispute' && toHex(event.dispute.disputeId) === id) return event.dispute;
    }
    return undefined;
  }

  /** Digests (hex) of one kind that are approved as of a block. */
  approved(kind: PolicyKind, atBlock: number): ReadonlySet<string> {
    const approved = new Set<string>();
    for (const event of this.#until(atBlock)) {
      if (event.type !== 'policy' || event.kind !== kind) continue;
      if (event.approved) approved.add(event.digest);
      else approved.delete(event.digest);
    }
    return approved;
  }

  approvedReleases(atBlock: number): ReadonlySet<string> {
    return this.approved('release', atBlock);
  }

  approvedImages(atBlock: number): ReadonlySet<string> {
    return this.approved('image', atBlock);
  }

  approvedCodes(atBlock: number): ReadonlySet<string> {
    return this.approved('code', atBlock);
  }

  /** Digests (hex) of one kind that are not approved any more as of a block, by the block that withdrew them last. */
  withdrawn(kind: PolicyKind, atBlock: number): ReadonlyMap<string, number> {
    const withdrawn = new Map<string, number>();
    for (const event of this.#until(atBlock)) {
      if (event.type !== 'policy' || event.kind !== kind) continue;
      if (event.approved) withdrawn.delete(event.digest);
      else withdrawn.set(event.digest, event.block);
    }
    return withdrawn;
  }

  withdrawnReleases(atBlock: number): ReadonlyMap<string, number> {
    return this.withdrawn('release', atBlock);
  }

  withdrawnImages(atBlock: number): ReadonlyMap<string, number> {
    return this.withdrawn('image', atBlock);
  }

  policyVersion(atBlock: number): number {
    let version = 0;
    for (const event of this.#until(atBlock)) if (event.type === 'policy') version++;
    return version;
  }

  genesisRecords(): readonly NodeRecord[] {
    const records: NodeRecord[] = [];
    for (const event of this.#events) {
      if (event.type === 'node-admitted' && this.#genesis.has(event.record.account))
        records.push(event.record);
    }
    return records.slice(0, this.#genesis.size);
  }

  get genesisComplete(): boolean {
    return this.genesisRecords().length === this.#genesis.size;
  }

  /** Voting weights as the contracts count them now, by account; members without weight are absent. */
  weights(): ReadonlyMap<string, number> {
    if (this.#weights.events !== this.#events.length) {
      this.#weights = { events: this.#events.length, byAccount: weightsAfter(this.#events) };
    }
    return this.#weights.byAccount;
  }

  /**
   * Who could vote, and with which weight, at the moment when layer 1 took a transaction: other transactions of its
   * block may come before it. Until genesis is complete its accounts weigh 1 each. Undefined for a transaction that
   * left no event.
   */
  votersBefore(txHash: string): ReadonlyMap<string, number> | undefined {
    const index = this.#events.findIndex((event) => event.txHash === txHash);
    if (index === -1) return undefined;
    const before = this.#events.slice(0, index);
    const registered = new Set(
      before.flatMap((event) => (event.type === 'node-admitted' ? [event.record.account] : [])),
    );
    const isFounded = [...this.#genesis].every((account) => registered.has(account));
    return isFounded ? weightsAfter(before) : new Map([...this.#genesis].map((account) => [account, 1]));
  }

  isGenesis(account: string): boolean {
    return this.#genesis.has(account);
  }

  /** The keys under which an account was last admitted as of a block. */
  recordAt(account: string, atBlock: number): NodeRecord | undefined {
    let record: NodeRecord | undefined;
    for (const event of this.#until(atBlock)) {
      if (event.type === 'node-admitted' && event.record.account === account) record = event.record;
    }
    return record;
  }

  /** What the registry has said of an account's standing, in order. */
  standings(account: string): readonly Standing[] {
    const standings: Standing[] = [];
    for (const event of this.#events) {
      const { block } = event;
      if (event.type === 'node-admitted' && event.record.account === account) {
        standings.push({ block, credit: event.credit, isActive: true });
      } else if (event.type === 'weight' && event.account === account) {
        // An active member weighs at least 1: no weight means that it asked to leave, and its credit stays.
        const isActive = event.weight > 0;
        standings.push({
          block,
          credit: isActive ? event.credit : (standings.at(-1)?.credit ?? 0),
          isActive,
        });
      } else if (event.type === 'node-evicted' && event.account === account) {
        standings.push({ block, credit: 0, isActive: false });
      }
    }
    return standings;
  }

  admissions(afterBlock: number, throughBlock: number): readonly Registration[] {
    const registered: Registration[] = [];
    for (let index = this.#events.length - 1; index >= 0; index--) {
      const event = this.#events[index] as LedgerEvent;
      if (event.block <= afterBlock) break;
      if (event.type === 'node-admitted' && event.block <= throughBlock)
        registered.unshift({ record: event.record, block: event.block });
    }
    if (registered.length === 0) return registered;
    const genesis = new Set(this.genesisRecords());
    return registered.filter(({ record }) => !genesis.has(record));
  }

  leavers(atBlock: number): ReadonlySet<string> {
    const leavers = new Set<string>();
    for (const event of this.#until(atBlock)) {
      if (event.type === 'weight' && event.weight === 0) leavers.add(event.account);
      if (event.type === 'node-evicted') leavers.add(event.account);
      if (event.type === 'node-admitted') leavers.delete(event.record.account);
    }
    return leavers;
  }

  *#until(block: number): Generator<LedgerEvent> {
    for (const event of this.#events) {
      if (event.block > block) return;
      yield event;
    }
  }
}

function weightsAfter(events: readonly LedgerEvent[]): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const event of events) {
    if (event.type === 'node-admitted') weights.set(event.record.account, event.weight);
    else if (event.type === 'weight' && event.weight === 0) weights.delete(event.account);
    else if (event.type === 'weight') weights.set(event.account, event.weight);
    else if (event.type === 'node-evicted') weights.delete(event.account);
  }
  return weights;
}

/** Identity of a network: chain and registry. It separates the domains of every signature and draw. */
export function networkIdOf(chainId: number, registry: string): Uint8Array {
  return hashDomain('nemea/network/1', new TextEncoder().encode(`${chainId}:${registry.toLowerCase()}`));
}
