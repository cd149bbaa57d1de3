/**
 * The judge's half of credential activation (TPM 2.0 Part 1, 24). A separate entry because making a credential needs
 * Node's crypto, while the rest of the package also runs in a browser.
 */
import { assert, bytesEqual, hashDomain } from '@nemea/core';
import { type Credential, makeCredential } from '@nemea/tpm';
import { nameOf, TpmError } from '@nemea/tpm/structures';
import type { EkCertificate } from './ek-certificate.ts';
import { AttestationError } from './errors.ts';
import { checkAkPublic, ekMatchesCertificate } from './key-profile.ts';

export interface EnrolmentRequest {
  readonly ekPublic: Uint8Array;
  /** What `verifyEkCertificate` returned for the candidate's chain. */
  readonly ekCertificate: EkCertificate;
  readonly akPublic: Uint8Array;
  /** 32 fresh random bytes, known to the judge alone. */
  readonly secret: Uint8Array;
}

export interface Enrolment {
  /** For the candidate's TPM. Only the TPM with this EK, and only while it holds this AK, recovers the secret. */
  readonly credential: Credential;
  /** What the judge keeps instead of the secret. */
  readonly secretDigest: Uint8Array;
  readonly akName: Uint8Array;
}

const SECRET_BYTES = 32;

/** Throws `ENROLMENT_INVALID` when the EK is not the certificate's, or `AK_PUBLIC_INVALID`. */
export function beginEnrolment(request: EnrolmentRequest): Enrolment {
  assert(request.secret.length === SECRET_BYTES, 'an enrolment secret has 32 bytes');
  if (!ekMatchesCertificate(request.ekPublic, request.ekCertificate.publicKeySpki)) {
    throw new AttestationError('ENROLMENT_INVALID', 'the endorsement key is not the one in its certificate');
  }
  checkAkPublic(request.akPublic);
  const akName = nameOf(request.akPublic);
  return {
    credential: credentialFor(request.ekPublic, akName, request.secret),
    secretDigest: secretDigest(akName, request.secret),
    akName,
  };
}

/** Whether the candidate recovered the secret: then its AK and EK are in one TPM [ATT-17]. */
export function checkActivation(
  enrolment: Pick<Enrolment, 'akName' | 'secretDigest'>,
  secret: Uint8Array,
): boolean {
  return bytesEqual(secretDigest(enrolment.akName, secret), enrolment.secretDigest);
}

function credentialFor(ekPublic: Uint8Array, akName: Uint8Array, secret: Uint8Array): Credential {
  try {
    return makeCredential(ekPublic, akName, secret);
  } catch (cause) {
    if (!(cause instanceof TpmError)) throw cause;
    throw new AttestationError('ENROLMENT_INVALID', cause.message, { cause });
  }
}

function secretDigest(akName: Uint8Array, secret: Uint8Array): Uint8Array {
  return hashDomain('nemea/enrolment/1', akName, secret);
}
