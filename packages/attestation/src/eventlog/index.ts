/**
 * TCG event logs: what the firmware and the boot loader say they extended into the PCRs (TCG PC Client Platform Firmware
 * Profile), also of confidential VMs (CCEL). A parsed log is untrusted; `verifyEventLog` holds it against quoted PCR values
 * and gives back, as a type of its own, only what was replayed. Trusts the quoted values that it is given. Pure, bounded,
 * and free of Node; does not judge whether what booted is good.
 */
export type { Bank } from './algorithms.ts';
export type {
  ConfigurationTable,
  EventBody,
  ImageLoadEvent,
  LoaderEvent,
  Locator,
  NoActionBody,
  PlatformIdentity,
} from './body.ts';
export { looksConfidential } from './confidential.ts';
export { type Decodable, type Decoded, decodeEvent } from './decode.ts';
export {
  type BootDescription,
  type BootOption,
  describeBoot,
  type FirmwareBlob,
  type ImageSection,
  type LoadedImage,
  type MeasuredFile,
  type MeasuredText,
  type Separator,
} from './describe.ts';
export type { DevicePathNode } from './device-path.ts';
export { EventLogError, type EventLogErrorCode } from './errors.ts';
export { EVENT_TYPE, type EventTypeName, eventTypeName } from './event-types.ts';
export type { Gpt, GptPartition } from './gpt.ts';
export { inspectEventLog } from './inspect.ts';
export { type MeasuredPart, measuredPart, type Part } from './measured.ts';
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
export type { Authority, SecureBootState } from './secure-boot.ts';
export type { Signature, SignatureList, SignatureType } from './signature-list.ts';
export type { TaggedEvent } from './sipa.ts';
export type { DeviceSecurity, PciDevice } from './spdm.ts';
export type { LoadOption, Variable, VariableContent } from './variable.ts';
export { unverifiedEvents, verifyEventLog } from './verify.ts';
