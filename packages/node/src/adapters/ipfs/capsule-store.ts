import type { UnixFS } from '@helia/unixfs';
import type { Connection } from '@libp2p/interface';
import { CodedError, concatBytes } from '@nemea/core';
import { CID } from 'multiformats/cid';
import {
  BlockStoreError,
  type BlockStoreErrorCode,
  type CapsuleStore,
  type CapsuleStoreOptions,
} from '../../ports/block-store.ts';
import { PublicHost } from '../network/public-host.ts';
import { Slots } from '../network/slots.ts';
import {
  BLOCK_READS_MAX,
  createLightHelia,
  FETCHES_MAX,
  type IntroductionService,
  introduction,
  type LightHelia,
  loadLightHelia,
} from './helia-light.ts';

/** UnixFS, CID version 1, raw leaves of this size: the same bytes have the same CID on every node. */
const LEAF_BYTES = 256 * 1024;
const BITSWAP_STREAMS_MAX = 64;
const DAG_PB = 0x70;
const RAW = 0x55;
const SHA2_256 = 0x12;

/** Loads all that stores need, and opens none. */
export async function loadCapsuleStore(): Promise<void> {
  await Promise.all([loadLightHelia(), import('@helia/unixfs'), import('blockstore-fs')]);
}

/** Opens the store and starts serving its blocks and the given protocols. Helia is loaded only here. */
export async function openCapsuleStore(options: CapsuleStoreOptions): Promise<CapsuleStore> {
  const host = await PublicHost.create<IntroductionService>({
    ...options,
    services: { introduction },
    foreignStreamsMax: BITSWAP_STREAMS_MAX,
  });
  const helia = await createLightHelia(host.libp2p, await openBlocks(options.dir));
  const { unixfs } = await import('@helia/unixfs');
  try {
    await host.start();
  } catch (error) {
    await helia.stop();
    throw error;
  }
  return new BitswapCapsuleStore(host, helia, unixfs(helia));
}

async function openBlocks(dir: string | undefined) {
  if (dir === undefined) return undefined;
  const { FsBlockstore } = await import('blockstore-fs');
  const blocks = new FsBlockstore(dir);
  await blocks.open();
  return blocks;
}

class BitswapCapsuleStore implements CapsuleStore {
  readonly #host: PublicHost<IntroductionService>;
  readonly #helia: LightHelia;
  readonly #files: UnixFS;
  readonly #fetches = new Slots(FETCHES_MAX);

  constructor(host: PublicHost<IntroductionService>, helia: LightHelia, files: UnixFS) {
    this.#host = host;
    this.#helia = helia;
    this.#files = files;
  }

  get peerId(): string {
    return this.#host.peerId;
  }

  get addresses(): readonly string[] {
    return this.#host.addresses;
  }

