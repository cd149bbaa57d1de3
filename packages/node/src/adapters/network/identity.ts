import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { assert } from '@nemea/core';

const SEED_BYTES = 32;

/** The libp2p key of a 32-byte Ed25519 seed; without a seed, a fresh one. */
export async function toPrivateKey(seed: Uint8Array | undefined): Promise<Ed25519PrivateKey> {
  if (seed === undefined) return generateKeyPair('Ed25519');
  assert(seed.length === SEED_BYTES, `Ed25519 seed has ${seed.length} bytes, want ${SEED_BYTES}`);
  return generateKeyPairFromSeed('Ed25519', seed);
}

/** The PeerId that a host opened with this seed will have. */
export async function peerIdOfSeed(seed: Uint8Array): Promise<string> {
  return peerIdFromPrivateKey(await toPrivateKey(seed)).toString();
}
