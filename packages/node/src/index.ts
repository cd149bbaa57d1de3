/**
 * The machines composed: a node, an owner's device, and the adapters that they stand on. Trusts its own TPM, the
 * layer-1 RPC that it is given, and less than a third of the voting weight to be faulty. Knows no command line.
 */
export { systemClock } from './adapters/clock/system-clock.ts';
export * from './adapters/control/control.ts';
export * from './adapters/device/device.ts';
export { ANVIL_MNEMONIC, type Anvil, startAnvil } from './adapters/ethereum/anvil.ts';
export { openCapsuleStore } from './adapters/ipfs/capsule-store.ts';
export { openOutward } from './adapters/network/outward.ts';
export { openOverlay } from './adapters/network/overlay.ts';
export { measureRelease, parseRelease, type Release } from './adapters/release/manifest.ts';
export { openRuncSandbox, removeAbandoned } from './adapters/sandbox/index.ts';
export { PayloadError, readPayload } from './adapters/storage/payload.ts';
export { caCertificates } from './adapters/tpm/certificate-authority.ts';
export { joinNetwork, recordOf } from './admission/candidate.ts';
export { recordBinding } from './admission/judge.ts';
export { NodeError } from './errors.ts';
export * from './node.ts';
export * from './owner/owner.ts';
export { peerIdOf } from './peers/peer-id.ts';
export type { Outward } from './ports/transport.ts';
export { ownerPorts, productionPorts } from './production.ts';
export { encodeEndpoint, PROTOCOLS, parseEndpoint } from './protocol.ts';
