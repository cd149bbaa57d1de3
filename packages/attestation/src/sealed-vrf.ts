import { bytesEqual, hashDomain } from '@nemea/core';
import {
  OBJECT_ATTRIBUTE,
  parseAttest,
  parsePublicArea,
  parseSignature,
  policyDigest,
  TpmError,
} from '@nemea/tpm/structures';
import { p256 } from '@noble/curves/nist.js';
import { checkAkProfile } from './ak-profile.ts';
import { AttestationError, type AttestationErrorCode } from './errors.ts';
import { assertEndorsement } from './key-certification.ts';
import { type AssuranceLevel, LEVEL } from './level.ts';
import { verifyTpmSignature } from './signature.ts';

/**
 * The fallback for TPMs without ECDAA: an ordinary P-256 VRF secret, sealed to PCR values. What a TPM can say of it is
 * less than of a key of its own [EK-18]. TPM2_Certify of the sealed object would prove that an object of that name is in
 * the TPM, but a name is a hash over a secret seed: nobody can tell from it which secret is inside. So the AK quotes the
 * PCRs over the public key: software in just this state, which is also the state that opens the secret, vouches for it.
 * The claim is as good as that software. It does not show that nobody else has the secret.
 */
export interface SealedVrfCertification {
  /** TPMS_ATTEST of TPM2_Quote over the PCRs that the secret is sealed to, exactly as signed. */
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly akPublic: Uint8Array;
  /** TPMT_PUBLIC of the sealed object. */
  readonly sealedPublic: Uint8Array;
  /** Compressed point. */
  readonly vrfPublicKey: Uint8Array;
  readonly qualifyingData: Uint8Array;
}

/** A VRF key outside the TPM. `levelMax` caps the level of whoever draws by it. */
export interface SealedVrf {
  readonly custody: 'sealed';
  readonly publicKey: Uint8Array;
  readonly levelMax: AssuranceLevel;
  /** Digest of the quoted PCR values. Whether those are good values is the judge's to say. */
  readonly pcrDigest: Uint8Array;
}

const FIXED = OBJECT_ATTRIBUTE.fixedTpm | OBJECT_ATTRIBUTE.fixedParent;

/** What the quote's extraData must be. */
export function sealedVrfBinding(
  qualifyingData: Uint8Array,
  vrfPublicKey: Uint8Array,
  sealedPublic: Uint8Array,
): Uint8Array {
  return hashDomain('nemea/vrf-sealed/1', qualifyingData, vrfPublicKey, sealedPublic);
}

/** Throws `AK_PUBLIC_INVALID`, `AK_HIERARCHY_WRONG`, `CERTIFY_INVALID`, `KEY_POLICY_WRONG` or `VRF_PUBLIC_INVALID`. */
export function checkSealedVrf(certification: SealedVrfCertification): SealedVrf {
  const { attest: bytes, signature, akPublic, sealedPublic, vrfPublicKey } = certification;
  const { area: ak } = checkAkProfile(akPublic);
  if (!isOnCurve(vrfPublicKey))
    throw refuse('VRF_PUBLIC_INVALID', 'the public key is no compressed point of P-256');
  if (
    !verifyTpmSignature(
      ak,
      parsed(() => parseSignature(signature)),
      bytes,
    )
  )
    throw refuse('CERTIFY_INVALID', 'the signature is not by the attestation key');
  const attest = parsed(() => parseAttest(bytes));
  if (attest.type !== 'quote')
    throw refuse('CERTIFY_INVALID', `attestation type: got ${attest.type}, want quote`);
  assertEndorsement(akPublic, bytes);
  const binding = sealedVrfBinding(certification.qualifyingData, vrfPublicKey, sealedPublic);
  if (!bytesEqual(attest.extraData, binding))
    throw refuse('CERTIFY_INVALID', 'the quote is not over this public key, sealed object and purpose');
  const { pcrSelections: selections, pcrDigest } = attest;
  assertSealedTo(sealedPublic, policyDigest([{ type: 'pcr', selections, pcrDigest }]));
  // PolicyPCR over no PCR holds always.
  if (selections.every(({ pcrs }) => pcrs.length === 0))
    throw refuse('KEY_POLICY_WRONG', 'the secret is sealed to no pcr');
  return { custody: 'sealed', publicKey: vrfPublicKey, levelMax: LEVEL.development, pcrDigest };
}

/** Sealed data that leaves neither TPM nor parent, and opens by that policy alone. */
function assertSealedTo(sealedPublic: Uint8Array, policy: Uint8Array): void {
  const area = parsed(() => parsePublicArea(sealedPublic));
  const isSealed = area.type === 'keyed-hash' && area.scheme === undefined;
  if (!isSealed || (area.attributes & FIXED) !== FIXED)
    throw refuse('KEY_POLICY_WRONG', 'not an object that is sealed to its TPM');
  if ((area.attributes & OBJECT_ATTRIBUTE.userWithAuth) !== 0 || !bytesEqual(area.authPolicy, policy))
    throw refuse('KEY_POLICY_WRONG', 'the secret does not open to the quoted pcrs alone');
}

function isOnCurve(point: Uint8Array): boolean {
  try {
    p256.Point.fromBytes(point).assertValidity();
    return point.length === p256.Point.BASE.toBytes(true).length;
  } catch {
    return false; // the library reports it only by throwing
  }
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof TpmError) throw new AttestationError('CERTIFY_INVALID', cause.message, { cause });
    throw cause;
  }
}

function refuse(code: AttestationErrorCode, message: string): AttestationError {
  return new AttestationError(code, message);
}
