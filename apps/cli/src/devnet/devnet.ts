import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { CodedError, fromHex, sha256, toHex } from '@nemea/core';
import {
  ANVIL_MNEMONIC,
  caCertificates,
  callControl,
  type DeviceFacts,
  initDevice,
  measureRelease,
  readDeviceFacts,
  removeAbandoned,
  socketPath,
} from '@nemea/node';
import { contractAbis, type Ledger, type Network, openLedger, parseNetwork } from '@nemea/sdk';
import { createPublicClient, createWalletClient, encodeFunctionData, type Hex, http, parseEther } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { deployContracts } from '../../../../contracts/deploy.ts';
import { makeFolder } from '../files.ts';
import { type BuiltImage, builtImage } from './image.ts';
import { type DevnetPaths, devnetPaths } from './paths.ts';
import { Processes } from './processes.ts';

/** Epochs of a devnet: longer where many nodes share one machine. */
export function epochMsFor(nodes: number): number {
  return nodes <= 8 ? 5_000 : 15_000;
}

/** Fee tokens have 18 decimals; a node stakes this many. */
export const DEPOSIT = parseEther('1000');
export const CLIENT_TOKENS = parseEther('10000');
/** A task may be drawn again after its executor vanished: layer 1 leaves time for a second and a third attempt. */
const SETTLE_GRACE_S = 120;
const READY_TIMEOUT_MS = 180_000;
const INITS_AT_ONCE = 3;

export class DevnetError extends CodedError<'DEVNET_RUNNING' | 'DEVNET_MISSING'> {}

/** One step, told with its duration; nested output goes to stderr so that stdout stays for results. */
export type Tell = <T>(what: string, work: () => Promise<T>) => Promise<T>;

export interface NodeStatus {
  readonly account: string;
  readonly peerId: string;
  readonly isReady: boolean;
  readonly isMember: boolean;
  /** It has lost its journal, and does not vote until the others have heard so. */
  readonly isFollowing: boolean;
  readonly canExecute: boolean;
  readonly epoch: number;
  readonly epochClosed: number;
  readonly sequence: number;
  readonly view: number;
  readonly primary: string | null;
  readonly peers: number;
  readonly members: readonly {
    account: string;
    credit: number;
    level: number;
    resetCount: number | null;
  }[];
  readonly rssMb: number;
  readonly release: string;
}

/** A local network: layer 1, nodes and client devices, each a process of its own. */
export class Devnet {
  readonly paths: DevnetPaths;
  readonly processes: Processes;
  readonly #tell: Tell;
  #network: Network | undefined;

  constructor(dir: string, tell: Tell) {
    this.paths = devnetPaths(dir);
    makeFolder(this.paths.dir, 0o700);
    this.processes = new Processes(this.paths);
    this.#tell = tell;
    if (existsSync(this.paths.network))
      this.#network = parseNetwork(readFileSync(this.paths.network, 'utf8'));
  }

