import { fromHex, toHex } from '@nemea/core';
import type { NodeRecord, Vote } from '@nemea/membership';
import {
  type Abi,
  AbiDecodingDataSizeTooSmallError,
  AbiDecodingZeroDataError,
  BaseError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  createPublicClient,
  createWalletClient,
  decodeEventLog,
  type Hex,
  http,
  type Log,
  recoverTypedDataAddress,
  TransactionNotFoundError,
  TransactionReceiptNotFoundError,
} from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import {
  capsuleRegistryAbi,
  disputesAbi,
  epochLogAbi,
  errorsAbi,
  feeTokenAbi,
  nodeRegistryAbi,
  policyRegistryAbi,
  standardReleasePolicyAbi,
  taskEscrowAbi,
} from '../../../../contracts/abi.ts';
import {
  LedgerError,
  type LedgerEvent,
  LedgerHistory,
  networkIdOf,
  type PolicyKind,
} from '../ledger/history.ts';
import type { ContractName, Network } from '../ledger/network.ts';
import {
  type AttestationRequest,
  requestTypedData,
  voteMessage,
  voteTarget,
  voteTypedData,
} from '../ledger/votes.ts';

export const contractAbis = {
  feeToken: feeTokenAbi,
  nodeRegistry: nodeRegistryAbi,
  policyRegistry: policyRegistryAbi,
  epochLog: epochLogAbi,
  capsuleRegistry: capsuleRegistryAbi,
  releasePolicy: standardReleasePolicyAbi,
  taskEscrow: taskEscrowAbi,
  disputes: disputesAbi,
} as const satisfies Record<ContractName, Abi>;

const POLICY_KINDS: readonly PolicyKind[] = ['ek-root', 'release', 'image', 'code'];
/** Blocks read in one round: bounds memory and the time until the caller sees progress. */
const BLOCKS_PER_SYNC = 500;
const RECEIPT_POLL_MS = 100;
const GAS_MARGIN = 100_000n;

export interface Receipt {
  readonly txHash: string;
  readonly block: number;
  readonly gasUsed: number;
}

/** A transaction as layer 1 took it, with everything that it said and did. */
export interface MinedTransaction extends Receipt {
  readonly from: string;
  readonly to: string;
  readonly input: string;
  readonly isSuccess: boolean;
  readonly logs: readonly {
    readonly address: string;
    readonly topics: readonly string[];
    readonly data: string;
  }[];
}

export interface Ledger {
  readonly network: Network;
  readonly networkId: Uint8Array;
  readonly history: LedgerHistory;
  /** Lower-case address of the signing account; empty for a reader. */
  readonly account: string;
  /** Reads new blocks and events; resolves to how many blocks came. */
  sync(): Promise<number>;
  /** Waits until `predicate` holds for the synchronised history. Throws `LEDGER_TIMED_OUT`. */
  waitFor<T>(predicate: () => T | undefined, timeoutMs: number): Promise<T>;
  /** Sends a transaction, one at a time, and waits for its receipt. Throws `LEDGER_REVERTED` naming the contract's error. */
  submit(contract: ContractName, functionName: string, args: readonly unknown[]): Promise<Receipt>;
  /** As of the newest block, or of one that `at` names. */
  read<T>(
    contract: ContractName,
    functionName: string,
    args?: readonly unknown[],
    at?: { readonly block: number },
  ): Promise<T>;
  /** Reads any contract that speaks one of the known interfaces, such as a capsule's own release policy. */
  readAt<T>(
    address: string,
    contract: ContractName,
    functionName: string,
    args: readonly unknown[],
  ): Promise<T>;
  signVote(vote: Vote): Promise<string>;
  submitVote(vote: Vote, signatures: readonly string[]): Promise<Receipt>;
  signRequest(request: AttestationRequest): Promise<string>;
  /** Receipt of a transaction that was mined. */
  receipt(txHash: string): Promise<Receipt>;
  /** A transaction with its calldata and logs, for whoever checks what was signed; undefined when it was not mined. */
  mined(txHash: string): Promise<MinedTransaction | undefined>;
  /** The chain that the RPC serves, whatever the network document says. */
  chainId(): Promise<number>;
  /** Native balance in wei. */
  balance(account: string): Promise<bigint>;
  transferNative(to: string, wei: bigint): Promise<Receipt>;
}

