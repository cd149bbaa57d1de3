import { toHex, toUtf8 } from '@nemea/core';
import type { CommandLine } from './command-line.ts';
import { utf16Text } from './eventlog/boot-loader.ts';
import {
  decodeEvent,
  describeBoot,
  type Finding,
  type ReplayedEvent,
  type VerifiedBoot,
} from './eventlog/index.ts';
import { textOrNull, trimNuls } from './eventlog/reader.ts';

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
  readonly commandLines: readonly CommandLine[];
  /** Command lines and whatever else boot loaders measured as text: forbidden words are looked for in all of it. */
  readonly texts: readonly CommandLine[];
  /** Where a command line may hide: what the log calls one, or what is in PCR 8 or 12, without the text that was measured. */
  readonly unprovenTexts: readonly { readonly event: number; readonly pcr: number }[];
  /** The command line as the kernel measured it into PCR 9: its digest is there, its text is not. */
  readonly loadOptions: readonly { readonly event: number }[];
  /** SHA-256 registers whose quoted value the log reaches. */
  readonly explainedPcrs: readonly number[];
  readonly errorSeparators: readonly ReplayedEvent[];
  readonly events: readonly ReplayedEvent[];
  readonly findings: readonly Finding[];
}

const SECURE_BOOT_PCR = 7;
const IMAGE_PCRS: readonly number[] = [2, 4];
/** Where boot loaders measure command lines, GRUB in PCR 8 and systemd in PCR 12, and nothing that is no text. */
export const LINE_PCRS: readonly number[] = [8, 12];
/** Where loaders and kernels measure files and descriptions as well. */
const TEXT_PCRS: readonly number[] = [...LINE_PCRS, 9, 11];
/** Where the EFI stub of Linux measures its load options and the initrd. */
export const LOAD_OPTIONS_PCR = 9;
/** An image is larger than any text that firmware measures as an action. */
const ACTION_BYTES_MAX = 128;

/**
 * The type of an event is the log's word: only its digest, and bytes that hash to it, were measured. So everything in
 * a register is sorted by place and proven content, and what proves nothing counts as what must be known [ATT-25].
 */
export function bootFacts(boot: VerifiedBoot | null, findings: readonly Finding[]): BootFacts {
  if (boot === null) return NOTHING;
  const { events } = boot;
  const description = describeBoot(boot);
  const paths = new Map(
    [...description.drivers, ...description.bootLoaders].map(({ event, devicePath }) => [event, devicePath]),
  );
  const inPcr7 = events.filter(({ pcr }) => pcr === SECURE_BOOT_PCR);
  const separator = inPcr7.findIndex(isSeparator);
  const before = separator === -1 ? inPcr7 : inPcr7.slice(0, separator);
  const behind = separator === -1 ? [] : inPcr7.slice(separator + 1);
  const { enabled } = description.secureBoot;
  const isDebug = before.some((event) => actionOf(event) === DEBUG_MODE);
  const inLinePcrs = events.filter((event) => LINE_PCRS.includes(event.pcr) && !isSeparator(event));
  const proven = inLinePcrs.flatMap((event) => provenText(event) ?? []);
  const labelled = description.kernelCommandLines.filter(({ pcr }) => !LINE_PCRS.includes(pcr));
  const commandLines = [
    ...proven.filter(({ isCommandLine }) => isCommandLine),
    ...labelled.filter(({ verified }) => verified),
  ].map(({ event, pcr, text }) => ({ event, pcr, text }));
  return {
    isMeasured: true,
    secureBoot: enabled === true && (separator === -1 || isDebug) ? null : enabled,
    secureBootEvent: before.map(measurementOf).find(({ name }) => name === SECURE_BOOT) ?? null,
    keys: before.map(measurementOf).filter(({ name }) => name !== SECURE_BOOT),
    authorities: behind.map(measurementOf),
    loaders: events
      .filter((event) => IMAGE_PCRS.includes(event.pcr) && !isHarmless(event))
      .map((event) => ({
        ...measurementOf(event),
        name: paths.get(event.number) || measurementOf(event).name,
      })),
    commandLines: commandLines.sort((a, b) => a.event - b.event),
    texts: [...commandLines, ...proven.filter(({ isCommandLine }) => !isCommandLine)],
    unprovenTexts: [
      ...inLinePcrs
        .filter((event) => provenText(event) === null)
        .map(({ number, pcr }) => ({ event: number, pcr })),
      ...labelled.filter(({ pcr, verified }) => TEXT_PCRS.includes(pcr) && !verified),
    ],
    loadOptions: description.files.filter(
      ({ pcr, role }) => pcr === LOAD_OPTIONS_PCR && role === 'load-options',
    ),
    explainedPcrs: boot.pcrs.filter(({ bank }) => bank === 'sha256').map(({ pcr }) => pcr),
    errorSeparators: events.filter((event) => measuredHex(event) === ERROR_SEPARATOR && !isBootOrder(event)),
    events,
    findings,
  };
}

