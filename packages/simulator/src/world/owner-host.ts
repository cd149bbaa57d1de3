import { createEd25519Signer } from '@nemea/consensus/ed25519';
import { type CodedError, errorCode, fromUtf8, sha256 } from '@nemea/core';
import { Owner, type OwnerDevice, type OwnerPorts } from '@nemea/node/owner';
import { peerIdOf } from '@nemea/node/peers';
import { addressOf } from '@nemea/sdk';
import { simulatedClock } from '../kernel/clock.ts';
import type { SeededRandom } from '../kernel/random.ts';
import { CapsuleStoreTwin } from '../twins/capsule-store.ts';
import { openFolderTwin } from '../twins/folder.ts';
import { openLedgerTwin } from '../twins/ledger.ts';
import { Life } from '../twins/life.ts';
import type { Surroundings } from './host.ts';

const RESTART_MS = 3_000;
const TPM_MS = 5;
const NO_CLOCK_ERROR = { skewMs: 0, drift: 0 };

/** What happens on an owner's machine; for checkers. */
export interface OwnerChecks {
  /** A key of a capsule is wrapped: whoever else sees it can open the capsule. */
  onKey(fileKey: Uint8Array): void;
}

/** An owner's machine outside the trusted network, and the supervisor that keeps the production device running on it. */
export class OwnerHost {
  readonly name: string;
  readonly account: string;
  /** What lies on its disk in the clear: data of its own, and code. */
  readonly files = new Map<string, Uint8Array>();
  owner: Owner | undefined;
  readonly #world: Surroundings;
  readonly #checks: OwnerChecks;
  readonly #listen: string;
  readonly #keys: OwnerDevice['keys'];
  readonly #random: SeededRandom;
  readonly #blocks = new Map<string, Uint8Array>();
  readonly #folders = { capsules: new Map<string, Uint8Array>(), results: new Map<string, Uint8Array>() };
  #lives = 0;
  #life: Life | undefined;

  constructor(world: Surroundings, name: string, { port, checks }: { port: number; checks: OwnerChecks }) {
    const secret = (purpose: string): Uint8Array => sha256(fromUtf8(`${purpose} ${name}`));
    this.name = name;
    this.#world = world;
    this.#checks = checks;
    this.#listen = `/ip4/127.0.0.1/tcp/${port}`;
    this.#keys = {
      peerSeed: secret('peer'),
      accountKey: secret('account'),
      receiverKey: secret('receiver'),
    };
    this.account = addressOf(this.#keys.accountKey);
    this.#random = world.kernel.random.fork(`owner ${name}`);
  }

  get isOn(): boolean {
    return this.#life?.isOn ?? false;
  }

  /** Power on: the supervisor starts the device, and starts it again when it could not start. */
  start(): void {
    if (this.isOn) return;
    const { kernel, disguiseOwner, logger } = this.#world;
    const life = new Life();
    this.#life = life;
    this.#lives++;
    kernel.note(this.name, `starts, life ${this.#lives}`);
    const ports = disguiseOwner(this.name, this.#ports(life, this.#random.fork(`life ${this.#lives}`)));
    Owner.start(ports, { logger: logger(this.name) }).then(
      (owner) => {
        if (life.isOn) this.owner = owner;
      },
      (error: unknown) => {
        if (this.#life !== life) return;
        kernel.note(this.name, `ends: ${errorCode(error)}`);
        this.crash();
        kernel.after(RESTART_MS, () => this.start());
      },
    );
  }

  /** Power off, in the middle of whatever it does. */
  crash(): void {
    this.#life?.end();
    this.#life = undefined;
    this.owner = undefined;
  }

  #ports(life: Life, random: SeededRandom): OwnerPorts {
    const { kernel, chain, doors, rpc } = this.#world;
    const { name } = this;
    return {
      clock: simulatedClock(kernel, NO_CLOCK_ERROR, () => life.isOn),
      random: (byteLength) => random.bytes(byteLength),
      openDevice: async () => this.#openDevice(life),
      openLedger: async (accountKey) => openLedgerTwin({ kernel, chain, accountKey, life, rpc: rpc(name) }),
      openStore: async (options) =>
        new CapsuleStoreTwin(options, { name, life, network: doors, kernel, blocks: this.#blocks }),
      openFolder: (folder) => openFolderTwin(this.#folders[folder]),
      readPayload: (file) => (this.files.get(file) ?? new Uint8Array(0)).slice(),
    };
  }

  #openDevice(life: Life): OwnerDevice {
    const { kernel, verifySignature } = this.#world;
    const pad = sha256(fromUtf8(`storage root key ${this.name}`));
    const wrap = async (bytes: Uint8Array): Promise<Uint8Array> => {
      const wrapped = bytes.map((byte, at) => byte ^ (pad[at % pad.length] ?? 0));
      await life.during(kernel.sleep(TPM_MS));
      return wrapped;
    };
    return {
      account: this.account,
      peerId: peerIdOf(createEd25519Signer(this.#keys.peerSeed).publicKey),
      keys: this.#keys,
      listen: this.#listen,
      tpm: {
        seal: (secret) => {
          this.#checks.onKey(secret.slice());
          return wrap(secret);
        },
        unseal: wrap,
      },
      lost: new Promise<CodedError>(() => undefined),
      verifySignature,
      close: async () => life.end(),
    };
  }
}
