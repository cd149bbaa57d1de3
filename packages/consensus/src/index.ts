/**
 * Weighted PBFT (Castro and Liskov 1999) as a pure machine: it orders opaque byte operations among weighted replicas.
 * Rules are numbered in docs/spec/consensus.md and cited as [CONS-n]. It trusts the signature functions handed in and
 * that less than a third of the weight is faulty. It does no I/O, reads no clock, and knows nothing of what the
 * operations mean; the rim signs, sends, journals and keeps the timers (`./driver.ts` does the signing part).
 */
export { authenticate, isRedundant, type Sign, signStatement, type VerifySignature } from './authenticate.ts';
export {
  type Decision,
  encodeDecision,
  parseDecision,
  verifyCheckpointCertificate,
  verifyCommitCertificate,
  verifyDecision,
} from './certificate.ts';
export {
  type CheckpointHeader,
  type CheckpointProof,
  encodeTransfer,
  parseHeader,
  parseTransfer,
  type Transfer,
  verifyCheckpoint,
} from './checkpoint.ts';
export { type Configuration, createConfiguration, type Member, primaryOf } from './configuration.ts';
export { drive, type Outbound, type SigningReplica, settle } from './driver.ts';
export type { Effect, RefusalReason } from './effect.ts';
export { type EquivocationProof, equivocationEpoch, verifyEquivocation } from './equivocation.ts';
export { ConsensusError, type ConsensusErrorCode } from './errors.ts';
export type { Input, TimerId } from './input.ts';
export { encodeRecord, type JournalRecord, parseRecord } from './journal.ts';
export { appendRecord, type JournalEnd, openJournal, readJournal } from './journal-file.ts';
export {
  BATCH_BYTES_MAX,
  BATCH_OPERATIONS_MAX,
  CHECKPOINT_INTERVAL,
  DECISIONS_MAX,
  MESSAGE_BYTES_MAX,
  OPERATION_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  WINDOW,
} from './limits.ts';
export {
  type Batch,
  type Certificate,
  type CheckpointCertificate,
  type Content,
  encodeMessage,
  type MemberSignature,
  parseMessage,
  peekVote,
  type SignedMessage,
  type Statement,
} from './message.ts';
export { decisionDigest } from './operation.ts';
export { isQuorum } from './quorum.ts';
export { type Answer, agreedAnswer, answerBytes } from './read.ts';
export { createReplica, step } from './replica.ts';
export { restoreReplica } from './restore.ts';
export { DEFAULT_SETTINGS, type ReplicaOptions, type ReplicaState, type Settings } from './state.ts';
