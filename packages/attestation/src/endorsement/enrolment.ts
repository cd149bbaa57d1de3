import { assert, bytesEqual, hashDomain } from '@nemea/core';
import { type Credential, makeCredential } from '@nemea/tpm';
import { nameOf, TpmError } from '@nemea/tpm/structures';
import { checkAkProfile } from '../ak-profile.ts';
import { AttestationError } from '../errors.ts';
import { checkKeyCertification, type KeyCertification } from '../key-certification.ts';
import { checkAkPublic } from '../key-profile.ts';
import type { AssuranceLevel } from '../level.ts';
import { checkEkPublic, type EndorsedEk, ekMatchesCertificate } from './ek-public.ts';

/** What a candidate shows, and what the judge knows of its endorsement key. */
export interface EnrolmentRequest {
  readonly ekPublic: Uint8Array;
  /** What `verifyEkCertificate` returned for the candidate's chain, or `pinnedEk`. */
  readonly endorsement: EndorsedEk;
  readonly akPublic: Uint8Array;
  /** `node` (default): the one attestation key that the network's nodes have. `any`: every one of `AK_PROFILES`. */
  readonly akProfile?: 'node' | 'any';
  /** 32 fresh random bytes, known to the judge alone. */
  readonly secret: Uint8Array;
  /** Where the credential's own randomness comes from; the system's by default. */
  readonly random?: (byteLength: number) => Uint8Array;
}

/** The first half: what goes to the candidate, and what the judge keeps. */
export interface Enrolment {
  /** For the candidate's TPM. Only the TPM with this EK, and only while it holds this AK, recovers the secret. */
  readonly credential: Credential;
  /** What the judge keeps instead of the secret. */
  readonly secretDigest: Uint8Array;
  readonly ekId: Uint8Array;
  readonly level: AssuranceLevel;
  readonly akPublic: Uint8Array;
  readonly akName: Uint8Array;
}

/** A machine whose attestation key is in the TPM of an endorsed key, with what that key certified. */
export interface Enrolled {
  readonly ekId: Uint8Array;
  readonly level: AssuranceLevel;
  readonly akPublic: Uint8Array;
  readonly akName: Uint8Array;
  /** Names of the application keys, in the order in which they were given. */
  readonly keyNames: readonly Uint8Array[];
}

const SECRET_BYTES = 32;

/**
 * First half: the papers, and a credential for EK and AK together. Throws `EK_PUBLIC_INVALID`, `AK_PUBLIC_INVALID`, or
 * `ENROLMENT_INVALID` when the EK is not the endorsed one. [EK-13]
 */
export function beginEnrolment(request: EnrolmentRequest): Enrolment {
  const { ekPublic, endorsement, akPublic, secret, random } = request;
  assert(secret.length === SECRET_BYTES, 'an enrolment secret has 32 bytes');
  checkEkPublic(ekPublic);
  if (!ekMatchesCertificate(ekPublic, endorsement.publicKeySpki))
    throw new AttestationError('ENROLMENT_INVALID', 'the endorsement key is not the endorsed one');
  if (request.akProfile === 'any') checkAkProfile(akPublic);
  else checkAkPublic(akPublic);
  const akName = nameOf(akPublic);
  return {
    credential: credentialFor(() => makeCredential(ekPublic, akName, secret, { random })),
    secretDigest: secretDigest(akName, secret),
    ekId: endorsement.ekId,
    level: endorsement.level,
    akPublic,
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

/**
 * Second half: the recovered secret, and the keys that the attestation key certified. Throws `ENROLMENT_REFUSED` for a
 * wrong secret, and what `checkKeyCertification` throws. [EK-14]
 */
export function completeEnrolment(
  enrolment: Enrolment,
  answer: { readonly secret: Uint8Array; readonly keys?: readonly Omit<KeyCertification, 'akPublic'>[] },
): Enrolled {
  if (!checkActivation(enrolment, answer.secret))
    throw new AttestationError(
      'ENROLMENT_REFUSED',
      'the attestation key is not in the TPM of the endorsement key',
    );
  const { ekId, level, akPublic, akName } = enrolment;
  const keys = (answer.keys ?? []).map((key) => checkKeyCertification({ ...key, akPublic }));
  return { ekId, level, akPublic, akName, keyNames: keys.map(({ name }) => name) };
}

function credentialFor(make: () => Credential): Credential {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof TpmError)) throw cause;
    throw new AttestationError('ENROLMENT_INVALID', cause.message, { cause });
  }
}

function secretDigest(akName: Uint8Array, secret: Uint8Array): Uint8Array {
  return hashDomain('nemea/enrolment/1', akName, secret);
}
