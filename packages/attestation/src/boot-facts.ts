import { toHex, toUtf8 } from '@nemea/core';
import { EVENT_TYPE, type Finding, type ReplayedEvent, type VerifiedBoot } from './eventlog/index.ts';

/** Something that a register vouches for, and the event of the log that shows it. */
export interface BootMeasurement {
  readonly event: number;
  /** A label: of a key list the name of its variable, otherwise what the log calls it. */
  readonly name: string;
  /** As reference values spell it, `sha256:<hex>`. */
  readonly digest: string;
}

/** What replayed events say about the boot, sorted by what the judge asks. */
export interface BootFacts {
  readonly isMeasured: boolean;
  /** Null when no event, or more than one, says so. */
  readonly secureBoot: boolean | null;
  readonly secureBootEvent: BootMeasurement | null;
  /** What PCR 7 holds before its separator, but for SecureBoot: PK, KEK, db, dbx, and whatever else was put there. */
  readonly keys: readonly BootMeasurement[];
  /** What PCR 7 holds behind its separator: what authorised each image. */
  readonly authorities: readonly BootMeasurement[];
  /** What PCR 2 and 4 hold, but for separators and actions. */
  readonly loaders: readonly BootMeasurement[];
  readonly commandLines: readonly { readonly event: number; readonly text: string }[];
  readonly errorSeparators: readonly ReplayedEvent[];
  readonly events: readonly ReplayedEvent[];
  readonly findings: readonly Finding[];
}

const SECURE_BOOT_PCR = 7;
const IMAGE_PCRS: readonly number[] = [2, 4];
/** An image is larger than any text that firmware measures as an action. */
const ACTION_BYTES_MAX = 128;

/**
 * The type of an event is the log's word: only its digest, and data that hashes to it, were measured. So everything in
 * a register is sorted by place and proven content, and what proves nothing counts as what must be known [ATT-25].
 */
export function bootFacts(boot: VerifiedBoot | null): BootFacts {
  const events = boot?.events ?? [];
  const inPcr7 = events.filter(({ pcr }) => pcr === SECURE_BOOT_PCR);
  const separator = inPcr7.findIndex(isSeparator);
  const before = separator === -1 ? inPcr7 : inPcr7.slice(0, separator);
  const switches = before.filter((event) => variableOf(event)?.name === 'SecureBoot');
  const only = separator !== -1 && switches.length === 1 ? switches[0] : undefined;
  return {
    isMeasured: boot !== null,
    secureBoot: only === undefined || before.some(isDebugMode) ? null : booleanOf(only),
    secureBootEvent: only === undefined ? null : measurementOf(only),
    keys: before.filter((event) => event !== only).map(measurementOf),
    authorities: separator === -1 ? [] : inPcr7.slice(separator + 1).map(measurementOf),
    loaders: events
      .filter((event) => IMAGE_PCRS.includes(event.pcr) && !isHarmless(event))
      .map(measurementOf),
    commandLines: [],
    errorSeparators: events.filter(isErrorSeparator),
    events,
    findings: boot?.findings ?? [],
  };
}

function measurementOf(event: ReplayedEvent): BootMeasurement {
  const { number, typeName, digests } = event;
  const digest = digests.sha256;
  const name = variableOf(event)?.name ?? `${typeName} ${number}`;
  // The SHA-256 bank is always quoted; without its digest no reference value fits.
  return { event: number, name, digest: digest === undefined ? 'none' : `sha256:${toHex(digest)}` };
}

function isSeparator({ type, measured }: ReplayedEvent): boolean {
  return type === EVENT_TYPE.EV_SEPARATOR && measured?.length === 4 && [0, 0xff].includes(measured[0] ?? 1);
}

/** PFP 1.06, 3.3.2.2: one in place of zeros or ones says that something failed before the boot. */
function isErrorSeparator({ type, data }: ReplayedEvent): boolean {
  if (type !== EVENT_TYPE.EV_SEPARATOR || data.length !== 4) return false;
  return toHex(data) === '01000000';
}

function isHarmless(event: ReplayedEvent): boolean {
  return isSeparator(event) || isErrorSeparator(event) || actionOf(event) !== null;
}

/** A short printable text, proven by its digest. */
function actionOf({ measured }: ReplayedEvent): string | null {
  if (measured === null || measured.length > ACTION_BYTES_MAX) return null;
  return measured.every((byte) => byte >= 0x20 && byte < 0x7f) ? toUtf8(measured) : null;
}

/** PFP 1.06, 3.3.4.8: firmware in debug mode ignores Secure Boot. */
function isDebugMode(event: ReplayedEvent): boolean {
  return actionOf(event) === 'UEFI Debug Mode';
}

const VARIABLE_HEADER_BYTES = 32;

/** UEFI_VARIABLE_DATA (PFP 1.06, 10.2.6) whose bytes the digest covers; null for anything else. */
function variableOf({
  measured,
}: ReplayedEvent): { readonly name: string; readonly value: Uint8Array } | null {
  if (measured === null || measured.length < VARIABLE_HEADER_BYTES) return null;
  const view = new DataView(measured.buffer, measured.byteOffset, measured.byteLength);
  const nameBytes = 2 * Number(view.getBigUint64(16, true));
  const valueBytes = Number(view.getBigUint64(24, true));
  if (VARIABLE_HEADER_BYTES + nameBytes + valueBytes !== measured.length) return null;
  let name = '';
  for (let at = 0; at < nameBytes; at += 2) {
    name += String.fromCharCode(view.getUint16(VARIABLE_HEADER_BYTES + at, true));
  }
  return { name: name.replace(/\0+$/, ''), value: measured.subarray(VARIABLE_HEADER_BYTES + nameBytes) };
}

function booleanOf(event: ReplayedEvent): boolean | null {
  const value = variableOf(event)?.value;
  return value?.length === 1 && (value[0] === 0 || value[0] === 1) ? value[0] === 1 : null;
}