/** Opens layer 1 through any EVM RPC. `privateKey` is 32 bytes; without it the ledger only reads. */
export async function openLedger(network: Network, privateKey?: Uint8Array): Promise<Ledger> {
  const transport = http(network.rpcUrl, { timeout: 10_000, retryCount: 3 });
  const chain = {
    id: network.chainId,
    name: network.name,
    nativeCurrency: { name: 'native', symbol: 'NAT', decimals: 18 },
    rpcUrls: { default: { http: [network.rpcUrl] } },
  };
  const client = createPublicClient({ chain, transport, pollingInterval: RECEIPT_POLL_MS, cacheTime: 0 });
  const signer: PrivateKeyAccount | undefined =
    privateKey === undefined ? undefined : privateKeyToAccount(`0x${toHex(privateKey)}`);
  const wallet = signer === undefined ? undefined : createWalletClient({ account: signer, chain, transport });
  const names = new Map<string, ContractName>();
  for (const [name, address] of Object.entries(network.contracts)) {
    names.set(address.toLowerCase(), name as ContractName);
  }

  async function call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toLedgerError(error);
    }
  }

  const genesisAccounts = await call(() =>
    client.readContract({
      address: network.contracts.nodeRegistry as Hex,
      abi: nodeRegistryAbi,
      functionName: 'genesisAccounts',
    }),
  );
  const networkId = networkIdOf(network.chainId, network.contracts.nodeRegistry);
  const history = new LedgerHistory({
    startBlock: network.startBlock,
    epochMs: network.epochMs,
    networkId,
    genesisAccounts: genesisAccounts.map((account) => account.toLowerCase()),
  });

  let syncing: Promise<number> | undefined;

  function sync(): Promise<number> {
    syncing ??= readBlocks().finally(() => {
      syncing = undefined;
    });
    return syncing;
  }

  async function readBlocks(): Promise<number> {
    const tip = Number(await call(() => client.getBlockNumber()));
    const from = history.head + 1;
    const to = Math.min(tip, from + BLOCKS_PER_SYNC - 1);
    if (to < from) return 0;
    const logs = await call(() =>
      client.getLogs({
        address: Object.values(network.contracts) as Hex[],
        fromBlock: BigInt(from),
        toBlock: BigInt(to),
      }),
    );
    for (let number = from; number <= to; number++) {
      const block = await call(() => client.getBlock({ blockNumber: BigInt(number) }));
      const events = logs
        .filter((log) => Number(log.blockNumber) === number)
        .flatMap((log) => decode(names.get(log.address), log));
      const before = history.blockHash(number - 1);
      if (before !== undefined && block.parentHash !== `0x${toHex(before)}`) {
        // What was decided on facts of a block that is gone cannot be taken back: stop, and let a person look.
        throw new LedgerError(
          'LEDGER_REORGANISED',
          `block ${number} does not follow the block ${number - 1} that was read`,
        );
      }
      history.append({ number, hash: fromHex(block.hash), timestampS: Number(block.timestamp) }, events);
    }
    return to - from + 1;
  }

  async function waitFor<T>(predicate: () => T | undefined, timeoutMs: number): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      await sync();
      const value = predicate();
      if (value !== undefined) return value;
      if (performance.now() > deadline) {
        throw new LedgerError(
          'LEDGER_TIMED_OUT',
          `layer 1 did not show what was awaited within ${timeoutMs} ms`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, RECEIPT_POLL_MS));
    }
  }

  // One transaction at a time: nonces stay in order, and a failed one holds back nothing.
  let last: Promise<unknown> = Promise.resolve();
  function oneAtATime<T>(work: () => Promise<T>): Promise<T> {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  }

  function requireWallet() {
    if (wallet === undefined || signer === undefined) {
      throw new LedgerError('LEDGER_UNREACHABLE', 'this ledger was opened for reading only');
    }
    return { wallet, signer };
  }

  function submit(contract: ContractName, functionName: string, args: readonly unknown[]): Promise<Receipt> {
    return oneAtATime(() =>
      call(async () => {
        const call = {
          account: requireWallet().signer,
          address: network.contracts[contract] as Hex,
          // A refusal may bubble up from another contract: every contract's errors are known here.
          abi: [...contractAbis[contract], ...errorsAbi] as Abi,
          functionName,
          args,
        };
        const { request } = await client.simulateContract(call);
        // Others' transactions of the same block may make this one dearer than it is alone; unused gas is not paid.
        const gas = ((await client.estimateContractGas(call)) * 3n) / 2n + GAS_MARGIN;
        return receiptOf(await requireWallet().wallet.writeContract({ ...request, gas }));
      }),
    );
  }

  async function receiptOf(hash: Hex): Promise<Receipt> {
    const receipt = await client.waitForTransactionReceipt({
      hash,
      timeout: 30_000,
      pollingInterval: RECEIPT_POLL_MS,
    });
    if (receipt.status !== 'success') {
      throw new LedgerError('LEDGER_REVERTED', `transaction ${hash} was reverted`);
    }
    return { txHash: hash, block: Number(receipt.blockNumber), gasUsed: Number(receipt.gasUsed) };
  }

  async function readMined(hash: Hex): Promise<MinedTransaction | undefined> {
    try {
      const transaction = await client.getTransaction({ hash });
      const receipt = await client.getTransactionReceipt({ hash });
      return {
        txHash: hash,
        from: transaction.from.toLowerCase(),
        to: transaction.to?.toLowerCase() ?? '',
        input: transaction.input,
        block: Number(receipt.blockNumber),
        gasUsed: Number(receipt.gasUsed),
        isSuccess: receipt.status === 'success',
        logs: receipt.logs.map(({ address, topics, data }) => ({
          address: address.toLowerCase(),
          topics,
          data,
        })),
      };
    } catch (error) {
      if (error instanceof TransactionNotFoundError || error instanceof TransactionReceiptNotFoundError) {
        return undefined;
      }
      throw error;
    }
  }

  function readAt<T>(
    address: string,
    contract: ContractName,
    functionName: string,
    args: readonly unknown[],
    at?: { readonly block: number },
  ): Promise<T> {
    return call(
      () =>
        client.readContract({
          address: address as Hex,
          abi: contractAbis[contract] as Abi,
          functionName,
          args,
          ...(at === undefined ? {} : { blockNumber: BigInt(at.block) }),
        }) as Promise<T>,
    );
  }

  return {
    network,
    networkId,
    history,
    account: signer?.address.toLowerCase() ?? '',
    sync,
    waitFor,
    submit,
    read: (contract, functionName, args = [], at) =>
      readAt(network.contracts[contract], contract, functionName, args, at),
    readAt,
    signVote: (vote) => requireWallet().signer.signTypedData(voteTypedData(network, vote)),
    submitVote: (vote, signatures) => {
      const { contract, functionName } = voteTarget(vote);
      return submit(contract, functionName, [voteMessage(vote), signatures]);
    },
    signRequest: (request) => requireWallet().signer.signTypedData(requestTypedData(network, request)),
    receipt: (txHash) => call(() => receiptOf(txHash as Hex)),
    mined: (txHash) => call(() => readMined(txHash as Hex)),
    chainId: () => call(() => client.getChainId()),
    balance: (account) => call(() => client.getBalance({ address: account as Hex })),
    transferNative: (to, wei) =>
      oneAtATime(() =>
        call(async () =>
          receiptOf(await requireWallet().wallet.sendTransaction({ to: to as Hex, value: wei })),
        ),
      ),
  };
}

