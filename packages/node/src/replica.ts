/**
 * A replica of any application: who knows what operations mean brings an `Application`, and the ports that it is to
 * stand on. Nothing here asks what the other replicas run: that is the overlay's evidence.
 */
export type { StateCodec } from './order-log.ts';
export { PROTOCOLS } from './protocol.ts';
export { type Application, ReplicaRim, type ReplicaTransport, type RimOptions } from './replica-rim.ts';
