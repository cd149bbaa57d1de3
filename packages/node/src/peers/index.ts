/** Names and addresses of peers: arithmetic, no network. */
export { type PeerAddress, parsePeerAddress, toPeerAddress } from './peer-address.ts';
export { peerIdOf } from './peer-id.ts';
