import { randomBytes } from 'node:crypto';
import { sealedVrfBinding } from '@nemea/attestation/enrolment';
import { bytesEqual, CodedError } from '@nemea/core';
import { type Attestation, type Identity, sealedPublicArea, type Tpm, type VrfProof } from '@nemea/tpm';
import { compressedPoint, parsePublicArea } from '@nemea/tpm/structures';
import { proveVrf, VrfError, verifyVrf, vrfPublicKey } from '@nemea/vrf';

export class VrfProverError extends CodedError<'VRF_KEY_INVALID' | 'VRF_PROOF_REFUSED'> {}

/** Makes proofs that their own verifier has accepted [EK-19]. */
export interface VrfProver {
  /**
   * Where the secret is: inside the TPM, which never shows it; or sealed to PCR values, and in this process's memory
   * while it is open. Outputs and verifier are the same, what they are worth is not.
   */
  readonly custody: 'tpm' | 'sealed';
  /** Compressed point. */
  readonly publicKey: Uint8Array;
  /** Throws `VRF_PROOF_REFUSED` for a proof that does not verify: it is never handed out. */
  prove(alpha: Uint8Array): Promise<VrfProof>;
  /** Forgets a secret that is in memory. */
  close(): void;
}

/** A secret of the fallback at rest, and the public key that belongs to it. */
export interface SealedVrfKey {
  readonly blob: Uint8Array;
  readonly publicKey: Uint8Array;
}

const SECRET_BYTES = 32;
const ATTEMPTS_MAX = 8;

/**
 * The prover that this TPM allows: its own ECDAA key where it has the algorithm and the command, else the sealed key,
 * which `sealed` reads or makes. Only the first kind is worth the TPM's level.
 */
export async function openVrfProver(
  tpm: Tpm,
  identity: Pick<Identity, 'vrfPublic' | 'vrfProve'> | undefined,
  sealed: () => Promise<SealedVrfKey>,
): Promise<VrfProver> {
  if (identity !== undefined && (await tpm.supportsEcdaa())) return tpmVrfProver(identity);
  return await openSealedVrf(tpm, await sealed());
}

/** TPMs differ in how they hash the first number of a signature: a proof is believed when it verifies. */
export function tpmVrfProver(identity: Pick<Identity, 'vrfPublic' | 'vrfProve'>): VrfProver {
  const area = parsePublicArea(identity.vrfPublic);
  if (area.type !== 'ecc') throw new VrfProverError('VRF_KEY_INVALID', `got ${area.type}, want an ecc key`);
  const publicKey = compressedPoint(area);
  return {
    custody: 'tpm',
    publicKey,
    prove: async (alpha) => verified(publicKey, alpha, await identity.vrfProve(alpha)),
    close() {},
  };
}

/** The identity, with a `vrfProve` that hands out only what verifies. */
export function withVerifiedVrf(identity: Identity): Identity {
  return { ...identity, vrfProve: tpmVrfProver(identity).prove };
}

/** Makes a secret and seals it to the values that the PCRs have now: other software does not open it. */
export async function createSealedVrf(tpm: Tpm, pcrs: readonly number[]): Promise<SealedVrfKey> {
  if (pcrs.length === 0) throw new VrfProverError('VRF_KEY_INVALID', 'want pcrs that the key is bound to');
  const secret = await newSecret(tpm);
  try {
    return { blob: await tpm.seal(secret, { pcrs }), publicKey: vrfPublicKey(secret) };
  } finally {
    secret.fill(0);
  }
}

/** Opens the secret once: it is in memory until `close`. Throws `TPM_UNSEAL_REFUSED` when the PCRs hold other values. */
export async function openSealedVrf(tpm: Tpm, { blob, publicKey }: SealedVrfKey): Promise<VrfProver> {
  const secret = await tpm.unseal(blob);
  if (secret.length !== SECRET_BYTES || !bytesEqual(vrfPublicKey(secret), publicKey)) {
    secret.fill(0);
    throw new VrfProverError('VRF_KEY_INVALID', 'the sealed secret is not that of the public key');
  }
  return {
    custody: 'sealed',
    publicKey,
    prove: async (alpha) => verified(publicKey, alpha, proveVrf(secret, alpha)),
    close: () => void secret.fill(0),
  };
}

/** The attestation key's word for a sealed key: a quote over the PCRs that open it. `checkSealedVrf` judges it. */
export async function certifySealedVrf(
  identity: Pick<Identity, 'quote'>,
  { blob, publicKey }: SealedVrfKey,
  request: { readonly pcrs: readonly number[]; readonly qualifyingData: Uint8Array },
): Promise<Attestation & { readonly sealedPublic: Uint8Array }> {
  const sealedPublic = sealedPublicArea(blob);
  const qualifyingData = sealedVrfBinding(request.qualifyingData, publicKey, sealedPublic);
  return { ...(await identity.quote({ qualifyingData, pcrs: request.pcrs })), sealedPublic };
}

/** From both generators, so that a weak one of the TPM or of the host does not decide. */
async function newSecret(tpm: Tpm): Promise<Uint8Array> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const own = randomBytes(SECRET_BYTES);
    const secret = (await tpm.getRandom(SECRET_BYTES)).map((byte, i) => byte ^ (own[i] as number));
    if (isSecret(secret)) return secret;
  }
  throw new VrfProverError('VRF_KEY_INVALID', `no secret in ${ATTEMPTS_MAX} attempts`);
}

/** Whether it is in 1 to n-1; once in 2^32 it is not. */
function isSecret(secret: Uint8Array): boolean {
  try {
    return vrfPublicKey(secret).length > 0;
  } catch (error) {
    if (error instanceof VrfError) return false;
    throw error;
  }
}

function verified(publicKey: Uint8Array, alpha: Uint8Array, made: VrfProof): VrfProof {
  let beta: Uint8Array;
  try {
    beta = verifyVrf(publicKey, alpha, made.proof);
  } catch (cause) {
    throw new VrfProverError('VRF_PROOF_REFUSED', 'the proof does not verify', { cause });
  }
  if (bytesEqual(beta, made.beta)) return made;
  throw new VrfProverError('VRF_PROOF_REFUSED', 'the proof is of another output');
}
