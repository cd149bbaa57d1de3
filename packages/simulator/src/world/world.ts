import { createEd25519Verifier } from '@nemea/consensus/ed25519';
import { fromUtf8, sha256, toHex } from '@nemea/core';
import type { Vote } from '@nemea/membership';
import { recordOf } from '@nemea/node/admission';
import type { OwnerPorts } from '@nemea/node/owner';
import type { NodePorts } from '@nemea/node/ports';
import { type Network, type PolicyKind, voteTypedData } from '@nemea/sdk';
import { privateKeyToAccount } from 'viem/accounts';
import { Kernel } from '../kernel/kernel.ts';
import { OrderBook } from '../tasks/order-book.ts';
import { codeOf, PROGRAM_NAMES } from '../tasks/programs.ts';
import { rootOf } from '../twins/certificate.ts';
import { type Machine, machineOf } from '../twins/device.ts';
import { SimulatedDisk } from '../twins/journal.ts';
import { Chain } from '../twins/layer-one/chain.ts';
import type { Rpc } from '../twins/ledger.ts';
import { SimulatedNetwork, type Weather } from '../twins/network.ts';
import type { OverlayTwin } from '../twins/overlay.ts';
import type { PublicHostTwin } from '../twins/public-host.ts';
import type { SandboxCondition } from '../twins/sandbox.ts';
import { MAKER, SimulatedTpm } from '../twins/tpm.ts';
import { AUTHOR } from './author.ts';
import { Host, type HostChecks, type Surroundings } from './host.ts';
import { type LogLine, simulatedLogger } from './logger.ts';
import { type OwnerChecks, OwnerHost } from './owner-host.ts';

const BLOCK_MS = 1_000;
const START_S = Date.UTC(2026, 5, 1) / 1_000;
export const DEPOSIT = 1_000n;
const FIRST_PORT = 10_000;
export const GOVERNOR = `0x${'60'.repeat(20)}`;
const FIRST_OWNER_PORT = 30_000;
const OWNERS = 2;
export const FIRST_RELEASE = { digest: sha256(fromUtf8('the release under test')), name: 'nemea under test' };

/** What machines run tasks in. */
export const IMAGE = { file: 'worker.erofs', digest: sha256(fromUtf8('the worker image')), name: 'worker' };
/** A machine that is as it should be. */
export const GOOD_MACHINE: SandboxCondition = { slowness: 1, isLittering: false, isBreaking: false };

export interface WorldOptions {
  readonly seed: string;
  readonly nodes: number;
  /** Machines that are not among the founders: they apply for membership when they are turned on. */
  readonly strangers?: number;
  readonly epochMs: number;
}

/** A whole network in one process: layer 1, the wires, and machines with production nodes on them. */
export class World {
  readonly kernel: Kernel;
  readonly chain: Chain;
  /** The founders, then the strangers. */
  readonly hosts: readonly Host[];
  readonly founders: readonly Host[];
  readonly overlays: SimulatedNetwork<OverlayTwin>;
  readonly doors: SimulatedNetwork<PublicHostTwin>;
  readonly checks: Partial<HostChecks>[] = [];
  readonly owners: readonly OwnerHost[];
  readonly ownerChecks: OwnerChecks[] = [];
  readonly orders: OrderBook;
  /** Second copies of members that run twice. */
  readonly copies: Host[] = [];
  /** Told of every line that a node logs. */
  onLog: (line: LogLine) => void = () => undefined;
  readonly #surroundings: Surroundings;
  /** Whom one copy of a doubled member can talk to, by its name. */
  readonly #sides = new Map<string, ReadonlySet<string>>();
  /** What faults put in place of the usual; each starts as a machine room on a good day. */
  readonly conditions: {
    weather: Weather;
    rpc: (name: string) => Rpc;
    route: (hosts: readonly OverlayTwin[], from: string) => OverlayTwin | undefined;
    disguise: (host: Host, ports: NodePorts) => NodePorts;
    disguiseOwner: (name: string, ports: OwnerPorts) => OwnerPorts;
    sandbox: (name: string) => SandboxCondition;
  };

