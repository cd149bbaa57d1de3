import { CodedError } from '@nemea/core';

/** Why a list, policy, key or state was not read. */
export type ImaErrorCode =
  /** More than a stated limit: bytes, entries, names. */
  | 'IMA_TOO_LARGE'
  /** A binary list ends inside an entry. */
  | 'IMA_TRUNCATED'
  /** An entry of a binary list that no kernel writes. */
  | 'IMA_ENTRY_INVALID'
  /** A line of an ASCII list that no kernel writes. */
  | 'IMA_LINE_INVALID'
  /** Template data that is not what its template says. */
  | 'IMA_TEMPLATE_INVALID'
  /** An ASCII list names a template whose data cannot be rebuilt from text: read the binary list. */
  | 'IMA_TEMPLATE_UNKNOWN'
  /** No hash of that name here, or not what the list holds. */
  | 'IMA_BANK_UNSUPPORTED'
  | 'IMA_KEY_INVALID'
  | 'IMA_POLICY_INVALID'
  | 'IMA_STATE_INVALID';

/** The only error that this module throws for bad input. */
export class ImaError extends CodedError<ImaErrorCode> {}
