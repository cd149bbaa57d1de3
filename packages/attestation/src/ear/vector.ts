/** The trustworthiness vector of AR4SI (draft-ietf-rats-ar4si): one tier for each aspect of a machine. */
import type { AppraisedClaim, ClaimName, ClaimReason } from '../result.ts';

/** Keys of the vector in CBOR. The aspects that no TPM evidence speaks of are left out: runtime, storage, sourced data. */
export const DIMENSIONS = {
  instanceIdentity: 0,
  configuration: 1,
  executables: 2,
  fileSystem: 3,
  hardware: 4,
} as const;

/** An aspect of AR4SI that TPM evidence speaks of. */
export type Dimension = keyof typeof DIMENSIONS;
/** A tier for each aspect of which something is known. */
export type TrustworthinessVector = Readonly<Partial<Record<Dimension, number>>>;

/** The first value of each tier; 99 says that the cryptography failed, whatever the aspect. */
export const TIER = { none: 0, affirming: 2, warning: 32, contraindicated: 96 } as const;
const CRYPTOGRAPHY_FAILED = 99;
const CRYPTOGRAPHIC: readonly ClaimReason[] = [
  'SIGNATURE_MALFORMED',
  'SIGNATURE_SCHEME_WRONG',
  'SIGNATURE_WRONG',
  'ATTEST_MAGIC_WRONG',
  'PCR_DIGEST_WRONG',
];

const DIMENSION_OF: Readonly<Record<ClaimName, Dimension>> = {
  'attestation-key': 'instanceIdentity',
  signature: 'instanceIdentity',
  'attest-structure': 'instanceIdentity',
  'qualifying-data': 'instanceIdentity',
  freshness: 'instanceIdentity',
  clock: 'instanceIdentity',
  level: 'hardware',
  'pcr-selection': 'configuration',
  'pcr-digest': 'configuration',
  'pcr-values': 'configuration',
  'secure-boot': 'configuration',
  'command-line': 'configuration',
  'firmware-events': 'configuration',
  rules: 'configuration',
  firmware: 'executables',
  'boot-chain': 'executables',
  'measured-log': 'executables',
  release: 'executables',
  images: 'executables',
  ima: 'fileSystem',
};

/** The worst claim decides its aspect; an aspect about which nothing was said is left out. */
export function toVector(claims: readonly AppraisedClaim[]): TrustworthinessVector {
  const vector: Partial<Record<Dimension, number>> = {};
  for (const claim of claims) {
    const tier = tierOf(claim);
    if (tier === TIER.none) continue;
    const dimension = DIMENSION_OF[claim.name];
    vector[dimension] = Math.max(vector[dimension] ?? TIER.none, tier);
  }
  return vector;
}

function tierOf({ verdict, reason }: AppraisedClaim): number {
  if (reason === 'NOT_DEMANDED') return TIER.none;
  return CRYPTOGRAPHIC.includes(reason) ? CRYPTOGRAPHY_FAILED : TIER[verdict];
}
