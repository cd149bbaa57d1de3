import { publicKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey } from '@libp2p/peer-id';
import { toHex } from '@nemea/core';

const KNOWN_MAX = 1_024;
const known = new Map<string, string>();

/** The libp2p PeerId of a raw Ed25519 public key (32 bytes). Remembered: members are looked up for every message. */
export function peerIdOf(peerKey: Uint8Array): string {
  const key = toHex(peerKey);
  const found = known.get(key);
  if (found !== undefined) return found;
  const peer = peerIdFromPublicKey(publicKeyFromRaw(peerKey)).toString();
  if (known.size >= KNOWN_MAX) known.delete(known.keys().next().value as string);
  known.set(key, peer);
  return peer;
}
