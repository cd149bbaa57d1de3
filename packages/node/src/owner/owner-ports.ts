import type { CodedError } from '@nemea/core';
import type { Ledger } from '@nemea/sdk';
import type { CapsuleStore, CapsuleStoreOptions } from '../ports/block-store.ts';
import type { Clock } from '../ports/clock.ts';
import type { Folder } from '../ports/folder.ts';
import type { Random } from '../ports/random.ts';

/** An owner's machine outside the trusted network. */
export interface OwnerDevice {
  readonly account: string;
  readonly peerId: string;
  readonly keys: {
    readonly peerSeed: Uint8Array;
    readonly accountKey: Uint8Array;
    /** X25519: results of tasks are sealed to it. */
    readonly receiverKey: Uint8Array;
  };
  /** Where its key agent and its store listen: a multiaddr. */
  readonly listen: string;
  readonly tpm: {
    seal(secret: Uint8Array): Promise<Uint8Array>;
    unseal(wrapped: Uint8Array): Promise<Uint8Array>;
  };
  /** Settles when the TPM is gone; see `Device.lost`. */
  readonly lost: Promise<CodedError>;
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  close(): Promise<void>;
}

/** All that an owner's device touches of the world. What it opens here, it closes. */
export interface OwnerPorts {
  readonly clock: Clock;
  readonly random: Random;
  openDevice(): Promise<OwnerDevice>;
  /** Layer 1, with the owner's account (32-byte key) to sign. */
  openLedger(accountKey: Uint8Array): Promise<Ledger>;
  /** A capsule store with this identity, whose blocks outlive the process. */
  openStore(options: Omit<CapsuleStoreOptions, 'dir'>): Promise<CapsuleStore>;
  /** `capsules`: wrapped keys. `results`: sealed results, and certificates about them. */
  openFolder(name: 'capsules' | 'results'): Folder;
  /** Reads a file of the owner's own: data to seal, or code. Throws `PayloadError`. */
  readPayload(file: string): Uint8Array;
}
