import { AttestationError } from './errors.ts';

/**
 * Assurance levels, as layer 1 records them: a software TPM is good for development only, a host vouched for by its
 * root-of-trust device ranks above it, and a hardware TPM on bare metal above both.
 */
export const LEVEL = { development: 1, vouched: 2, hardware: 3 } as const;

/** How much a TPM's word is worth: 1 development, 2 vouched, 3 hardware. */
export type AssuranceLevel = (typeof LEVEL)[keyof typeof LEVEL];

/** Every level, the lowest first. */
export const ASSURANCE_LEVELS: readonly AssuranceLevel[] = Object.values(LEVEL);

/** Throws `LEVEL_UNKNOWN`. */
export function toAssuranceLevel(value: number): AssuranceLevel {
  const level = ASSURANCE_LEVELS.find((known) => known === value);
  if (level === undefined) throw new AttestationError('LEVEL_UNKNOWN', `level: got ${value}, want 1, 2 or 3`);
  return level;
}

/** The level's name in policies and on the command line. */
export function levelName(level: AssuranceLevel): keyof typeof LEVEL {
  if (level === LEVEL.hardware) return 'hardware';
  return level === LEVEL.vouched ? 'vouched' : 'development';
}
