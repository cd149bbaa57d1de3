/**
 * Attestation Results for relying parties outside this network: EAR (draft-ietf-rats-ear) signed by COSE, with the
 * normalised trustworthiness vector of AR4SI and the judge's own result inside. Runs in a browser.
 */
export { CoseError, type CoseErrorCode } from '../cose/errors.ts';
export { COSE_ALGORITHM, type CoseAlgorithm, type CoseSigner, type CoseVerifier } from '../cose/sign1.ts';
export {
  EAR_CONTENT_TYPE,
  EAR_PROFILE,
  type Ear,
  type EarContent,
  signEar,
  type VerifierId,
  verifyEar,
} from './ear.ts';
export { DIMENSIONS, type Dimension, TIER, type TrustworthinessVector, toVector } from './vector.ts';
