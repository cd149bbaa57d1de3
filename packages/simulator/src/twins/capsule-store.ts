import { createEd25519Signer } from '@nemea/consensus/ed25519';
import { assert, CodedError, errorCode, fromUtf8, sha256, toUtf8 } from '@nemea/core';
import { peerIdOf } from '@nemea/node/peers';
import { BlockStoreError, type CapsuleStore, type CapsuleStoreOptions } from '@nemea/node/ports';
import { CID } from 'multiformats/cid';
import { create as createMultihash } from 'multiformats/hashes/digest';
import type { Kernel } from '../kernel/kernel.ts';
import { type PublicHostPlace, PublicHostTwin } from './public-host.ts';

/** The protocol that blocks are exchanged by; here a request names one, and the answer is its bytes. */
const BITSWAP = '/ipfs/bitswap/1.2.0';
const LEAF_BYTES = 256 * 1024;
const RAW = 0x55;
const SHA2_256 = 0x12;

export interface CapsuleStorePlace extends Omit<PublicHostPlace, 'peer'> {
  readonly kernel: Kernel;
  /** What the store's disk holds; absent: it forgets everything when it closes. */
  readonly blocks?: Map<string, Uint8Array>;
}

class BlockMissing extends CodedError<'BLOCK_MISSING'> {}

/** Content-addressed storage on a simulated host. It keeps capsules of one leaf, which is as large as they are here. */
export class CapsuleStoreTwin implements CapsuleStore {
  readonly #host: PublicHostTwin;
  readonly #place: CapsuleStorePlace;
  readonly #blocks: Map<string, Uint8Array>;

  constructor(options: CapsuleStoreOptions, place: CapsuleStorePlace) {
    const peer = peerIdOf(createEd25519Signer(options.privateKey).publicKey);
    this.#place = place;
    this.#blocks = place.blocks ?? new Map();
    const blockExchange = {
      maxMessageBytes: LEAF_BYTES,
      maxInFlight: 16,
      handle: async (_peer: string, cid: Uint8Array) => {
        const block = this.#blocks.get(toUtf8(cid));
        if (block === undefined) throw new BlockMissing('BLOCK_MISSING', 'no such block is here');
        return block;
      },
    };
    const protocols = { ...options.protocols, [BITSWAP]: blockExchange };
    this.#host = new PublicHostTwin({ ...options, protocols }, { ...place, peer });
  }

  get peerId(): string {
    return this.#host.peerId;
  }

  get addresses(): readonly string[] {
    return this.#host.addresses;
  }

  async put(bytes: Uint8Array): Promise<string> {
    const cid = cidOf(bytes);
    this.#blocks.set(cid, bytes.slice());
    return cid;
  }

  async get(
    cid: string,
    { from, timeoutMs, maxBytes }: { from: string; timeoutMs: number; maxBytes: number },
  ): Promise<Uint8Array> {
    checkCid(cid);
    const bytes = this.#blocks.get(cid) ?? (await this.#fetch(cid, from, timeoutMs));
    if (bytes.length > maxBytes)
      throw new BlockStoreError('CAPSULE_TOO_LARGE', `capsule has more than ${maxBytes} bytes`);
    this.#blocks.set(cid, bytes);
    return bytes.slice();
  }

  request(
    address: string,
    protocol: string,
    message: Uint8Array,
    options: { timeoutMs: number },
  ): Promise<Uint8Array> {
    return this.#host.request(address, protocol, message, options);
  }

  async delete(cid: string): Promise<void> {
    checkCid(cid);
    this.#blocks.delete(cid);
  }

  close(): Promise<void> {
    return this.#host.close();
  }

  async #fetch(cid: string, from: string, timeoutMs: number): Promise<Uint8Array> {
    const { kernel, life } = this.#place;
    const deadlineMs = kernel.nowMs + timeoutMs;
    try {
      const bytes = await this.#host.request(from, BITSWAP, fromUtf8(cid), { timeoutMs });
      if (cidOf(bytes) === cid) return bytes;
      throw new BlockStoreError('CAPSULE_MALFORMED', 'the block has another name');
    } catch (error) {
      switch (errorCode(error)) {
        case 'CONNECTION_FAILED':
          throw new BlockStoreError('CAPSULE_UNREACHABLE', 'holder cannot be reached', { cause: error });
        // Bitswap says nothing of what it does not have: who wants it waits.
        case 'BLOCK_MISSING':
          await life.during(kernel.sleep(deadlineMs - kernel.nowMs));
          break;
        case 'REQUEST_TIMED_OUT':
          break;
        default:
          throw error;
      }
      throw new BlockStoreError('CAPSULE_TIMED_OUT', `capsule not here within ${timeoutMs} ms`);
    }
  }
}

function cidOf(bytes: Uint8Array): string {
  assert(bytes.length <= LEAF_BYTES, `a simulated capsule has one leaf: got ${bytes.length} bytes`);
  return cidOfDigest(sha256(bytes));
}

/** The name of a capsule of one leaf, by the SHA-256 of its bytes. */
export function cidOfDigest(digest: Uint8Array): string {
  return CID.createV1(RAW, createMultihash(SHA2_256, digest)).toString();
}

function checkCid(text: string): void {
  try {
    const cid = CID.parse(text);
    if (cid.version === 1 && cid.code === RAW && cid.multihash.code === SHA2_256 && cid.toString() === text)
      return;
  } catch (cause) {
    throw new BlockStoreError('CID_INVALID', 'not a content identifier', { cause });
  }
  throw new BlockStoreError('CID_INVALID', 'want version 1, raw, sha2-256, in base32');
}
