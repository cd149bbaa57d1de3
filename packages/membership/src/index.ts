/**
 * Who is trusted, and what the trusted decide together: roster, credit, juries, admission, attestation, eviction and
 * tasks as one pure machine over ordered operations. Trusts the order that consensus gives and the layer-1 facts that
 * its view reports; does no I/O, reads no clock, holds no key.
 */
export { epochToClose, isEpochRipe, judgeReport } from './attestation.ts';
export * from './challenge.ts';
export * from './credit.ts';
export { ADMISSION_EPOCHS, enrolled, registeredSince } from './enrolment.ts';
export {
  compareLeaves,
  encodeEpochLeaf,
  epochLeaves,
  isEquivocation,
  isOutdated,
  isResult,
  isSeat,
} from './epoch-leaf.ts';
export { type SignedContradiction, toEquivocationProof } from './equivocation.ts';
export * from './errors.ts';
export * from './jury.ts';
export { akPublicArea } from './keys.ts';
export type * from './ledger-view.ts';
export { applyOperation, initialState, type Surroundings } from './machine.ts';
export * from './money.ts';
export { offenceOf, type SignedEvidence, softwareEver, UPDATE_EPOCHS } from './offence.ts';
export {
  type Anchor,
  type Attestation,
  accountSchema,
  accuseSchema,
  attestationSchema,
  authenticateOperation,
  bodySchema,
  contradictionSchema,
  encodeOperation,
  encodeSignedOperation,
  type NodeRecord,
  nodeRecordSchema,
  type Operation,
  type OperationBody,
  operationDigest,
  type Phase,
  parseSignedOperation,
  phaseSchema,
  type SignedOperation,
} from './operation.ts';
export * from './owner-cap.ts';
export { judgingPolicy } from './policy.ts';
export * from './reasons.ts';
export * from './roster.ts';
export { settleCredit } from './settlement.ts';
export { encodeState, parseState, STATE_BYTES_MAX } from './snapshot.ts';
export * from './standing.ts';
export type * from './state.ts';
export {
  ATTEMPT_OVERHEAD_S,
  ATTEMPTS_MAX,
  commitmentPreimage,
  electionSalt,
  isDrawRipe,
  taskDrawSeed,
} from './task.ts';
export { encodeVote, parseVote } from './vote.ts';
