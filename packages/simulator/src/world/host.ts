import { errorCode } from '@nemea/core';
import { type Node, startNode, type WorkerImage } from '@nemea/node/node';
import type { OwnerPorts } from '@nemea/node/owner';
import { peerIdOf } from '@nemea/node/peers';
import type { Device, NodePorts, SandboxOutcome, SandboxRun } from '@nemea/node/ports';
import type { Logger } from 'pino';
import { type ClockError, simulatedClock } from '../kernel/clock.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { SeededRandom } from '../kernel/random.ts';
import { programOf } from '../tasks/programs.ts';
import { CapsuleStoreTwin } from '../twins/capsule-store.ts';
import { type Machine, openSimulatedDevice, type Release } from '../twins/device.ts';
import type { SimulatedDisk } from '../twins/journal.ts';
import type { Chain } from '../twins/layer-one/chain.ts';
import { openLedgerTwin, type Rpc } from '../twins/ledger.ts';
import { Life } from '../twins/life.ts';
import type { SimulatedNetwork } from '../twins/network.ts';
import { OverlayTwin } from '../twins/overlay.ts';
import { PublicHostTwin } from '../twins/public-host.ts';
import { type SandboxCondition, SandboxTwin } from '../twins/sandbox.ts';
import type { SimulatedTpm } from '../twins/tpm.ts';

/** Until a supervisor starts a node again that ended by itself. */
const RESTART_MS = 3_000;

/** What a host stands in: shared by all of one world. */
export interface Surroundings {
  readonly kernel: Kernel;
  readonly chain: Chain;
  readonly overlays: SimulatedNetwork<OverlayTwin>;
  readonly doors: SimulatedNetwork<PublicHostTwin>;
  readonly release: Release;
  readonly verifySignature: Device['verifySignature'];
  logger(name: string): Logger;
  rpc(name: string): Rpc;
  route(hosts: readonly OverlayTwin[], from: string): OverlayTwin | undefined;
  /** The worker image that every machine offers to run tasks in. */
  readonly image: WorkerImage;
  sandboxCondition(name: string): SandboxCondition;
  /** Changes what a node stands on; for members that misbehave. */
  disguise(host: Host, ports: NodePorts): NodePorts;
  /** The same for the device of an owner, by its name. */
  disguiseOwner(name: string, ports: OwnerPorts): OwnerPorts;
  readonly checks: HostChecks;
}

/** What happens on a host; for checkers. */
export interface HostChecks {
  onAppend(host: Host, kind: string, records: readonly Uint8Array[]): void;
  onUp(host: Host): void;
  onRun(host: Host, run: SandboxRun, outcome: SandboxOutcome): void;
}

/** A machine with its parts, and the supervisor that keeps a node running on it. */
export class Host {
  readonly name: string;
  readonly machine: Machine;
  readonly tpm: SimulatedTpm;
  readonly disk: SimulatedDisk;
  readonly clockError: ClockError = { skewMs: 0, drift: 0 };
  /** Lives of its process so far. */
  lives = 0;
  /** Whom it names as its owner when it applies; itself, if nobody. */
  owner: string | undefined;
  /** Why its process ended by itself, when it last did. */
  lastWords = '';
  node: Node | undefined;
  /** What it runs from its next start on. */
  release: Release;
  /** Once its operator has given up membership nobody turns it on again. */
  isLeaving = false;
  readonly #world: Surroundings;
  readonly #random: SeededRandom;
  #life: Life | undefined;

  constructor(
    world: Surroundings,
    parts: { name: string; machine: Machine; tpm: SimulatedTpm; disk: SimulatedDisk },
  ) {
    this.name = parts.name;
    this.machine = parts.machine;
    this.tpm = parts.tpm;
    this.disk = parts.disk;
    this.release = world.release;
    this.#world = world;
    this.#random = world.kernel.random.fork(`host ${parts.name}`);
  }

  get account(): string {
    return this.machine.account;
  }

  get isOn(): boolean {
    return this.#life?.isOn ?? false;
  }

  /** Power on: the supervisor starts the node, and starts it again whenever it ends by itself. */
  start(): void {
    if (this.isOn || this.isLeaving) return;
    const { kernel, checks, image } = this.#world;
    const life = new Life();
    this.#life = life;
    // Its software TPM is a process of its own that starts with it, as a machine's TPM starts with the machine.
    if (this.lives > 0) this.tpm.reset();
    this.lives++;
    kernel.note(this.name, `starts, life ${this.lives}`);
    const random = this.#random.fork(`life ${this.lives}`);
    const ports = this.#world.disguise(this, this.#ports(life, random));
    const end = (why: string): void => {
      // A node that could not start has closed its device, and so ended its life; a crash has taken it away.
      if (this.#life !== life) return;
      this.lastWords = why;
      kernel.note(this.name, `ends: ${why}`);
      this.crash();
      kernel.after(RESTART_MS, () => this.start());
    };
    const { owner } = this;
    const logger = this.#world.logger(this.name);
    startNode(ports, { logger, image, ...(owner === undefined ? {} : { owner }) }).then(
      (node) => {
        if (!life.isOn) return;
        kernel.note(this.name, 'is up');
        this.node = node;
        checks.onUp(this);
        void node.lost.then((error) => end(error.code));
      },
      (error: unknown) => end(`${errorCode(error)} ${error instanceof Error ? error.message : ''}`),
    );
  }

  /** Power off, in the middle of whatever it does. */
  crash(): void {
    this.#life?.end();
    this.#life = undefined;
    this.node = undefined;
  }

  #ports(life: Life, random: SeededRandom): NodePorts {
    const { kernel, chain, overlays, doors, image, verifySignature, route } = this.#world;
    const { machine, name, tpm, release } = this;
    const peer = peerIdOf(machine.peerKey);
    const rpc = this.#world.rpc(name);
    return {
      clock: simulatedClock(kernel, this.clockError, () => life.isOn),
      random: (byteLength) => random.bytes(byteLength),
      openDevice: () => openSimulatedDevice({ machine, tpm, release, life, verifySignature }),
      openLedger: async (accountKey) => openLedgerTwin({ kernel, chain, accountKey, life, rpc }),
      openJournal: (owner) =>
        this.disk.open(owner, life, {
          onAppend: (kind, records) => this.#world.checks.onAppend(this, kind, records),
          onTorn: () => {
            kernel.note(name, 'loses power while it writes');
            this.crash();
            kernel.after(RESTART_MS, () => this.start());
          },
        }),
      openReception: async (options) => new PublicHostTwin(options, { name, peer, life, network: doors }),
      openOutward: async ({ networkId }) =>
        new PublicHostTwin({ networkId, protocols: {} }, { name, peer, life, network: doors }),
      openOverlay: async (options) =>
        new OverlayTwin(options, {
          name,
          peer,
          life,
          network: overlays,
          random: random.fork('overlay'),
          route,
        }),
      openStore: async (privateKey, networkId) =>
        new CapsuleStoreTwin(
          { privateKey, networkId, listen: machine.store, protocols: {} },
          { name, life, network: doors, kernel },
        ),
      sandbox: new SandboxTwin({
        kernel,
        life,
        images: new Map([[image.file, image.digest]]),
        programOf,
        condition: () => this.#world.sandboxCondition(name),
        onRun: (run, outcome) => this.#world.checks.onRun(this, run, outcome),
      }),
    };
  }
}
