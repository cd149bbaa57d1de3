/**
 * Remote attestation by the roles of RFC 9334: Evidence, the attester that collects it, endorsements (EK certificate
 * and key profiles), reference values, policy, and the one judge, `appraise`, with its Attestation Result.
 * The judge is pure, needs no TPM and runs in a browser. Trusts the registered keys, reference values and policy it is
 * given. A measured boot is believed as far as its event log replays to quoted registers. Opens no connection. Whose TPM
 * it is, by EK certificates and CRLs, is `@nemea/attestation/endorsement`.
 */
export { AK_PROFILES, type AkProfile, type CheckedAk, checkAkProfile } from './ak-profile.ts';
export type {
  Appraisal,
  ClockRecord,
  Endorsements,
  ExpectedAnyTime,
  ExpectedChallenge,
  ExpectedEpoch,
  ExpectedNonce,
  ExpectedQuote,
} from './appraisal.ts';
export { appraise } from './appraise.ts';
export {
  collectEvidence,
  collectMachineEvidence,
  type EvidenceRequest,
  type MachineEvidenceRequest,
  type Quoter,
} from './attester.ts';
export {
  CLOCK_REGISTRY_KEYS_MAX,
  type ClockRegistry,
  encodeClockRegistry,
  parseClockRegistry,
  recordClock,
  recordedClock,
} from './clock-registry.ts';
export {
  CMW_KIND,
  type Cmw,
  type CmwForm,
  type CmwType,
  EVIDENCE_MEDIA_TYPE,
  isCmw,
  RESULT_MEDIA_TYPE,
  unwrapCmw,
  wrapCmw,
} from './cmw.ts';
export { AttestationError, type AttestationErrorCode } from './errors.ts';
export {
  EVENT_LOG_BYTES_MAX,
  EVENT_NAME_BYTES_MAX,
  EVENTS_MAX,
  EVIDENCE_BYTES_MAX,
  EVIDENCE_FILE_BYTES_MAX,
  type Evidence,
  encodeEvidence,
  encodeEvidenceFile,
  eventDigest,
  IMA_LIST_BYTES_MAX,
  MEASURED_PCR,
  type MeasuredEvent,
  type PcrValue,
  parseEvidence,
  parseEvidenceFile,
  QUOTED_PCRS,
  type QualifyingDataParts,
  qualifyingData,
} from './evidence.ts';
export {
  checkAkPublic,
  checkVrfCertification,
  checkVrfPublic,
  compressPoint,
  type VrfCertification,
} from './key-profile.ts';
export { ASSURANCE_LEVELS, type AssuranceLevel, LEVEL, levelName, toAssuranceLevel } from './level.ts';
export { MeasuredLog, type MeasuredLogOptions, type PcrExtender, type PcrReader } from './measured-log.ts';
export { type AppraisalPolicy, parsePolicy } from './policy.ts';
export { type Quote, type QuoteToVerify, type QuoteVerdict, verifyQuote } from './quote/verify-quote.ts';
export {
  COMPONENT_KINDS,
  type ComponentKind,
  parseReferenceValues,
  parseReferenceValuesDocument,
  type ReferenceComponent,
  type ReferenceValues,
  type ReferenceValuesDocument,
} from './reference-values.ts';
export { replayLog, startDigest } from './replay.ts';
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
export { compileRule, evaluateRule, type Fact, type Facts, RULE_CHARACTERS_MAX } from './rules.ts';
export { findRun, type RunOpening, runCommitment } from './run-commitment.ts';
export { verifyTpmSignature } from './signature.ts';
