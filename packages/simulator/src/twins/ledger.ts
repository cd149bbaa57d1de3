import { bytesEqual, toHex } from '@nemea/core';
import {
  type Ledger,
  LedgerError,
  LedgerHistory,
  networkIdOf,
  type Receipt,
  requestTypedData,
  voteTypedData,
} from '@nemea/sdk';
import { privateKeyToAccount } from 'viem/accounts';
import type { Kernel } from '../kernel/kernel.ts';
import { callOf, missing, readContract } from './contracts.ts';
import type { Call, Chain } from './layer-one/chain.ts';
import { Revert } from './layer-one/state.ts';
import type { Life } from './life.ts';

const POLL_MS = 100;
const BLOCKS_PER_SYNC = 500;

/** How layer 1's RPC treats one machine: how long an answer takes; undefined when none comes. */
export type Rpc = () => number | undefined;

export interface LedgerTwinOptions {
  readonly kernel: Kernel;
  readonly chain: Chain;
  readonly accountKey: Uint8Array;
  readonly life: Life;
  readonly rpc: Rpc;
}

/** Layer 1 as one machine sees it: a copy of the chain that grows as it reads, and the transactions it sends. */
export function openLedgerTwin({ kernel, chain, accountKey, life, rpc }: LedgerTwinOptions): Ledger {
  const { network } = chain.state;
  const signer = privateKeyToAccount(`0x${toHex(accountKey)}`);
  const account = signer.address.toLowerCase();
  const history = new LedgerHistory({
    startBlock: network.startBlock,
    epochMs: network.epochMs,
    networkId: networkIdOf(network.chainId, network.contracts.nodeRegistry),
    genesisAccounts: chain.state.genesis,
  });

  /** An RPC call: waits as long as the answer takes, then reads the chain as it is. */
  async function call<T>(answer: () => T): Promise<T> {
    const delayMs = rpc();
    await life.during(kernel.sleep(delayMs ?? POLL_MS));
    if (delayMs === undefined) throw new LedgerError('LEDGER_UNREACHABLE', 'layer 1 did not answer');
    return answer();
  }

  let syncing: Promise<number> | undefined;
  function sync(): Promise<number> {
    syncing ??= call(readBlocks).finally(() => {
      syncing = undefined;
    });
    return syncing;
  }

  function readBlocks(): number {
    const from = history.head + 1;
    const to = Math.min(chain.tip, from + BLOCKS_PER_SYNC - 1);
    for (let number = from; number <= to; number++) {
      const block = chain.blocks[number - network.startBlock];
      if (block === undefined) break;
      const before = history.blockHash(number - 1);
      if (before !== undefined && !bytesEqual(before, block.parent))
        throw new LedgerError('LEDGER_REORGANISED', `block ${number} does not follow the one that was read`);
      history.append(block.header, block.events);
    }
    return Math.max(0, to - from + 1);
  }

  async function waitFor<T>(predicate: () => T | undefined, timeoutMs: number): Promise<T> {
    const deadlineMs = kernel.nowMs + timeoutMs;
    for (;;) {
      await sync();
      const value = predicate();
      if (value !== undefined) return value;
      if (kernel.nowMs > deadlineMs)
        throw new LedgerError('LEDGER_TIMED_OUT', `layer 1 did not show what was awaited in ${timeoutMs} ms`);
      await life.during(kernel.sleep(POLL_MS));
    }
  }

  // One transaction at a time, as the real client.
  let last: Promise<unknown> = Promise.resolve();
  function submitCall(work: Call): Promise<Receipt> {
    const next = last.then(
      () => sendAndWait(work),
      () => sendAndWait(work),
    );
    last = next.catch(() => undefined);
    return next;
  }

  async function sendAndWait(work: Call): Promise<Receipt> {
    const mined = await call(
      () =>
        new Promise<Receipt>((resolve, reject) => {
          const txHash = chain.send(account, work, (outcome) => {
            if ('block' in outcome) resolve({ txHash, block: outcome.block, gasUsed: 1 });
            else reject(reverted(outcome.revert));
          });
        }),
    );
    return life.during(Promise.resolve(mined));
  }

  async function submit(contract: string, functionName: string, args: readonly unknown[]): Promise<Receipt> {
    return submitCall(callOf(contract, functionName, args));
  }

  function read<T>(contract: string, functionName: string, args: readonly unknown[]): Promise<T> {
    return call(() => {
      try {
        return readContract(chain, contract, functionName, args) as T;
      } catch (error) {
        throw error instanceof Revert ? reverted(error) : error;
      }
    });
  }

  const unknown = async (functionName: string): Promise<never> => {
    throw missing('chain', functionName);
  };

  return {
    network,
    networkId: networkIdOf(network.chainId, network.contracts.nodeRegistry),
    history,
    account,
    sync,
    waitFor,
    submit,
    read: (contract, functionName, args = []) => read(contract, functionName, args),
    readAt: (address, contract, functionName, args) => {
      if (network.contracts[contract].toLowerCase() !== address.toLowerCase())
        throw new LedgerError('LEDGER_CONTRACT_MISSING', `no contract of this network is at ${address}`);
      return read(contract, functionName, args);
    },
    signVote: (vote) => signer.signTypedData(voteTypedData(network, vote)),
    submitVote: (vote, signatures) => submitCall({ kind: 'vote', vote, signatures }),
    signRequest: (request) => signer.signTypedData(requestTypedData(network, request)),
    receipt: () => unknown('receipt'),
    mined: () => unknown('mined'),
    chainId: () => call(() => network.chainId),
    balance: () => unknown('balance'),
    transferNative: () => unknown('transferNative'),
  };
}

function reverted({ code, message, data }: Revert): LedgerError {
  return new LedgerError('LEDGER_REVERTED', `contract refused: ${code} ${message}`, {
    data: { error: code, ...data },
  });
}
