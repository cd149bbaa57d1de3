/**
 * The judge's half of enrolling a machine, as pure functions: its endorsement key (certificate or pin), its attestation
 * key, credential activation, and the keys that the attestation key certifies [EK-12]. All of
 * `@nemea/attestation/endorsement`, and an entry of its own, because making a credential needs Node's crypto.
 */

export {
  beginEnrolment,
  checkActivation,
  completeEnrolment,
  type Enrolled,
  type Enrolment,
  type EnrolmentRequest,
} from './endorsement/enrolment.ts';
export * from './endorsement/index.ts';
export { checkKeyCertification, type KeyCertification } from './key-certification.ts';
export {
  checkSealedVrf,
  type SealedVrf,
  type SealedVrfCertification,
  sealedVrfBinding,
} from './sealed-vrf.ts';
