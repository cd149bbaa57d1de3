import { fromHex, fromUtf8, hashDomain, sha256, toHex } from '@nemea/core';
import { initialState, type MembershipState, type OperationBody, type TaskOnLedger } from '@nemea/membership';
import { NETWORK_ID, type TestMember, testMember, verifySignature } from '@nemea/membership/testing';
import {
  type Ledger,
  type LedgerEvent,
  LedgerHistory,
  type Network,
  requestTypedData,
  voteTypedData,
} from '@nemea/sdk';
import { pino } from 'pino';
import { privateKeyToAccount } from 'viem/accounts';
import { systemClock } from './adapters/clock/system-clock.ts';
import { systemRandom } from './adapters/clock/system-random.ts';
import type { NodeContext } from './context.ts';
import type { Journal } from './ports/journal.ts';
import type { Overlay } from './ports/transport.ts';

/** For tests: members with accounts that sign, a layer 1 and a journal in memory, and a node's context over them. */

const contract = (digit: number) => `0x${digit.toString(16).repeat(40)}`;

export const network: Network = {
  name: 'test',
  rpcUrl: 'http://127.0.0.1:1',
  chainId: 31_337,
  startBlock: 0,
  epochMs: 10_000,
  contracts: {
    feeToken: contract(1),
    nodeRegistry: contract(2),
    policyRegistry: contract(3),
    epochLog: contract(4),
    capsuleRegistry: contract(5),
    releasePolicy: contract(6),
    taskEscrow: contract(7),
    disputes: contract(8),
  },
};

export const silent = pino({ level: 'silent' });

export interface TestNode extends TestMember {
  readonly signer: ReturnType<typeof privateKeyToAccount>;
}

export function testNode(name: string): TestNode {
  const signer = privateKeyToAccount(`0x${toHex(sha256(fromUtf8(`account key ${name}`)))}`);
  return { ...testMember(name, signer.address.toLowerCase()), signer };
}

export function testNodes(count: number): TestNode[] {
  return Array.from({ length: count }, (_, index) => testNode(`node ${index}`));
}

/** A chain with a block a second and ten blocks an epoch, of which every node has read as much. */
export class TestChain {
  readonly history: LedgerHistory;
  readonly submitted: { contract: string; functionName: string; args: readonly unknown[] }[] = [];
  /** What contracts answer when they are read, by function; an error is thrown. */
  readonly answers = new Map<string, unknown>();

  constructor(genesis: readonly TestNode[]) {
    this.history = new LedgerHistory({
      startBlock: 0,
      epochMs: network.epochMs,
      networkId: NETWORK_ID,
      genesisAccounts: genesis.map(({ account }) => account),
    });
    const at = { block: 0, txHash: '0x' };
    this.mine(
      ...genesis.map(
        ({ record }): LedgerEvent => ({ ...at, type: 'node-admitted', record, credit: 100, weight: 10 }),
      ),
    );
  }

  get at(): { block: number; txHash: string } {
    return { block: this.history.head + 1, txHash: '0x' };
  }

  mine(...events: LedgerEvent[]): void {
    const number = this.history.head + 1;
    const hash = hashDomain('test block', fromUtf8(`${number}`));
    this.history.append({ number, hash, timestampS: 1_000 + number }, events);
  }

  mineTo(block: number): void {
    while (this.history.head < block) this.mine();
  }

  addTask(name: string, change: Partial<TaskOnLedger> = {}): TaskOnLedger {
    const task: TaskOnLedger = {
      taskId: sha256(fromUtf8(`task ${name}`)),
      creator: contract(12),
      createdBlock: this.at.block,
      codeDigest: sha256(fromUtf8('code')),
      imageDigest: sha256(fromUtf8('image 1')),
      capsuleIds: [],
      timeoutS: 30,
      minLevel: 1,
      minCredit: 0,
      fee: 1n,
      spec: new Uint8Array(0),
      ...change,
    };
    this.mine({ ...this.at, type: 'task-created', task });
    return task;
  }

