import { concatBytes, fromHex, toHex } from '@nemea/core';

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
/** Identity multihash of a libp2p public key message that holds an Ed25519 key. */
const ED25519_PREFIX = fromHex('002408011220');

/** The libp2p PeerId of a raw Ed25519 key: base58btc of its identity multihash. */
export function peerIdText(peerKey: Uint8Array): string {
  const bytes = concatBytes(ED25519_PREFIX, peerKey);
  let text = '';
  for (let rest = BigInt(`0x${toHex(bytes)}`); rest > 0n; rest /= 58n) {
    text = (ALPHABET[Number(rest % 58n)] as string) + text;
  }
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return ALPHABET.charAt(0).repeat(zeros === -1 ? bytes.length : zeros) + text;
}
