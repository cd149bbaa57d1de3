import { CodedError } from '@nemea/core';
import type { Protocol, PublicHostLimits } from './transport.ts';

export interface CapsuleStoreOptions {
  /** Where blocks live; absent: in memory. */
  readonly dir?: string;
  /** 32-byte Ed25519 seed. */
  readonly privateKey: Uint8Array;
  readonly listen: string;
  /** Absent: peers of any network may connect. */
  readonly networkId?: Uint8Array;
  /** Served beside block exchange, such as a key agent's. */
  readonly protocols: Readonly<Record<string, Protocol>>;
  readonly limits?: Partial<PublicHostLimits>;
}

/** Content-addressed storage of sealed capsules, exchanged by bitswap. Everything stored is public. */
export interface CapsuleStore {
  readonly peerId: string;
  readonly addresses: readonly string[];
  /** Stores the bytes and returns their CID, version 1: the same bytes always give the same CID. */
  put(bytes: Uint8Array): Promise<string>;
  /** Local blocks first, the rest from `from` (multiaddr with `/p2p/`). A failed fetch leaves no block behind. */
  get(cid: string, options: { from: string; timeoutMs: number; maxBytes: number }): Promise<Uint8Array>;
  /** As `Outward.request`, from this store's identity. */
  request(
    address: string,
    protocol: string,
    message: Uint8Array,
    options: { timeoutMs: number },
  ): Promise<Uint8Array>;
  /** Removes every local block of the capsule. */
  delete(cid: string): Promise<void>;
  close(): Promise<void>;
}

export type BlockStoreErrorCode =
  | 'CAPSULE_MALFORMED'
  | 'CAPSULE_TIMED_OUT'
  | 'CAPSULE_TOO_LARGE'
  | 'CAPSULE_UNREACHABLE'
  | 'CID_INVALID';

export class BlockStoreError extends CodedError<BlockStoreErrorCode> {}