  get network(): Network {
    if (this.#network === undefined)
      throw new DevnetError('DEVNET_MISSING', `no devnet in ${this.paths.dir}`);
    return this.#network;
  }

  /** Layer 1, contracts, policies, and `nodes` founding members that have attested each other. */
  async up(nodes: number, extraCodes: readonly Uint8Array[]): Promise<void> {
    if (this.processes.all.some((process) => this.processes.isAlive(process.name))) {
      throw new DevnetError(
        'DEVNET_RUNNING',
        `a devnet runs in ${this.paths.dir}: stop it with \`nemea devnet down\``,
      );
    }
    clearOld(this.paths);
    await removeAbandoned();
    const image = builtImage();
    await this.#tell('code, compiled once for all', () => this.processes.compile());
    const rpcUrl = await this.#tell('layer 1 (anvil)', () => this.#startLayer1());
    const facts = await this.#tell(`TPMs and keys of ${nodes} founding nodes`, () => this.#initNodes(nodes));
    await this.#tell('contracts, deposits and policies', async () => {
      await this.#deploy(rpcUrl, facts);
      await this.fund(
        facts.map(({ account }) => account),
        DEPOSIT,
        0n,
      );
      await this.#approvePolicies(image, extraCodes);
    });
    writeFileSync(
      this.paths.genesis,
      JSON.stringify(
        facts.map((fact) => ({ account: fact.account, address: doorOf(fact) })),
        null,
        2,
      ),
    );
    await this.#tell(`${nodes} nodes attest each other, register and start consensus`, async () => {
      for (let index = 1; index <= nodes; index++) this.spawnNode(index, true);
      await Promise.all(facts.map((_, index) => this.untilReady(index + 1)));
    });
  }

  async #startLayer1(): Promise<string> {
    rmSync(this.paths.layer1, { force: true });
    this.processes.start(
      'layer-1',
      ['devnet', 'layer1', '--dir', this.paths.dir],
      join(this.paths.dir, 'layer1.log'),
    );
    return this.processes.until(
      'layer-1',
      async () =>
        existsSync(this.paths.layer1)
          ? (JSON.parse(readFileSync(this.paths.layer1, 'utf8')) as { rpcUrl: string }).rpcUrl
          : undefined,
      30_000,
    );
  }

  async #initNodes(count: number): Promise<DeviceFacts[]> {
    const facts: DeviceFacts[] = [];
    // The first one makes the CA; the others follow a few at a time.
    facts.push(await this.initNode(1));
    for (let first = 2; first <= count; first += INITS_AT_ONCE) {
      const indices = Array.from({ length: Math.min(INITS_AT_ONCE, count - first + 1) }, (_, i) => first + i);
      facts.push(...(await Promise.all(indices.map((index) => this.initNode(index)))));
    }
    return facts;
  }

  async initNode(index: number): Promise<DeviceFacts> {
    return initDevice({
      dir: this.paths.node(index),
      name: `node-${index}`,
      tpm: { kind: 'swtpm' },
      caDir: this.paths.ca,
      ports: { overlay: await freePort(), reception: await freePort() },
    });
  }

  async initClient(name: string): Promise<DeviceFacts> {
    return initDevice({
      dir: this.paths.client(name),
      name,
      tpm: { kind: 'swtpm' },
      caDir: this.paths.ca,
      ports: { agent: await freePort() },
    });
  }

  async #deploy(rpcUrl: string, facts: readonly DeviceFacts[]): Promise<void> {
    const client = createPublicClient({ transport: http(rpcUrl) });
    const chainId = await client.getChainId();
    const startBlock = Number(await client.getBlockNumber({ cacheTime: 0 })) + 1;
    const addresses = await deployContracts({
      rpcUrl,
      chainId,
      privateKey: deployerKey(),
      genesis: facts.map(({ account }) => account as Hex),
      minDeposit: DEPOSIT,
      epochMs: epochMsFor(facts.length),
      graceS: SETTLE_GRACE_S,
    });
    const network = {
      name: 'nemea-devnet',
      rpcUrl,
      chainId,
      startBlock,
      epochMs: epochMsFor(facts.length),
      contracts: { ...addresses },
    };
    writeFileSync(this.paths.network, `${JSON.stringify(network, null, 2)}\n`);
    this.#network = parseNetwork(JSON.stringify(network));
  }

  /** Gives accounts gas money, a deposit in the registry, and fee tokens to spend. The devnet's faucet. */
  async fund(accounts: readonly string[], deposit: bigint, tokens: bigint): Promise<void> {
    const { feeToken, nodeRegistry } = this.network.contracts;
    const total = deposit * BigInt(accounts.length);
    const calls: { to: string; value?: bigint; data?: Hex }[] = [];
    if (deposit > 0n) {
      calls.push({ to: feeToken, data: encode('feeToken', 'approve', [nodeRegistry, total]) });
    }
    for (const account of accounts) {
      calls.push({ to: account, value: parseEther('10') });
      if (deposit > 0n)
        calls.push({ to: nodeRegistry, data: encode('nodeRegistry', 'depositFor', [account, deposit]) });
      if (tokens > 0n) calls.push({ to: feeToken, data: encode('feeToken', 'transfer', [account, tokens]) });
    }
    await this.#sendAll(calls);
  }

  async #approvePolicies(image: BuiltImage, codes: readonly Uint8Array[]): Promise<void> {
    const { root } = await caCertificates(this.paths.ca);
    await this.#sendAll([
      this.#policyCall(0, sha256(root)),
      this.#policyCall(1, measureRelease().digest),
      this.#policyCall(2, fromHex(image.digest)),
      ...codes.map((code) => this.#policyCall(3, sha256(code))),
    ]);
  }

  /** Approves code as the devnet's governor. */
  async approveCode(code: Uint8Array): Promise<void> {
    await this.#sendAll([this.#policyCall(3, sha256(code))]);
  }

  #policyCall(kind: number, digest: Uint8Array) {
    return {
      to: this.network.contracts.policyRegistry,
      data: encode('policyRegistry', 'change', [kind, `0x${toHex(digest)}`, true]),
    };
  }

  /** Sends the deployer's transactions together, so that they share a block, and checks every receipt. */
  async #sendAll(calls: readonly { to: string; value?: bigint; data?: Hex }[]): Promise<void> {
    const transport = http(this.network.rpcUrl);
    const account = mnemonicToAccount(ANVIL_MNEMONIC);
    const wallet = createWalletClient({ account, transport });
    const client = createPublicClient({ transport, pollingInterval: 100 });
    let nonce = await client.getTransactionCount({ address: account.address, blockTag: 'pending' });
    const hashes: Hex[] = [];
    for (const call of calls) {
      hashes.push(
        await wallet.sendTransaction({
          chain: null,
          to: call.to as Hex,
          nonce: nonce++,
          gas: 500_000n,
          ...(call.value === undefined ? {} : { value: call.value }),
          ...(call.data === undefined ? {} : { data: call.data }),
        }),
      );
    }
    for (const hash of hashes) {
      const receipt = await client.waitForTransactionReceipt({ hash });
      if (receipt.status !== 'success')
        throw new DevnetError('DEVNET_MISSING', `set-up transaction ${hash} reverted`);
    }
  }

  spawnNode(index: number, isGenesis: boolean): void {
    const dir = this.paths.node(index);
    const image = builtImage();
    const args = ['node', 'start', '--dir', dir, '--network', this.paths.network, '--image', image.file];
    if (isGenesis) args.push('--genesis', this.paths.genesis);
    this.processes.start(`node-${index}`, args, join(dir, 'node.log'));
  }

  spawnClient(name: string): void {
    const dir = this.paths.client(name);
    const args = ['client', 'start', '--dir', dir, '--network', this.paths.network];
    this.processes.start(name, args, join(dir, 'client.log'));
  }

  untilReady(index: number): Promise<NodeStatus> {
    return this.processes.until(
      `node-${index}`,
      async () => {
        const status = await this.status(index);
        return status?.isReady === true && status.isMember ? status : undefined;
      },
      READY_TIMEOUT_MS,
    );
  }

  async status(index: number): Promise<NodeStatus | undefined> {
    try {
      return await callControl<NodeStatus>(socketPath(this.paths.node(index), 'control.sock'), 'GET /status');
    } catch (error) {
      if (error instanceof CodedError && error.code === 'CONTROL_UNREACHABLE') return undefined;
      throw error;
    }
  }

  untilClientReady(name: string): Promise<{ account: string; address: string }> {
    return this.processes.until(
      name,
      async () => {
        try {
          return await this.client<{ account: string; address: string }>(name, 'GET /status');
        } catch (error) {
          if (error instanceof CodedError && error.code === 'CONTROL_UNREACHABLE') return undefined;
          throw error;
        }
      },
      READY_TIMEOUT_MS,
    );
  }

  /** Asks a client device. */
  client<T>(name: string, route: string, body?: unknown): Promise<T> {
    return callControl<T>(socketPath(this.paths.client(name), 'control.sock'), route, body, 120_000);
  }

  node<T>(index: number, route: string, body?: unknown): Promise<T> {
    return callControl<T>(socketPath(this.paths.node(index), 'control.sock'), route, body);
  }

  /** A reader of layer 1. */
  ledger(): Promise<Ledger> {
    return openLedger(this.network);
  }

  account(index: number): string {
    return readDeviceFacts(this.paths.node(index)).account;
  }

  async down(): Promise<void> {
    await this.processes.stopAll();
    await removeAbandoned();
  }
}