const NOTHING: BootFacts = {
  isMeasured: false,
  secureBoot: null,
  secureBootEvent: null,
  keys: [],
  authorities: [],
  loaders: [],
  commandLines: [],
  texts: [],
  unprovenTexts: [],
  loadOptions: [],
  explainedPcrs: [],
  errorSeparators: [],
  events: [],
  findings: [],
};

const SECURE_BOOT = 'SecureBoot';
/** PFP 1.06, 3.3.4.8: firmware in debug mode ignores Secure Boot. */
const DEBUG_MODE = 'UEFI Debug Mode';
/** PFP 1.06, 3.3.2.2: zeros or ones end what the firmware measures before it hands over; 1 says that it met an error. */
const SEPARATORS: readonly string[] = ['00000000', 'ffffffff'];
const ERROR_SEPARATOR = '01000000';

function measurementOf(event: ReplayedEvent): BootMeasurement {
  const { number, typeName, digests, dataVerified } = event;
  const { body } = decodeEvent(event);
  const name = body.kind === 'variable' && dataVerified ? body.variable.name : `${typeName} ${number}`;
  const digest = digests.sha256;
  // The SHA-256 bank is always quoted; without its digest no reference value fits.
  return { event: number, name, digest: digest === undefined ? 'none' : `sha256:${toHex(digest)}` };
}

/** Of the four bytes that a separator may be. */
function measuredHex({ measured }: ReplayedEvent): string | null {
  return measured?.length === 4 ? toHex(measured) : null;
}

function isSeparator(event: ReplayedEvent): boolean {
  const hex = measuredHex(event);
  return hex !== null && (SEPARATORS.includes(hex) || hex === ERROR_SEPARATOR);
}

/**
 * Of the variable BootOrder firmware measures the value alone, and the order 0001, 0000 is the same four bytes. The log's
 * word is taken for that in PCR 1, because firmware that meets an error caps every one of PCR 0 to 7.
 */
function isBootOrder(event: ReplayedEvent): boolean {
  const { body } = decodeEvent(event);
  return event.pcr === 1 && body.kind === 'variable' && body.variable.name === 'BootOrder';
}

/**
 * The text in PCR 8 or 12 whose hash was measured. GRUB measures no label, so what is a command line shows in the text
 * itself: it starts with the path of the kernel, as none of GRUB's commands does. systemd's are UTF-16.
 */
function provenText({
  number,
  pcr,
  measured,
}: ReplayedEvent): (CommandLine & { isCommandLine: boolean }) | null {
  if (measured === null) return null;
  const wide = utf16Text(measured);
  if (wide !== null) return { event: number, pcr, text: wide, isCommandLine: true };
  const padded = textOrNull(measured);
  const narrow = padded === null ? null : trimNuls(padded);
  if (narrow === null || /\p{Cc}/u.test(narrow.replace(/[\t\n\r]/g, ''))) return null;
  return { event: number, pcr, text: narrow, isCommandLine: /^[/(]/.test(narrow) };
}

function isHarmless(event: ReplayedEvent): boolean {
  return isSeparator(event) || actionOf(event) !== null;
}

/** A short printable text, proven by its digest. */
function actionOf({ measured }: ReplayedEvent): string | null {
  if (measured === null || measured.length > ACTION_BYTES_MAX) return null;
  return measured.every((byte) => byte >= 0x20 && byte < 0x7f) ? toUtf8(measured) : null;
}
