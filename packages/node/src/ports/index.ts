/** What a node needs of the world. Adapters implement these for real machines, the simulator's twins for simulated ones. */
export * from './block-store.ts';
export * from './clock.ts';
export type { Device, DeviceIdentity } from './device.ts';
export type { Folder } from './folder.ts';
export type { Journal } from './journal.ts';
export type { NodePorts } from './node-ports.ts';
export type { Random } from './random.ts';
export * from './sandbox.ts';
export * from './transport.ts';
