/**
 * What a command line hands to a node or an owner: the sandbox and the capsule store. Each is loaded with what it
 * stands on, so a process that needs neither does not carry them.
 */
export { loadCapsuleStore, openCapsuleStore } from './ipfs/capsule-store.ts';
export { openRuncSandbox, removeAbandoned } from './sandbox/index.ts';