/** The lower-case address that signed a vote. Throws when the bytes are no signature. */
export async function recoverVoter(network: Network, vote: Vote, signature: string): Promise<string> {
  const address = await recoverTypedDataAddress({
    ...voteTypedData(network, vote),
    signature: signature as Hex,
  } as Parameters<typeof recoverTypedDataAddress>[0]);
  return address.toLowerCase();
}

/** The lower-case address that signed an attestation request. */
export async function recoverRequester(
  network: Network,
  request: AttestationRequest,
  signature: string,
): Promise<string> {
  const address = await recoverTypedDataAddress({
    ...requestTypedData(network, request),
    signature: signature as Hex,
  } as Parameters<typeof recoverTypedDataAddress>[0]);
  return address.toLowerCase();
}

export function addressOf(privateKey: Uint8Array): string {
  return privateKeyToAccount(`0x${toHex(privateKey)}`).address.toLowerCase();
}

function decode(contract: ContractName | undefined, log: Log): LedgerEvent[] {
  if (
    contract === undefined ||
    contract === 'feeToken' ||
    contract === 'capsuleRegistry' ||
    contract === 'releasePolicy'
  ) {
    return [];
  }
  const at = { block: Number(log.blockNumber), txHash: log.transactionHash ?? '0x' };
  const { eventName, args } = decodeEventLog({ abi: EVENTS, data: log.data, topics: log.topics });
  switch (eventName) {
    case 'NodeAdmitted':
      return [
        {
          ...at,
          type: 'node-admitted',
          record: toRecord(args.record, args.endpoint),
          credit: args.record.credit,
          weight: args.record.weight,
        },
      ];
    case 'CreditChanged':
      return [
        {
          ...at,
          type: 'weight',
          account: args.account.toLowerCase(),
          credit: args.creditAfter,
          weight: args.weight,
        },
      ];
    case 'ExitRequested':
      return [{ ...at, type: 'weight', account: args.account.toLowerCase(), credit: 0, weight: 0 }];
    case 'NodeEvicted':
      return [{ ...at, type: 'node-evicted', account: args.account.toLowerCase(), reason: args.reason }];
    case 'Deposited':
      return [{ ...at, type: 'deposit', account: args.account.toLowerCase(), deposit: args.deposit }];
    case 'PolicyChanged': {
      const kind = POLICY_KINDS[args.kind];
      if (kind === undefined) return [];
      return [{ ...at, type: 'policy', kind, digest: args.digest.slice(2), approved: args.approved }];
    }
    case 'EpochRecorded':
      return [{ ...at, type: 'epoch', epoch: Number(args.epoch) }];
    case 'TaskCreated':
      return [
        {
          ...at,
          type: 'task-created',
          task: {
            taskId: fromHex(args.taskId),
            creator: args.creator.toLowerCase(),
            createdBlock: at.block,
            codeDigest: fromHex(args.s.codeDigest),
            imageDigest: fromHex(args.s.imageDigest),
            capsuleIds: args.s.capsuleIds.map((id) => fromHex(id)),
            timeoutS: args.s.timeoutS,
            minLevel: args.s.minLevel,
            minCredit: args.s.minCredit,
            fee: args.s.fee,
            spec: fromHex(args.spec),
          },
        },
      ];
    case 'ExecutorCommitted':
      return [
        {
          ...at,
          type: 'executor-committed',
          taskId: args.taskId.slice(2),
          attempt: args.attempt,
          commitment: args.commitment,
        },
      ];
    case 'Settled':
      return [
        {
          ...at,
          type: 'task-settled',
          taskId: args.taskId.slice(2),
          executor: args.executor.toLowerCase(),
          certificateDigest: args.certificateDigest.slice(2),
        },
      ];
    case 'Refunded':
      return [{ ...at, type: 'task-ended', taskId: args.taskId.slice(2), reason: 0 }];
    case 'Failed':
      return [{ ...at, type: 'task-ended', taskId: args.taskId.slice(2), reason: args.reason }];
    case 'DisputeReported':
      return [
        {
          ...at,
          type: 'dispute',
          dispute: {
            disputeId: fromHex(args.disputeId),
            reporter: args.reporter.toLowerCase(),
            accused: args.accused.toLowerCase(),
            epoch: Number(args.epoch),
            command: args.request.command,
            proof: fromHex(args.proof),
          },
        },
      ];
    case 'DisputeResolved':
      return [{ ...at, type: 'dispute-resolved', disputeId: args.disputeId.slice(2), guilty: args.guilty }];
    default:
      return [];
  }
}

