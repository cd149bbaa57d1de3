import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { TransportError } from '../ports/transport.ts';

export interface PeerAddress {
  readonly peer: string;
  readonly multiaddr: Multiaddr;
}

/** Parses an address that names its peer: only then does noise check who answers. Throws `ADDRESS_INVALID`. */
export function parsePeerAddress(address: string): PeerAddress {
  const parsed = parseMultiaddr(address);
  const named = parsed.getComponents().findLast((component) => component.name === 'p2p')?.value;
  if (named === undefined)
    throw new TransportError('ADDRESS_INVALID', `address has no /p2p/ part: ${address}`);
  return { peer: parsePeer(named, address), multiaddr: parsed };
}

/** An address for a known peer, with or without its `/p2p/` part. */
export function toPeerAddress(peer: string, address: string): PeerAddress {
  const suffix = `/p2p/${peer}`;
  const parsed = parsePeerAddress(address.includes('/p2p/') ? address : `${address}${suffix}`);
  if (parsed.peer !== peer) {
    throw new TransportError('ADDRESS_INVALID', `address of another peer: got ${parsed.peer}, want ${peer}`);
  }
  return parsed;
}

function parseMultiaddr(address: string): Multiaddr {
  try {
    return multiaddr(address);
  } catch (cause) {
    throw new TransportError('ADDRESS_INVALID', `not a multiaddr: ${address}`, { cause });
  }
}

function parsePeer(text: string, address: string): string {
  try {
    return peerIdFromString(text).toString();
  } catch (cause) {
    throw new TransportError('ADDRESS_INVALID', `no PeerId after /p2p/: ${address}`, { cause });
  }
}
