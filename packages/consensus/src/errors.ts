import { CodedError } from '@nemea/core';

export type ConsensusErrorCode =
  | 'ANSWERS_DIVIDED'
  | 'BLS_KEY_INVALID'
  | 'CERTIFICATE_INVALID'
  | 'CERTIFICATE_WEIGHT'
  | 'CONFIGURATION_INVALID'
  | 'DECISION_INVALID'
  | 'EQUIVOCATION_UNPROVEN'
  | 'JOURNAL_INVALID'
  | 'MESSAGE_INVALID'
  | 'MESSAGE_TOO_LARGE'
  | 'SENDER_UNKNOWN'
  | 'SIGNATURE_INVALID';

export class ConsensusError extends CodedError<ConsensusErrorCode> {}