  approve(kind: 'release' | 'image', digest: Uint8Array, approved = true): void {
    this.mine({ ...this.at, type: 'policy', kind, digest: toHex(digest), approved });
  }

  ledgerOf(node: TestNode): Ledger {
    const unused = () => Promise.reject(new Error('not part of this test'));
    const read = <T>(functionName: string): Promise<T> => {
      if (!this.answers.has(functionName)) return Promise.reject(new Error(`no answer for ${functionName}`));
      const answer = this.answers.get(functionName);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as T);
    };
    return {
      network,
      networkId: NETWORK_ID,
      history: this.history,
      account: node.account,
      sync: async () => 0,
      waitFor: async (predicate) => {
        const value = predicate();
        if (value === undefined) throw new Error('what is awaited is not on the test chain');
        return value;
      },
      submit: async (name, functionName, args) => {
        this.submitted.push({ contract: name, functionName, args });
        return { txHash: '0x', block: this.history.head, gasUsed: 1 };
      },
      read: (_contract, functionName) => read(functionName),
      readAt: (_address, _contract, functionName) => read(functionName),
      signVote: (vote) => node.signer.signTypedData(voteTypedData(network, vote)),
      submitVote: unused,
      signRequest: (request) => node.signer.signTypedData(requestTypedData(network, request)),
      receipt: unused,
      mined: unused,
      chainId: async () => network.chainId,
      balance: unused,
      transferNative: unused,
    };
  }
}

export class MemoryJournal implements Journal {
  readonly #records = new Map<string, Uint8Array[]>();

  append(kind: string, records: readonly Uint8Array[]): void {
    this.#records.set(kind, [...this.read(kind), ...records]);
  }

  /** Nothing in memory survives anyway. */
  appendLater(kind: string, records: readonly Uint8Array[]): void {
    this.append(kind, records);
  }

  settle(): void {}

  read(kind: string): Uint8Array[] {
    return this.#records.get(kind) ?? [];
  }

  readRange(kind: string, from: number, count: number): Uint8Array[] {
    return this.read(kind).slice(from, from + count);
  }

  trim(kind: string, keep: number): void {
    this.#records.set(kind, keep === 0 ? [] : this.read(kind).slice(-keep));
  }

  close(): void {}
}

/** A context whose parts fail loudly when a test uses one that it did not give. */
export function testContext(
  node: TestNode,
  chain: TestChain,
  change: Partial<NodeContext> = {},
): NodeContext & { readonly proposed: OperationBody[] } {
  const proposed: OperationBody[] = [];
  const state: MembershipState = initialState(NETWORK_ID, chain.history);
  const unused = (): never => {
    throw new Error('not part of this test');
  };
  return {
    clock: systemClock,
    random: systemRandom,
    ledger: chain.ledgerOf(node),
    logger: silent,
    get measured() {
      return unused();
    },
    tpm: { vrfProve: async (alpha) => node.prove(alpha) },
    sign: node.sign,
    verifySignature,
    state: () => state,
    self: () => state.roster.get(node.account),
    overlay: () => unused(),
    propose: (body) => {
      proposed.push(body);
    },
    collectEvidence: async () => unused(),
    quote: async () => unused(),
    appraiseMember: () => unused(),
    ...change,
    proposed,
  };
}

/** An overlay that hands every request to one function. */
export function overlayOf(
  request: (peer: string, protocol: string, message: Uint8Array) => Promise<Uint8Array>,
): Overlay {
  return {
    peerId: '',
    addresses: [],
    counters: { sendsDropped: 0, streamsAborted: 0 },
    connect: async () => undefined,
    send: () => undefined,
    request,
    setMembers: () => undefined,
    evict: async () => undefined,
    readmit: () => undefined,
    peers: () => [],
    close: async () => undefined,
  };
}

export const accountBytes = (node: TestNode) => fromHex(node.account);
