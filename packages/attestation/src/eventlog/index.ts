/**
 * TCG event logs: what the firmware and the boot loader say they extended into the PCRs (TCG PC Client Platform Firmware
 * Profile), also of confidential VMs (CCEL). A parsed log is untrusted; `verifyEventLog` holds it against quoted PCR values
 * and gives back, as a type of its own, only what was replayed. Trusts the quoted values that it is given. Pure, bounded,
 * and free of Node; does not judge whether what booted is good.
 */
export type { Bank } from './algorithms.ts';
export { EventLogError, type EventLogErrorCode } from './errors.ts';
export { EVENT_TYPE, type EventTypeName, eventTypeName } from './event-types.ts';
export type {
  EventLog,
  EventLogVerification,
  Finding,
  PcrMismatch,
  QuotedPcr,
  RawEvent,
  Registers,
  ReplayedEvent,
  ReplayedEvents,
  SpecId,
  VerifiedBoot,
} from './model.ts';
export { EVENTLOG_LIMITS, type ParseOptions, parseEventLog } from './parse.ts';
export { QUIRKS, type QuirkId } from './quirks.ts';
export { initialValue, replayEventLog } from './replay.ts';
export { unverifiedEvents, verifyEventLog } from './verify.ts';
