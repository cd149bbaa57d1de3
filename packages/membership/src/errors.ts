import { CodedError } from '@nemea/core';

export type MembershipErrorCode =
  | 'LEDGER_BEHIND'
  | 'OPERATION_MALFORMED'
  | 'OPERATION_SIGNATURE_INVALID'
  | 'STATE_MALFORMED'
  | 'VOTE_MALFORMED';

export class MembershipError extends CodedError<MembershipErrorCode> {}

/** Why an ordered operation had no effect. The same on every replica; never an exception. */
export type RejectionCode =
  | 'AUTHOR_NOT_MEMBER'
  | 'ALREADY_DONE'
  | 'ATTEMPT_WRONG'
  | 'CANDIDATE_UNKNOWN'
  | 'CANDIDATE_CONFLICTS'
  | 'DISPUTE_UNKNOWN'
  | 'EPOCH_WRONG'
  | 'EQUIVOCATION_UNPROVEN'
  | 'EVIDENCE_NOT_CONTRADICTING'
  | 'JURY_INCOMPLETE'
  | 'NOT_DRAWN'
  | 'NOT_THE_EXECUTOR'
  | 'NOT_A_VERIFIER'
  | 'ROSTER_FULL'
  | 'SIGNATURE_INVALID'
  | 'TARGET_UNKNOWN'
  | 'TASK_UNKNOWN'
  | 'TOO_EARLY'
  | 'TOO_MANY_OPEN'
  | 'VRF_INVALID';
