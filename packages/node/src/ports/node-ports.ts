import type { Ledger } from '@nemea/sdk';
import type { CapsuleStore } from './block-store.ts';
import type { Clock } from './clock.ts';
import type { Device } from './device.ts';
import type { Journal } from './journal.ts';
import type { Random } from './random.ts';
import type { Sandbox } from './sandbox.ts';
import type {
  Outward,
  OutwardOptions,
  Overlay,
  OverlayOptions,
  Reception,
  ReceptionOptions,
} from './transport.ts';

/** All that a node touches of the world. What it opens here, it closes. */
export interface NodePorts {
  readonly clock: Clock;
  readonly random: Random;
  openDevice(): Promise<Device>;
  /** Layer 1, with the node's account (32-byte key) to sign. */
  openLedger(accountKey: Uint8Array): Promise<Ledger>;
  /** `owner` names the machine state that the journal belongs to; another one's is refused. */
  openJournal(owner: string): Journal;
  openReception(options: ReceptionOptions): Promise<Reception>;
  openOutward(options: OutwardOptions): Promise<Outward>;
  openOverlay(options: OverlayOptions): Promise<Overlay>;
  /** A capsule store under a fresh identity. */
  openStore(privateKey: Uint8Array, networkId: Uint8Array): Promise<CapsuleStore>;
  /** Present on a machine that runs tasks. */
  readonly sandbox?: Sandbox;
}