const EVENTS = [
  ...nodeRegistryAbi,
  ...policyRegistryAbi,
  ...epochLogAbi,
  ...taskEscrowAbi,
  ...disputesAbi,
] as const;

function toRecord(
  record: Record<'account' | 'owner' | 'peerKey' | 'ekId' | 'akX' | 'akY' | 'vrfX' | 'vrfY', Hex> & {
    level: number;
  },
  endpoint: string,
): NodeRecord {
  return {
    account: record.account.toLowerCase(),
    owner: record.owner.toLowerCase(),
    peerKey: fromHex(record.peerKey),
    ekId: fromHex(record.ekId),
    akX: fromHex(record.akX),
    akY: fromHex(record.akY),
    vrfX: fromHex(record.vrfX),
    vrfY: fromHex(record.vrfY),
    level: record.level,
    endpoint,
  };
}

/** The RPC answered, but nothing at the address speaks the interface that was called. */
function isForeignAnswer(error: unknown): boolean {
  return (
    error instanceof ContractFunctionZeroDataError ||
    error instanceof AbiDecodingZeroDataError ||
    error instanceof AbiDecodingDataSizeTooSmallError
  );
}

function toLedgerError(error: unknown): LedgerError {
  if (error instanceof LedgerError) return error;
  if (error instanceof BaseError) {
    const reverted = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
    if (reverted instanceof ContractFunctionRevertedError) {
      const name = reverted.data?.errorName ?? reverted.reason ?? 'unknown';
      return new LedgerError('LEDGER_REVERTED', `contract refused: ${name}`, {
        data: { error: name, args: (reverted.data?.args ?? []).map(String) },
        cause: error,
      });
    }
    if (error.walk(isForeignAnswer) !== null) {
      return new LedgerError('LEDGER_CONTRACT_MISSING', error.shortMessage, { cause: error });
    }
    return new LedgerError('LEDGER_UNREACHABLE', error.shortMessage, { cause: error });
  }
  return new LedgerError('LEDGER_UNREACHABLE', 'layer 1 did not answer', { cause: error });
}
