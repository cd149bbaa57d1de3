/**
 * Deploys and wires all contracts: the devnet's start, and the reference for any other network. Needs the artifacts
 * of `npm run build:contracts`; trusts the RPC endpoint to run them.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '@nemea/core';
import {
  type Address,
  createPublicClient,
  createWalletClient,
  defineChain,
  encodeDeployData,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  http,
  isAddressEqual,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { nodeRegistryAbi } from './abi.ts';

export interface DeployOptions {
  readonly rpcUrl: string;
  readonly chainId: number;
  /** Pays for the deployment, receives the fee tokens, and is the policy governor until hand-over. */
  readonly privateKey: Hex;
  readonly genesis: readonly Address[];
  /** In the fee token's smallest unit. */
  readonly minDeposit: bigint;
  readonly epochMs: number;
  /** How long an exiting node's deposit stays liable. */
  readonly exitDelayS?: number;
  /** How many epochs an evicted node and its EK stay out. */
  readonly suspensionEpochs?: number;
  /** How long after its time-out a task may still be settled. */
  readonly graceS?: number;
  readonly tokenSupply?: bigint;
}

export interface Addresses {
  readonly feeToken: Address;
  readonly nodeRegistry: Address;
  readonly policyRegistry: Address;
  readonly epochLog: Address;
  readonly capsuleRegistry: Address;
  readonly taskEscrow: Address;
  readonly disputes: Address;
  readonly releasePolicy: Address;
}

const CONTRACTS = {
  feeToken: 'FeeToken',
  nodeRegistry: 'NodeRegistry',
  policyRegistry: 'PolicyRegistry',
  epochLog: 'EpochLog',
  capsuleRegistry: 'CapsuleRegistry',
  taskEscrow: 'TaskEscrow',
  disputes: 'Disputes',
  releasePolicy: 'StandardReleasePolicy',
} as const satisfies Record<keyof Addresses, string>;

const NAMES = Object.keys(CONTRACTS) as (keyof Addresses)[];

/** Throws `DeployError`; a half-done deployment is worthless and simply abandoned. */
export async function deployContracts(options: DeployOptions): Promise<Addresses> {
  const chain = defineChain({
    id: options.chainId,
    name: 'nemea layer 1',
    nativeCurrency: { name: 'native coin', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [options.rpcUrl] } },
  });
  const transport = http(options.rpcUrl);
  const account = privateKeyToAccount(options.privateKey);
  const wallet = createWalletClient({ account, chain, transport });
  const client = createPublicClient({ chain, transport, pollingInterval: 100 });

  const nonce = await client.getTransactionCount({ address: account.address, blockTag: 'pending' });
  const addresses = predictAddresses(account.address, nonce);
  const transactions = [
    ...NAMES.map((name) => ({
      name: CONTRACTS[name],
      data: initCode(name, account.address, addresses, options),
    })),
    { name: 'wire', data: wireCall(addresses), to: addresses.nodeRegistry },
  ];
  // Addresses follow from nonces, so all transactions go out at once and share a block or two. A transaction that
  // builds on one not yet mined cannot be estimated, hence the fixed limit; what is not used is not paid.
  const hashes: Hex[] = [];
  for (const [index, { data, ...rest }] of transactions.entries()) {
    const to = 'to' in rest ? rest.to : null;
    hashes.push(await wallet.sendTransaction({ data, to, nonce: nonce + index, gas: DEPLOY_GAS_LIMIT }));
  }
  for (const [index, hash] of hashes.entries()) {
    const receipt = await client.waitForTransactionReceipt({ hash });
    const name = transactions[index]?.name;
    if (receipt.status !== 'success') {
      throw new DeployError('DEPLOY_REVERTED', `deployment step ${name} reverted in transaction ${hash}`, {
        data: { name, hash },
      });
    }
  }
  await requireDomain(client, addresses, options.chainId);
  return addresses;
}

const DEPLOY_GAS_LIMIT = 6_000_000n;

function predictAddresses(from: Address, nonce: number): Addresses {
  const entries = NAMES.map((name, index) => [
    name,
    getContractAddress({ from, nonce: BigInt(nonce + index) }),
  ]);
  return Object.fromEntries(entries) as Addresses;
}

function initCode(name: keyof Addresses, governor: Address, at: Addresses, options: DeployOptions): Hex {
  const args: Record<keyof Addresses, readonly unknown[]> = {
    feeToken: [options.tokenSupply ?? 10n ** 27n],
    nodeRegistry: [
      {
        token: at.feeToken,
        depositMin: options.minDeposit,
        exitDelayS: BigInt(options.exitDelayS ?? 60),
        suspensionEpochs: BigInt(options.suspensionEpochs ?? 100),
      },
      options.genesis,
    ],
    policyRegistry: [at.nodeRegistry, governor],
    epochLog: [at.nodeRegistry, BigInt(options.epochMs)],
    capsuleRegistry: [],
    taskEscrow: [at.feeToken, at.nodeRegistry, at.capsuleRegistry, BigInt(options.graceS ?? 30)],
    disputes: [at.nodeRegistry],
    releasePolicy: [at.nodeRegistry, at.capsuleRegistry, at.taskEscrow],
  };
  const { abi, bytecode } = readArtifact(CONTRACTS[name]);
  return encodeDeployData({ abi, bytecode, args: args[name] });
}

function wireCall(at: Addresses): Hex {
  return encodeFunctionData({
    abi: nodeRegistryAbi,
    functionName: 'wire',
    args: [at.epochLog, at.taskEscrow, at.disputes],
  });
}

function readArtifact(contract: string): { abi: readonly unknown[]; bytecode: Hex } {
  const path = join(import.meta.dirname, 'out', `${contract}.sol`, `${contract}.json`);
  if (!existsSync(path)) {
    throw new DeployError('ARTIFACT_MISSING', `no artifact of ${contract}: run \`npm run build:contracts\``, {
      data: { contract },
    });
  }
  const artifact = JSON.parse(readFileSync(path, 'utf8')) as { abi: unknown[]; bytecode: { object: Hex } };
  return { abi: artifact.abi, bytecode: artifact.bytecode.object };
}

/** Votes are signed for this chain id and registry: a mismatch would make every signature worthless, so ask now. */
async function requireDomain(
  client: ReturnType<typeof createPublicClient>,
  addresses: Addresses,
  chainId: number,
): Promise<void> {
  const [, , , domainChainId, verifyingContract] = await client.readContract({
    abi: nodeRegistryAbi,
    address: addresses.nodeRegistry,
    functionName: 'eip712Domain',
  });
  if (domainChainId !== BigInt(chainId) || !isAddressEqual(verifyingContract, addresses.nodeRegistry)) {
    throw new DeployError('DOMAIN_MISMATCH', `registry signs for chain ${domainChainId}, want ${chainId}`, {
      data: { domainChainId: domainChainId.toString(), chainId },
    });
  }
}

export type DeployErrorCode = 'ARTIFACT_MISSING' | 'DEPLOY_REVERTED' | 'DOMAIN_MISMATCH';

export class DeployError extends CodedError<DeployErrorCode> {}
