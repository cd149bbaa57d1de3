/** For tests: a layer 1 in memory, with accounts that vote and draw by real keys. */
import { hashDomain, sha256 } from '@nemea/core';
import type { NodeRecord } from '@nemea/membership';
import { proveVrf, vrfPublicKey } from '@nemea/vrf';
import { encodeFunctionData, type Hex } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { contractAbis, type Ledger, type MinedTransaction } from '../client/ledger.ts';
import { type LedgerEvent, LedgerHistory, networkIdOf } from '../ledger/history.ts';
import type { ContractName, Network } from '../ledger/network.ts';
import { nemeaDomain, type VoteName, voteTypes } from '../ledger/typed-data.ts';
import type { Report } from './report.ts';

const addressOf = (digit: number) => `0x${digit.toString(16).padStart(40, '0')}`;

export const NETWORK: Network = {
  name: 'test',
  rpcUrl: 'http://127.0.0.1:1',
  chainId: 31337,
  startBlock: 1,
  epochMs: 5000,
  contracts: {
    feeToken: addressOf(1),
    nodeRegistry: addressOf(2),
    policyRegistry: addressOf(3),
    epochLog: addressOf(4),
    capsuleRegistry: addressOf(5),
    releasePolicy: addressOf(6),
    taskEscrow: addressOf(7),
    disputes: addressOf(8),
  },
};

/** A member with keys of its own. */
export interface TestNode {
  readonly account: string;
  readonly signer: PrivateKeyAccount;
  readonly record: NodeRecord;
  prove(alpha: Uint8Array): Uint8Array;
}

export function testNode(seed: number): TestNode {
  const secret = sha256(Uint8Array.of(seed));
  const signer = privateKeyToAccount(`0x${Buffer.from(secret).toString('hex')}`);
  const publicKey = vrfPublicKey(secret);
  const id = (name: string) => hashDomain(`test/${name}`, Uint8Array.of(seed));
  const vrfY = new Uint8Array(32);
  vrfY[31] = publicKey[0] === 3 ? 1 : 0;
  const record: NodeRecord = {
    account: signer.address.toLowerCase(),
    owner: signer.address.toLowerCase(),
    peerKey: id('peer'),
    ekId: id('ek'),
    akX: id('ak-x'),
    akY: id('ak-y'),
    vrfX: publicKey.slice(1),
    vrfY,
    level: 1,
    endpoint: '/ip4/127.0.0.1/tcp/1',
  };
  return {
    account: record.account,
    signer,
    record,
    prove: (alpha) => proveVrf(secret, alpha).proof,
  };
}

/** Blocks and transactions as a chain would have them, one second a block. */
export class TestChain {
  readonly history: LedgerHistory;
  readonly #mined = new Map<string, MinedTransaction>();
  #block = NETWORK.startBlock - 1;

  constructor(genesis: readonly TestNode[]) {
    this.history = new LedgerHistory({
      startBlock: NETWORK.startBlock,
      epochMs: NETWORK.epochMs,
      networkId: networkIdOf(NETWORK.chainId, NETWORK.contracts.nodeRegistry),
      genesisAccounts: genesis.map(({ account }) => account),
    });
    this.mine(...genesis.map((node) => this.admitted(node, 100, 10)));
  }

  /** Appends a block with these events. */
  mine(...events: LedgerEvent[]): void {
    this.#block += 1;
    this.history.append(
      { number: this.#block, hash: sha256(Uint8Array.of(this.#block)), timestampS: 1_000 + this.#block },
      events,
    );
  }

  /** Where the next event will stand. */
  at(txHash: string): { block: number; txHash: string } {
    return { block: this.#block + 1, txHash };
  }

  admitted(node: TestNode, credit: number, weight: number): LedgerEvent {
    return {
      ...this.at(txOf(`admit ${node.account}`)),
      type: 'node-admitted',
      record: node.record,
      credit,
      weight,
    };
  }

  /** Records the call that a transaction carried. */
  call(
    contract: ContractName,
    txHash: string,
    functionName: string,
    args: readonly unknown[],
  ): MinedTransaction {
    const input = encodeFunctionData({ abi: contractAbis[contract], functionName, args } as Parameters<
      typeof encodeFunctionData
    >[0]);
    const mined: MinedTransaction = {
      txHash,
      from: addressOf(99),
      to: NETWORK.contracts[contract],
      input,
      block: this.#block + 1,
      gasUsed: 100_000,
      isSuccess: true,
      logs: [],
    };
    this.#mined.set(txHash, mined);
    return mined;
  }

  /** The part of a ledger that reads; what writes or asks a contract has no place here. */
  get ledger(): Pick<Ledger, 'network' | 'networkId' | 'history' | 'mined'> {
    return {
      network: NETWORK,
      networkId: networkIdOf(NETWORK.chainId, NETWORK.contracts.nodeRegistry),
      history: this.history,
      mined: async (txHash) => this.#mined.get(txHash),
    };
  }
}

export function txOf(name: string): Hex {
  return `0x${Buffer.from(hashDomain('test/tx', new TextEncoder().encode(name))).toString('hex')}`;
}

/** Signatures of a vote as the contract wants them: rising by signer. */
export async function signVote(nodes: readonly TestNode[], type: VoteName, message: object): Promise<Hex[]> {
  const rising = [...nodes].sort((a, b) => (a.account < b.account ? -1 : 1));
  return Promise.all(
    rising.map(({ signer }) =>
      signer.signTypedData({
        domain: nemeaDomain(NETWORK.chainId, NETWORK.contracts.nodeRegistry as Hex),
        types: voteTypes,
        primaryType: type,
        message,
      } as Parameters<PrivateKeyAccount['signTypedData']>[0]),
    ),
  );
}

/** The parts of a report that names and rosters are read from. */
export function reportOf(parts: Partial<Pick<Report, 'nodes' | 'epochs'>>): Pick<Report, 'nodes' | 'epochs'> {
  return { nodes: [], epochs: [], ...parts };
}
