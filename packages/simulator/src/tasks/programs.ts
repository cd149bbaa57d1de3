import { concatBytes, fromUtf8, hashDomain, toUtf8 } from '@nemea/core';
import type { FailureReason } from '@nemea/membership';
import type { Program } from '../twins/sandbox.ts';

const MIB = 1 << 20;

/** What tasks in a simulated network may run. A code file names one of these. */
const PROGRAMS = {
  /** A digest of all inputs: who sees the result learns nothing of them, and who does not have them cannot guess it. */
  digest: (inputs) => ({ takesMs: 800, outputs: [digestOf(inputs)] }),
  endless: () => ({ takesMs: Number.MAX_SAFE_INTEGER }),
  raising: () => ({ takesMs: 100 }),
  greedy: () => ({ takesMs: 100, memoryBytes: 1_024 * MIB, outputs: [] }),
  bulky: () => ({ takesMs: 100, outputs: [new Uint8Array(2 * MIB)] }),
  chatty: () => ({ takesMs: 100, printsBytes: 16 * MIB, outputs: [] }),
} satisfies Record<string, Program>;

export type ProgramName = keyof typeof PROGRAMS;

/** Programs that end without a result, and the reason that the network gives for it. */
export const FAILING: Readonly<Record<Exclude<ProgramName, 'digest'>, FailureReason>> = {
  endless: 'TIMEOUT',
  raising: 'CODE_FAILED',
  greedy: 'OUT_OF_MEMORY',
  bulky: 'OUTPUT_INVALID',
  chatty: 'OUTPUT_INVALID',
};

export const PROGRAM_NAMES = Object.keys(PROGRAMS) as ProgramName[];

export function codeOf(name: ProgramName): Uint8Array {
  return fromUtf8(`program ${name}`);
}

export function programOf(code: Uint8Array): Program | undefined {
  const name = toUtf8(code).replace(/^program /, '');
  return PROGRAMS[name as ProgramName];
}

/** What the program `digest` gives. */
export function digestOf(inputs: readonly Uint8Array[]): Uint8Array {
  return hashDomain('a function of private inputs', concatBytes(...inputs));
}
