import { assertNever, fromUtf8, hashDomain, toHex } from '@nemea/core';
import type { Vote } from '@nemea/membership';
import type { AttestationRequest, BlockHeader, LedgerEvent, Network, PolicyKind } from '@nemea/sdk';
import { type CapsuleTerms, type ReleaseRuleOnContract, registerCapsule, setRule } from './capsules.ts';
import { report, resolve } from './disputes.ts';
import { commitExecutor, createTask, fail, refund, settle, type TaskTerms } from './escrow.ts';
import { admit, depositFor, evict, recordEpoch, requestExit, withdraw } from './registry.ts';
import { approve, type Block, type Emitted, type LayerOneState, Revert } from './state.ts';

/** What can be sent to layer 1: a vote with its certificate, or a call by an account for itself. */
export type Call =
  | { readonly kind: 'vote'; readonly vote: Vote; readonly signatures: readonly string[] }
  | { readonly kind: 'deposit'; readonly account: string; readonly amount: bigint }
  | { readonly kind: 'exit' }
  | { readonly kind: 'withdraw' }
  | {
      readonly kind: 'policy';
      readonly policy: PolicyKind;
      readonly digest: Uint8Array;
      readonly approved: boolean;
    }
  | {
      readonly kind: 'report';
      readonly request: AttestationRequest;
      readonly proof: Uint8Array;
      readonly signature: string;
    }
  | { readonly kind: 'approve'; readonly spender: string; readonly amount: bigint }
  | { readonly kind: 'capsule'; readonly terms: CapsuleTerms }
  | { readonly kind: 'rule'; readonly capsuleId: Uint8Array; readonly rule: ReleaseRuleOnContract }
  | { readonly kind: 'task'; readonly terms: TaskTerms }
  | { readonly kind: 'refund'; readonly taskId: Uint8Array };

export interface MinedBlock {
  readonly header: BlockHeader;
  readonly parent: Uint8Array;
  readonly events: readonly LedgerEvent[];
}

interface Pending {
  readonly from: string;
  readonly call: Call;
  readonly txHash: string;
  settle(receipt: { block: number } | { revert: Revert }): void;
}

export interface ChainOptions {
  readonly network: Network;
  readonly genesis: readonly string[];
  readonly governor: string;
  readonly depositMin: bigint;
  readonly balances: ReadonlyMap<string, bigint>;
  readonly startS: number;
  /** Makes the block hashes, which seed every draw. */
  readonly seed: string;
}

const GRACE_S = 60;
const EXIT_DELAY_S = 60;
const SUSPENSION_EPOCHS = 10;

/** Layer 1 as a machine: one chain, no forks, the contracts' rules; a transaction that they refuse changes nothing. */
export class Chain {
  readonly state: LayerOneState;
  readonly blocks: MinedBlock[] = [];
  readonly #options: ChainOptions;
  readonly #pending: Pending[] = [];
  #sent = 0;

  constructor(options: ChainOptions) {
    this.#options = options;
    this.state = {
      network: options.network,
      genesis: options.genesis,
      genesisPending: options.genesis.length,
      depositMin: options.depositMin,
      graceS: GRACE_S,
      exitDelayS: EXIT_DELAY_S,
      suspensionEpochs: SUSPENSION_EPOCHS,
      reserve: 0n,
      balances: new Map(options.balances),
      nodes: new Map(),
      ekHolders: new Map(),
      peerKeys: new Map(),
      vrfKeys: new Map(),
      epochLatest: 0,
      boundaryBlock: 0,
      creditRoot: '',
      policies: new Map(),
      tasks: new Map(),
      taskNonces: new Map(),
      capsules: new Map(),
      rules: new Map(),
      allowances: new Map(),
      disputes: new Map(),
    };
  }

  get tip(): number {
    return this.#options.network.startBlock + this.blocks.length - 1;
  }

  /** Of the newest block. */
  get nowS(): number {
    return this.blocks.at(-1)?.header.timestampS ?? this.#options.startS;
  }

  /** Hands in a transaction; it runs in the next block. */
  send(from: string, call: Call, settle: Pending['settle'] = () => undefined): string {
    const txHash = `0x${toHex(hashDomain('simulated transaction', fromUtf8(`${this.#options.seed} ${this.#sent++}`)))}`;
    this.#pending.push({ from, call, txHash, settle });
    return txHash;
  }

  /** The next block, with all that was handed in. */
  mine(timestampS: number): MinedBlock {
    const number = this.tip + 1;
    const block: Block = { number, timestampS };
    const events: LedgerEvent[] = [];
    const settled: (() => void)[] = [];
    for (const { from, call, txHash, settle } of this.#pending.splice(0)) {
      try {
        const emitted = this.#run(from, call, block);
        events.push(...emitted.map((event) => ({ ...event, block: number, txHash }) as LedgerEvent));
        settled.push(() => settle({ block: number }));
      } catch (error) {
        if (!(error instanceof Revert)) throw error;
        settled.push(() => settle({ revert: error }));
      }
    }
    const parent = this.blocks.at(-1)?.header.hash ?? new Uint8Array(32);
    const hash = hashDomain(
      'simulated block',
      parent,
      fromUtf8(`${this.#options.seed} ${number} ${timestampS}`),
    );
    const mined = { header: { number, hash, timestampS }, parent, events };
    this.blocks.push(mined);
    for (const tell of settled) tell();
    return mined;
  }

  #run(from: string, call: Call, block: Block): Emitted[] {
    const { state } = this;
    switch (call.kind) {
      case 'vote':
        return this.#vote(call.vote, call.signatures, block);
      case 'deposit':
        return depositFor(state, from, call.account, call.amount);
      case 'exit':
        return requestExit(state, from, block);
      case 'withdraw':
        return withdraw(state, from, block);
      case 'policy':
        return this.#changePolicy(from, call);
      case 'report':
        return report(state, from, call.request, call.proof, call.signature);
      case 'approve':
        approve(state, from, call.spender, call.amount);
        return [];
      case 'capsule':
        return registerCapsule(state, from, call.terms);
      case 'rule':
        return setRule(state, from, call, block);
      case 'task':
        return createTask(state, from, call.terms, block);
      case 'refund':
        return refund(state, call.taskId, block);
      default:
        return assertNever(call);
    }
  }

  #vote(vote: Vote, signatures: readonly string[], block: Block): Emitted[] {
    const { state } = this;
    switch (vote.type) {
      case 'Admission':
        return admit(state, vote, signatures);
      case 'Eviction':
        return evict(state, vote, signatures);
      case 'EpochRecord':
        return recordEpoch(state, vote, signatures, block);
      case 'Election':
        return commitExecutor(state, vote, signatures, block);
      case 'Settlement':
        return settle(state, vote, signatures);
      case 'TaskFailure':
        return fail(state, vote, signatures);
      case 'DisputeVerdict':
        return resolve(state, vote, signatures);
      default:
        return assertNever(vote);
    }
  }

  /** PolicyRegistry.change, by the governor. */
  #changePolicy(from: string, { policy, digest, approved }: Extract<Call, { kind: 'policy' }>): Emitted[] {
    if (from !== this.#options.governor) throw new Revert('NotGovernor', from);
    const list = this.state.policies.get(policy) ?? new Set<string>();
    const hex = toHex(digest);
    if (list.has(hex) === approved) throw new Revert('PolicyUnchanged', hex);
    if (approved) list.add(hex);
    else list.delete(hex);
    this.state.policies.set(policy, list);
    return [{ type: 'policy', kind: policy, digest: hex, approved }];
  }
}
