/**
 * Whole networks of production nodes in one process, in virtual time, from one seed: twins stand in for layer 1, network,
 * disk and TPM. Trusts that the twins behave as what they stand for, which the compliance suites check.
 */
export { Kernel } from './kernel/kernel.ts';
export { seededRandom } from './kernel/random.ts';
export { World, type WorldOptions } from './world/world.ts';
