/**
 * Remote attestation by the roles of RFC 9334: Evidence, the attester that collects it, endorsements (EK certificate
 * and key profiles), reference values, policy, and the one judge, `appraise`, with its Attestation Result.
 * The judge is pure, needs no TPM and runs in a browser; only EK certificate chains need Node. Trusts the roots,
 * registered keys and reference values it is given. Does not understand firmware event logs (a measured boot is
 * refused, not believed), does not check certificate revocation, and opens no connection.
 */
export type { Appraisal, ClockRecord, Endorsements, ExpectedQuote } from './appraisal.ts';
export { appraise } from './appraise.ts';
export { collectEvidence, type EvidenceRequest, type Quoter } from './attester.ts';
export { type EkCertificate, type EkChain, type TrustedRoot, verifyEkCertificate } from './ek-certificate.ts';
export { AttestationError, type AttestationErrorCode } from './errors.ts';
export {
  EVENT_NAME_BYTES_MAX,
  EVENTS_MAX,
  EVIDENCE_BYTES_MAX,
  type Evidence,
  encodeEvidence,
  eventDigest,
  MEASURED_PCR,
  type MeasuredEvent,
  type PcrValue,
  parseEvidence,
  QUOTED_PCRS,
  type QualifyingDataParts,
  qualifyingData,
} from './evidence.ts';
export {
  checkAkPublic,
  checkVrfCertification,
  checkVrfPublic,
  compressPoint,
  ekMatchesCertificate,
  type VrfCertification,
} from './key-profile.ts';
export { ASSURANCE_LEVELS, type AssuranceLevel, LEVEL, levelName, toAssuranceLevel } from './level.ts';
export { MeasuredLog, type MeasuredLogOptions, type PcrExtender, type PcrReader } from './measured-log.ts';
export { type AppraisalPolicy, parsePolicy } from './policy.ts';
export { bankName, describeSelection } from './quote/pcrs.ts';
export { QUOTE_REFUSAL_CODES, type QuoteRefusal, type QuoteRefusalCode } from './quote/refusal.ts';
export { parseSigningKey, type SigningKey, signingKeyOf } from './quote/signing-key.ts';
export {
  type ClockBefore,
  type Quote,
  type QuoteToVerify,
  type QuoteVerdict,
  verifyQuote,
} from './quote/verify-quote.ts';
export { parseReferenceValues, type ReferenceValues } from './reference-values.ts';
export { replayLog } from './replay.ts';
export {
  type AppraisedClaim,
  type AppraisedClock,
  type AttestationResult,
  CLAIM_NAMES,
  CLAIM_REASONS,
  type ClaimName,
  type ClaimReason,
  type ClaimValue,
  encodeResult,
  failedClaims,
  parseResult,
  RESULT_BYTES_MAX,
  resultDigest,
  type Verdict,
} from './result.ts';
export { findRun, type RunOpening, runCommitment } from './run-commitment.ts';
export { verifyTpmSignature } from './signature.ts';