function doorOf(fact: DeviceFacts): string {
  return `/ip4/127.0.0.1/tcp/${fact.ports.reception}/p2p/${fact.peerId}`;
}

/** The first account of anvil's public development mnemonic: no secret, and worthless anywhere else. */
function deployerKey(): Hex {
  const key = mnemonicToAccount(ANVIL_MNEMONIC).getHdKey().privateKey;
  if (key === null) throw new DevnetError('DEVNET_MISSING', 'the development mnemonic gives no key');
  return `0x${toHex(key)}`;
}

function encode(contract: keyof typeof contractAbis, functionName: string, args: readonly unknown[]): Hex {
  return encodeFunctionData({
    abi: contractAbis[contract] as readonly unknown[],
    functionName,
    args,
  } as Parameters<typeof encodeFunctionData>[0]);
}

function clearOld(paths: DevnetPaths): void {
  for (const path of [
    'nodes',
    'clients',
    'ca',
    'results',
    'network.json',
    'genesis.json',
    'layer1.json',
    'layer1-state.json',
    'report.json',
  ]) {
    rmSync(join(paths.dir, path), { recursive: true, force: true });
  }
}

/** Below those that Linux gives out by itself: no connection of anybody takes a port before its node listens there. */
const PORT_MIN = 10_000;
const PORT_MAX = 32_767;
const PORTS_TRIED_MAX = 100;
/** Nodes listen only later. */
const given = new Set<number>();

/** A TCP port that is free now, drawn, because several networks may start at once. */
async function freePort(): Promise<number> {
  for (let tried = 0; tried < PORTS_TRIED_MAX; tried++) {
    const port = randomInt(PORT_MIN, PORT_MAX + 1);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new DevnetError(
    'DEVNET_MISSING',
    `no free port: ${PORTS_TRIED_MAX} tried from ${PORT_MIN} to ${PORT_MAX}`,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
