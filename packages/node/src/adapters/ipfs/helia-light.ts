import type { Connection, Libp2pEvents, TypedEventTarget } from '@libp2p/interface';
import { assert } from '@nemea/core';
import type { Helia, HeliaInit } from 'helia';
import type { Libp2p } from 'libp2p';

export const BITSWAP = '/ipfs/bitswap/1.2.0';
/** Blocks that one fetch reads at once, and fetches at once: together a holder's limit on what one peer wants. */
export const BLOCK_READS_MAX = 4;
export const FETCHES_MAX = 4;
/**
 * What a peer wants is read into memory together, so this bounds what a stranger can make us hold. The package
 * declares the first name and reads the second.
 */
const WANT_LIMITS = {
  maxWantlistSize: BLOCK_READS_MAX * FETCHES_MAX,
  maxWantListSize: BLOCK_READS_MAX * FETCHES_MAX,
};

export type LightHelia = Helia & { libp2p: Libp2p<IntroductionService> };

/**
 * Helia with a block store and bitswap over one given libp2p host. No router, no HTTP gateway, no discovery: a block
 * comes from this machine or from a peer that somebody dialled on purpose.
 */
export async function createLightHelia(
  libp2p: Libp2p<IntroductionService>,
  blockstore: Blockstore | undefined,
): Promise<LightHelia> {
  const [Helia, { withBitswap }] = await loadLightHelia();
  const bare = new Helia({
    name: 'nemea',
    version: '1',
    ...(blockstore === undefined ? {} : { blockstore }),
  });
  const helia: LightHelia = Object.assign(bare, { libp2p });
  withBitswap(helia, WANT_LIMITS);
  await helia.start();
  assert(!helia.hasRouter('libp2p-router'), 'helia has no router');
  return helia;
}

type Blockstore = NonNullable<HeliaInit['blockstore']>;
type HeliaClass = new (init: { name: string; version: string; blockstore?: Blockstore }) => Helia;

/** Loads what a store stands on, where `openCapsuleStore` has not. */
export function loadLightHelia() {
  return Promise.all([loadHeliaClass(), import('@helia/bitswap')]);
}

/**
 * The class behind `createHeliaLight`, which adds nothing to it but a name. The package's own door also loads WebRTC,
 * an HTTP stack, a DHT and UPnP: 1,200 modules and 57 MB of resident memory that nothing here uses, of the 160 MB a
 * node may have. `@helia/libp2p` loads the same, and its `withLibp2pLight` is not needed when the host exists.
 */
async function loadHeliaClass(): Promise<HeliaClass> {
  const file = new URL('./helia.js', import.meta.resolve('helia'));
  const loaded: unknown = await import(file.href);
  assert(typeof loaded === 'object' && loaded !== null && 'Helia' in loaded, 'helia.js exports Helia');
  assert(typeof loaded.Helia === 'function', 'Helia is a class');
  return loaded.Helia as HeliaClass;
}

export type IntroductionService = {
  introduction: { introduce(connection: Connection): void };
};

/**
 * Tells bitswap that a dialled peer speaks bitswap. libp2p usually learns that through identify, which would also
 * tell every peer our addresses, protocols and versions.
 */
export function introduction(components: {
  events: TypedEventTarget<Libp2pEvents>;
}): IntroductionService['introduction'] {
  return {
    introduce(connection) {
      const detail = { peerId: connection.remotePeer, protocols: [BITSWAP], listenAddrs: [], connection };
      components.events.safeDispatchEvent('peer:identify', { detail });
    },
  };
}