  async put(bytes: Uint8Array): Promise<string> {
    // The leaves are cut here, so the chunker hands them on as they are.
    const cid = await this.#files.addByteStream(leavesOf(bytes), {
      chunker: passOn,
      rawLeaves: true,
      cidVersion: 1,
    });
    return cid.toString();
  }

  async get(
    cid: string,
    options: { from: string; timeoutMs: number; maxBytes: number },
  ): Promise<Uint8Array> {
    const root = parseCid(cid);
    const fetch = new Fetch(options.timeoutMs);
    try {
      const local = await this.#readLocal(root, options.maxBytes, fetch.signal);
      return local ?? (await this.#readFrom(root, options, fetch));
    } catch (error) {
      const failure = fetch.toFailure(error);
      await this.#forget(fetch.fetched);
      throw failure;
    } finally {
      fetch.end();
    }
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
    const blocks: CID[] = [];
    await this.#collectLocal(parseCid(cid), blocks);
    await this.#forget(blocks);
  }

  async close(): Promise<void> {
    await this.#helia.stop();
    await this.#host.close();
  }

  async #readLocal(root: CID, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    if (!(await this.#helia.blockstore.has(root))) return undefined;
    try {
      return await this.#read(root, maxBytes, { signal, offline: true });
    } catch (error) {
      if (error instanceof Error && error.name === 'BlockNotFoundWhileOfflineError') return undefined;
      throw error;
    }
  }

  async #readFrom(
    root: CID,
    options: { from: string; timeoutMs: number; maxBytes: number },
    fetch: Fetch,
  ): Promise<Uint8Array> {
    await this.#fetches.take();
    try {
      const connection = await this.#host.connect(options.from, options.timeoutMs);
      this.#host.hold(connection);
      try {
        this.#host.libp2p.services.introduction.introduce(connection);
        fetch.endWith(connection);
        const onProgress = fetch.note.bind(fetch);
        return await this.#read(root, options.maxBytes, { signal: fetch.signal, onProgress });
      } finally {
        // Bitswap 4 remembers for each peer what it sent and never sends it again; hanging up makes it forget.
        fetch.leave(connection);
        await this.#host.hangUp(connection);
      }
    } finally {
      this.#fetches.give();
    }
  }

  async #read(root: CID, maxBytes: number, options: Omit<Parameters<UnixFS['cat']>[1] & object, 'length'>) {
    const parts: Uint8Array[] = [];
    let length = 0;
    // One byte more than allowed tells that there is more, without fetching it.
    const readOptions = { ...options, length: maxBytes + 1, blockReadConcurrency: BLOCK_READS_MAX };
    for await (const part of this.#files.cat(root, readOptions)) {
      length += part.length;
      if (length > maxBytes) {
        throw new BlockStoreError('CAPSULE_TOO_LARGE', `capsule has more than ${maxBytes} bytes`);
      }
      parts.push(part);
    }
    return concatBytes(...parts);
  }

  /** The local blocks of a capsule, as far down as they are here. */
  async #collectLocal(cid: CID, blocks: CID[]): Promise<void> {
    if (!(await this.#helia.blockstore.has(cid))) return;
    blocks.push(cid);
    if (cid.code !== DAG_PB) return;
    const codec = await this.#helia.getCodec(DAG_PB);
    const node: { readonly Links: readonly { readonly Hash: CID }[] } = codec.decode(await this.#block(cid));
    for (const link of node.Links) await this.#collectLocal(link.Hash, blocks);
  }

  async #block(cid: CID): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const part of this.#helia.blockstore.get(cid, { offline: true })) parts.push(part);
    return concatBytes(...parts);
  }

  async #forget(blocks: readonly CID[]): Promise<void> {
    for (const block of blocks) {
      if (await this.#helia.blockstore.has(block)) await this.#helia.blockstore.delete(block);
    }
  }
}

/** One fetch under way: when it has to end, why it ended, and what it has brought so far. */
class Fetch {
  readonly fetched: CID[] = [];
  readonly #timeoutMs: number;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #onHungUp = (): void => this.#abort('CAPSULE_UNREACHABLE', 'holder hung up');
  #ended: BlockStoreError | undefined;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#timer = setTimeout(() => {
      this.#abort('CAPSULE_TIMED_OUT', `capsule not here within ${this.#timeoutMs} ms`);
    }, timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  endWith(connection: Connection): void {
    connection.addEventListener('close', this.#onHungUp);
    if (connection.status !== 'open') this.#onHungUp();
  }

  leave(connection: Connection): void {
    connection.removeEventListener('close', this.#onHungUp);
  }

  note(event: { type: string; detail?: unknown }): void {
    const cid = event.type === 'blocks:get:blockstore:put' ? CID.asCID(event.detail) : null;
    if (cid) this.fetched.push(cid);
  }

  end(): void {
    clearTimeout(this.#timer);
    // Whatever is still being read behind a refused capsule stops here.
    this.#controller.abort();
  }

  toFailure(error: unknown): CodedError<string> {
    if (this.#ended) return this.#ended;
    this.end();
    if (error instanceof BlockStoreError) return error;
    if (error instanceof CodedError && error.code === 'CONNECTION_FAILED') {
      return new BlockStoreError('CAPSULE_UNREACHABLE', 'holder cannot be reached', { cause: error });
    }
    if (error instanceof CodedError) return error;
    return new BlockStoreError('CAPSULE_MALFORMED', 'blocks do not form a file', { cause: error });
  }

  #abort(code: BlockStoreErrorCode, message: string): void {
    this.#ended ??= new BlockStoreError(code, message);
    this.#controller.abort();
  }
}

function* leavesOf(bytes: Uint8Array): Generator<Uint8Array> {
  let offset = 0;
  // An empty capsule is one empty leaf.
  do {
    yield bytes.subarray(offset, offset + LEAF_BYTES);
    offset += LEAF_BYTES;
  } while (offset < bytes.length);
}

async function* passOn(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* source;
}

function parseCid(text: string): CID {
  let cid: CID;
  try {
    cid = CID.parse(text);
  } catch (cause) {
    throw new BlockStoreError('CID_INVALID', 'not a content identifier', { cause });
  }
  const known =
    cid.version === 1 && (cid.code === DAG_PB || cid.code === RAW) && cid.multihash.code === SHA2_256;
  if (!known || cid.toString() !== text) {
    throw new BlockStoreError('CID_INVALID', 'want version 1, dag-pb or raw, sha2-256, in base32');
  }
  return cid;
}