  constructor(options: WorldOptions) {
    const kernel = new Kernel(options.seed);
    this.kernel = kernel;
    this.conditions = {
      weather: fairWeather(kernel),
      rpc: () => () => 5,
      route: (hosts, from) => hosts.find((host) => !this.#areApart(host.name, from)),
      disguise: (_host, ports) => ports,
      disguiseOwner: (_name, ports) => ports,
      sandbox: () => GOOD_MACHINE,
    };
    const weather: Weather = {
      fate: (from, to, passing) =>
        this.#areApart(from, to) ? [] : this.conditions.weather.fate(from, to, passing),
      isReordering: (from, to) => this.conditions.weather.isReordering(from, to),
    };
    this.overlays = new SimulatedNetwork(kernel, weather);
    this.doors = new SimulatedNetwork(kernel, weather);
    const machines = Array.from({ length: options.nodes + (options.strangers ?? 0) }, (_, index) =>
      machineOf(`n${index}`, FIRST_PORT + 10 * index),
    );
    const accounts = machines.map(({ account }) => account);
    const ownerNames = Array.from({ length: OWNERS }, (_, index) => `o${index}`);
    const payers = [...accounts, AUTHOR, ...ownerNames.map((name) => machineOf(name, 0).account)];
    this.chain = new Chain({
      network: networkOf(options.epochMs),
      genesis: accounts.slice(0, options.nodes),
      governor: GOVERNOR,
      depositMin: DEPOSIT,
      balances: new Map(payers.map((account) => [account, 10n * DEPOSIT])),
      startS: START_S,
      seed: options.seed,
    });
    this.#surroundings = this.#surround();
    this.orders = new OrderBook(kernel, IMAGE);
    const checks: OwnerChecks = {
      onKey: (fileKey) => {
        for (const check of this.ownerChecks) check.onKey(fileKey);
      },
    };
    this.owners = ownerNames.map(
      (name, index) => new OwnerHost(this.#surroundings, name, { port: FIRST_OWNER_PORT + index, checks }),
    );
    this.hosts = machines.map(
      (machine) =>
        new Host(this.#surroundings, {
          name: machine.name,
          machine,
          tpm: new SimulatedTpm(kernel, machine.name),
          disk: new SimulatedDisk(),
        }),
    );
    this.founders = this.hosts.slice(0, options.nodes);
  }

  /** Founds the network on layer 1, and turns on the machines of its founders. */
  async start(): Promise<void> {
    await this.#found();
    this.kernel.every(BLOCK_MS, () => this.#mine());
    for (const host of this.founders) host.start();
    for (const owner of this.owners) owner.start();
  }

  #mine(): void {
    const block = this.chain.mine(START_S + Math.floor(this.kernel.nowMs / 1_000));
    const events = block.events.map(({ type }) => type).join(' ');
    this.kernel.note(
      'layer-1',
      `block ${block.header.number} ${toHex(block.header.hash).slice(0, 8)} ${events}`,
    );
  }

  async #found(): Promise<void> {
    const { chain } = this;
    const approve = (policy: PolicyKind, digest: Uint8Array) =>
      chain.send(GOVERNOR, { kind: 'policy', policy, digest, approved: true });
    approve('release', FIRST_RELEASE.digest);
    approve('ek-root', sha256(rootOf(MAKER)));
    approve('image', IMAGE.digest);
    for (const name of PROGRAM_NAMES) approve('code', sha256(codeOf(name)));
    const votes: Vote[] = this.founders.map(({ machine, tpm }) => ({
      type: 'Admission',
      record: genesisRecord(machine, tpm),
      epoch: 0,
    }));
    for (const { account } of this.hosts) chain.send(account, { kind: 'deposit', account, amount: DEPOSIT });
    for (const vote of votes) {
      const signatures = await Promise.all(
        this.founders.map(({ machine }) => signVote(chain, machine, vote)),
      );
      chain.send(GOVERNOR, {
        kind: 'vote',
        vote,
        signatures: signatures.sort(bySigner).map(([, text]) => text),
      });
    }
    this.#mine();
  }

