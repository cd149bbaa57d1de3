/**
 * Endorsement: is this the key of a real TPM, and whose? EK certificates up to makers' roots, their CRLs, and what the TPM
 * of a certificate is. Trusts the roots, lists and time it is given; opens no connection and fetches nothing. Runs in
 * browsers. What a judge needs beyond it to enrol a machine is `@nemea/attestation/enrolment`.
 */
export { AttestationError, type AttestationErrorCode } from '../errors.ts';
export { CRL_BYTES_MAX } from './crl.ts';
export {
  type EkCertificate,
  type EkChain,
  type TrustedRoot,
  verifyEkCertificate,
} from './ek-certificate.ts';
export {
  checkEkPublic,
  type EkPins,
  type EndorsedEk,
  ekIdOf,
  ekMatchesCertificate,
  pinnedEk,
} from './ek-public.ts';
export type { TpmSpecification } from './extensions.ts';
export { makerName } from './makers.ts';
export { parsePem } from './pem.ts';
export { EK_QUIRKS, type EkQuirk } from './quirks.ts';
export type { RevocationPolicy } from './revocation.ts';
