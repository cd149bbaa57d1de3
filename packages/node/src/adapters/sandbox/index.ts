export { SandboxError, type SandboxErrorCode } from './errors.ts';
export type { HostPolicy, HostWarning } from './host.ts';
export { removeAbandoned } from './recover.ts';
export { openRuncSandbox, type RuncSandbox, type RuncSandboxOptions } from './runc-sandbox.ts';
export { snapshotDifference, snapshotDigest } from './snapshot.ts';
