import { join } from 'node:path';
import { type Network, openLedger } from '@nemea/sdk';
import type { Logger } from 'pino';
import { systemClock } from './adapters/clock/system-clock.ts';
import { systemRandom } from './adapters/clock/system-random.ts';
import { openDevice } from './adapters/device/device.ts';
import { openOutward } from './adapters/network/outward.ts';
import { openOverlay } from './adapters/network/overlay.ts';
import { openReception } from './adapters/network/reception.ts';
import { openDiskFolder } from './adapters/storage/disk-folder.ts';
import { readPayload } from './adapters/storage/payload.ts';
import { openSqliteJournal } from './adapters/storage/sqlite-journal.ts';
import type { OwnerPorts } from './owner/owner-ports.ts';
import { loggingBugs } from './peers/handlers.ts';
import type { CapsuleStore, CapsuleStoreOptions } from './ports/block-store.ts';
import type { NodePorts } from './ports/node-ports.ts';

export interface ProductionOptions extends Pick<NodePorts, 'openStore' | 'sandbox'> {
  /** The device's folder, as `initDevice` made it. */
  readonly dir: string;
  readonly network: Network;
  readonly logger: Logger;
  /** How the device is opened, where not by its own TPM alone. */
  readonly openDevice?: NodePorts['openDevice'];
}

/** A node's ports on the real world: this machine's clock, its TPM, disk and network, and the layer 1 of the network file. */
export function productionPorts(options: ProductionOptions): NodePorts {
  const { dir, network, logger, openStore, sandbox } = options;
  return {
    clock: systemClock,
    random: systemRandom,
    openDevice: options.openDevice ?? (() => openDevice(dir)),
    openLedger: (accountKey) => openLedger(network, accountKey),
    openJournal: (owner) => openSqliteJournal(join(dir, 'journal.sqlite'), owner),
    openReception: (wanted) => openReception({ ...wanted, protocols: loggingBugs(wanted.protocols, logger) }),
    openOutward,
    openOverlay: (wanted) => openOverlay({ ...wanted, protocols: loggingBugs(wanted.protocols, logger) }),
    openStore,
    ...(sandbox === undefined ? {} : { sandbox }),
  };
}

export interface OwnerOptions {
  /** The device's folder, as `initDevice` made it. */
  readonly dir: string;
  readonly network: Network;
  readonly logger: Logger;
  openStore(options: CapsuleStoreOptions): Promise<CapsuleStore>;
}

/** The same for an owner's device. */
export function ownerPorts({ dir, network, logger, openStore }: OwnerOptions): OwnerPorts {
  return {
    clock: systemClock,
    random: systemRandom,
    openDevice: async () => {
      const { facts, ...device } = await openDevice(dir);
      return { ...device, listen: `/ip4/127.0.0.1/tcp/${facts.ports.agent ?? 0}` };
    },
    openLedger: (accountKey) => openLedger(network, accountKey),
    openStore: ({ protocols, ...options }) =>
      openStore({ ...options, protocols: loggingBugs(protocols, logger), dir: join(dir, 'blocks') }),
    openFolder: (name) => openDiskFolder(join(dir, name)),
    readPayload,
  };
}
