import { bytesEqual, concatBytes } from '@nemea/core';
import {
  type Attest,
  digestOf,
  nameOf,
  OBJECT_ATTRIBUTE,
  type PublicArea,
  parseAttest,
  parsePublicArea,
  parseSignature,
  TpmError,
} from '@nemea/tpm/structures';
import { checkAkProfile } from './ak-profile.ts';
import { AttestationError, type AttestationErrorCode } from './errors.ts';
import { verifyTpmSignature } from './signature.ts';

/** A key, and its TPM's statement about it. */
export interface KeyCertification {
  /** TPMS_ATTEST of TPM2_Certify(key, AK), exactly as signed. */
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly akPublic: Uint8Array;
  readonly keyPublic: Uint8Array;
  readonly qualifyingData: Uint8Array;
  /** The policy that the key must have. By default it may have any, and a password too. */
  readonly authPolicy?: Uint8Array;
}

const MADE_HERE =
  OBJECT_ATTRIBUTE.fixedTpm | OBJECT_ATTRIBUTE.fixedParent | OBJECT_ATTRIBUTE.sensitiveDataOrigin;
// TPM_RH_ENDORSEMENT, as a name.
const ENDORSEMENT = Uint8Array.of(0x40, 0, 0, 0x0b);

/**
 * Verifies that a key lives in the same TPM as the attestation key, was made there and cannot leave it; with
 * `authPolicy`, that only this policy lets it be used. Throws `AK_PUBLIC_INVALID`, `AK_HIERARCHY_WRONG`,
 * `CERTIFY_INVALID`, `KEY_EXPORTABLE` or `KEY_POLICY_WRONG`. [EK-15]
 */
export function checkKeyCertification(certification: KeyCertification): {
  readonly area: PublicArea;
  readonly name: Uint8Array;
} {
  const { akPublic, keyPublic, authPolicy } = certification;
  const area = parsed(() => parsePublicArea(keyPublic));
  const name = nameOf(keyPublic);
  checkCertify(certification, name);
  if ((area.attributes & MADE_HERE) !== MADE_HERE)
    throw refuse(
      'KEY_EXPORTABLE',
      `attributes: got 0x${(area.attributes >>> 0).toString(16)}, want a key made here`,
    );
  const isByPolicyAlone = (area.attributes & OBJECT_ATTRIBUTE.userWithAuth) === 0;
  if (authPolicy !== undefined && !(isByPolicyAlone && bytesEqual(area.authPolicy, authPolicy)))
    throw refuse('KEY_POLICY_WRONG', 'the key may be used otherwise than by the demanded policy');
  assertEndorsement(akPublic, certification.attest);
  return { area, name };
}

/** The statement: signed by the AK, TPM2_Certify, for this purpose, of this name. */
export function checkCertify(
  { attest: bytes, signature, akPublic, qualifyingData }: Omit<KeyCertification, 'keyPublic' | 'authPolicy'>,
  name: Uint8Array,
): void {
  const ak = checkAkProfile(akPublic).area;
  if (
    !verifyTpmSignature(
      ak,
      parsed(() => parseSignature(signature)),
      bytes,
    )
  )
    throw refuse('CERTIFY_INVALID', 'the signature is not by the attestation key');
  const attest: Attest = parsed(() => parseAttest(bytes));
  if (attest.type !== 'certify')
    throw refuse('CERTIFY_INVALID', `attestation type: got ${attest.type}, want certify`);
  if (!bytesEqual(attest.extraData, qualifyingData))
    throw refuse('CERTIFY_INVALID', 'qualifying data is not that of this enrolment');
  if (!bytesEqual(attest.name, name))
    throw refuse('CERTIFY_INVALID', 'the certified name is not that of the public area');
}

/**
 * The TPM's word for where the attestation key is: the qualified name of a primary key is the hash of its hierarchy and
 * name (TPM 2.0 Part 1, 26.6). In the owner hierarchy the TPM masks resetCount, restartCount and firmwareVersion.
 * Throws `AK_HIERARCHY_WRONG`. [EK-16]
 */
export function assertEndorsement(akPublic: Uint8Array, attest: Uint8Array): void {
  const { nameAlg } = parsed(() => parsePublicArea(akPublic));
  const digest = digestOf(nameAlg, ENDORSEMENT, nameOf(akPublic));
  const wanted = concatBytes(Uint8Array.of(nameAlg >> 8, nameAlg & 0xff), digest);
  if (bytesEqual(parsed(() => parseAttest(attest)).qualifiedSigner, wanted)) return;
  throw refuse('AK_HIERARCHY_WRONG', 'the attestation key is no primary key of the endorsement hierarchy');
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
