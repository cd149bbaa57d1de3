import { CodedError } from '@nemea/core';

/** Why a log was refused as a whole. What merely looks odd is a `Finding` and refuses nothing. */
export type EventLogErrorCode =
  | 'EVENTLOG_ALGORITHM_UNKNOWN'
  | 'EVENTLOG_DIGESTS_INVALID'
  | 'EVENTLOG_DUPLICATE_BANK'
  | 'EVENTLOG_EMPTY'
  | 'EVENTLOG_HEADER_INVALID'
  | 'EVENTLOG_PCR_INVALID'
  | 'EVENTLOG_TOO_LARGE'
  | 'EVENTLOG_TRAILING_DATA'
  | 'EVENTLOG_TRUNCATED';

/** The one error that this folder throws. `data` holds the number and the offset of the event, when there is one. */
export class EventLogError extends CodedError<EventLogErrorCode> {}
