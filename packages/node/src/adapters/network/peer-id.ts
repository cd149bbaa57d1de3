import { publicKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey } from '@libp2p/peer-id';

/** The libp2p PeerId of a raw Ed25519 public key (32 bytes). */
export function peerIdOf(peerKey: Uint8Array): string {
  return peerIdFromPublicKey(publicKeyFromRaw(peerKey)).toString();
}