  /**
   * A member that runs twice, with the same keys and two journals: each copy follows the rules towards its side, and
   * together they say whatever an equivocating member could (Bano et al., Twins).
   */
  double(host: Host, side: ReadonlySet<string>): Host {
    const { machine } = host;
    const copy = new Host(this.#surroundings, {
      name: `${host.name}'`,
      machine,
      tpm: new SimulatedTpm(this.kernel, machine.name),
      disk: new SimulatedDisk(),
    });
    const others = this.hosts.map(({ name }) => name).filter((name) => name !== host.name);
    this.#sides.set(host.name, new Set(others.filter((name) => !side.has(name))));
    this.#sides.set(copy.name, new Set(others.filter((name) => side.has(name))));
    this.copies.push(copy);
    return copy;
  }

  #areApart(a: string, b: string): boolean {
    return this.#sides.get(a)?.has(b) === false || this.#sides.get(b)?.has(a) === false;
  }

  #surround(): Surroundings {
    const { kernel, chain, overlays, doors, checks, conditions } = this;
    return {
      kernel,
      chain,
      overlays,
      doors,
      release: FIRST_RELEASE,
      verifySignature: rememberedVerifier(),
      logger: (name) => simulatedLogger(kernel, name, (line) => this.onLog(line)),
      rpc: (name) => () => conditions.rpc(name)(),
      route: (hosts, from) => conditions.route(hosts, from),
      image: IMAGE,
      sandboxCondition: (name) => conditions.sandbox(name),
      disguise: (host, ports) => conditions.disguise(host, ports),
      disguiseOwner: (name, ports) => conditions.disguiseOwner(name, ports),
      checks: {
        onAppend: (...happened) => {
          for (const check of checks) check.onAppend?.(...happened);
        },
        onUp: (host) => {
          for (const check of checks) check.onUp?.(host);
        },
        onRun: (...happened) => {
          for (const check of checks) check.onRun?.(...happened);
        },
      },
    };
  }
}

/** A machine room: a few milliseconds, nothing lost. */
function fairWeather(kernel: Kernel): Weather {
  const random = kernel.random.fork('fair weather');
  return { fate: () => [random.integer(1, 5)], isReordering: () => false };
}

function genesisRecord(machine: Machine, tpm: SimulatedTpm) {
  const { identity } = tpm.open();
  return recordOf({ ...machine, identity }, { level: 1 });
}

async function signVote(chain: Chain, machine: Machine, vote: Vote): Promise<[string, string]> {
  const signer = privateKeyToAccount(`0x${toHex(machine.accountKey)}`);
  return [machine.account, await signer.signTypedData(voteTypedData(chain.state.network, vote))];
}

function bySigner([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

/** Every replica checks the same signatures: the arithmetic is done once for all of them. */
function rememberedVerifier(): (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean {
  const verify = createEd25519Verifier();
  const known = new Map<string, boolean>();
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  return (publicKey, message, signature) => {
    const key = text(signature) + text(publicKey) + text(sha256(message));
    const before = known.get(key);
    if (before !== undefined) return before;
    const isValid = verify(publicKey, message, signature);
    if (known.size >= 65_536) known.delete(known.keys().next().value as string);
    known.set(key, isValid);
    return isValid;
  };
}

function networkOf(epochMs: number): Network {
  const contract = (digit: number): string => `0x${digit.toString(16).repeat(40)}`;
  return {
    name: 'simulated',
    rpcUrl: 'http://127.0.0.1:1',
    chainId: 31_337,
    startBlock: 0,
    epochMs,
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
}
