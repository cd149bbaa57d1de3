import { bytesEqual, fromUtf8, mintVerified } from '@nemea/core';
import { algorithmOf, type Bank } from './algorithms.ts';
import { measuredPart } from './measured.ts';
import type {
  EventLog,
  EventLogVerification,
  Finding,
  PcrMismatch,
  QuotedPcr,
  RawEvent,
  ReplayedEvent,
  ReplayedEvents,
} from './model.ts';
import { initialValue, isExtended, replayBank } from './replay.ts';

/**
 * Holds a log against register values that somebody vouches for. Only when every one of them is reached exactly do
 * events come back, and only those that went into them, with the digests of the quoted banks. [LOG-10]
 * What is not quoted is not returned: quoting nothing verifies nothing.
 */
export function verifyEventLog(log: EventLog, quoted: readonly QuotedPcr[]): EventLogVerification {
  const replayed = new Map(banksOf(quoted).map((bank) => [bank, replayIfPresent(log, bank)]));
  const mismatches: PcrMismatch[] = [];
  const findings: Finding[] = [];
  for (const { bank, pcr, value } of quoted) {
    const values = replayed.get(bank);
    const got = values === undefined ? null : registerValue(log, values, bank, pcr);
    if (got !== null && bytesEqual(got, value)) continue;
    const finding = got === null ? null : explainMissingExit(log, { bank, pcr, value }, got);
    if (finding === null) mismatches.push({ bank, pcr, want: value, got });
    else findings.push(finding);
  }
  if (mismatches.length > 0) return { ok: false, mismatches };
  return { ok: true, boot: mintVerified(collectEvents(log, quoted, findings)) };
}

/** The whole log as if it had been verified, for showing it. Its type keeps it out of every judgement. */
export function unverifiedEvents(log: EventLog): ReplayedEvents {
  const quoted = log.banks.flatMap((bank) =>
    [...replayBank(log, bank)].map(([pcr, value]) => ({ bank, pcr, value })),
  );
  return collectEvents(log, quoted, []);
}

function banksOf(quoted: readonly QuotedPcr[]): Bank[] {
  return [...new Set(quoted.map(({ bank }) => bank))];
}

function replayIfPresent(log: EventLog, bank: Bank): Map<number, Uint8Array> | undefined {
  return log.banks.includes(bank) ? replayBank(log, bank) : undefined;
}

/** Null when the log extends the register in another bank only, so that nothing can be said. */
function registerValue(
  log: EventLog,
  values: ReadonlyMap<number, Uint8Array>,
  bank: Bank,
  pcr: number,
): Uint8Array | null {
  const value = values.get(pcr);
  if (value !== undefined) return value;
  return log.events.some((event) => event.pcr === pcr && isExtended(event))
    ? null
    : initialValue(log, bank, pcr);
}

const EXIT_INVOCATION = 'Exit Boot Services Invocation';
const EXIT_SUCCESS = 'Exit Boot Services Returned with Success';
const EXIT_FAILURE = 'Exit Boot Services Returned with Failure';
const EXITS = [
  [EXIT_INVOCATION, EXIT_SUCCESS],
  [EXIT_INVOCATION, EXIT_FAILURE],
  [EXIT_INVOCATION, EXIT_FAILURE, EXIT_SUCCESS],
  [EXIT_INVOCATION, EXIT_FAILURE, EXIT_INVOCATION, EXIT_SUCCESS],
].map((texts) => texts.map(fromUtf8));

/** A log that the kernel copied before ExitBootServices lacks these last events of the firmware. [LOG-11] */
function explainMissingExit(log: EventLog, { bank, pcr, value }: QuotedPcr, got: Uint8Array): Finding | null {
  if (pcr !== (log.registers === 'pcr' ? 5 : 2)) return null;
  const { hash } = algorithmOf(bank);
  const invocation = hash(fromUtf8(EXIT_INVOCATION));
  const isThere = ({ pcr: of, digests }: RawEvent): boolean =>
    of === pcr && digests[bank] !== undefined && bytesEqual(digests[bank], invocation);
  if (log.events.some(isThere)) return null;
  for (const exit of EXITS) {
    const reached = exit.reduce((register, text) => hash(register, hash(text)), got);
    if (!bytesEqual(reached, value)) continue;
    const message = `${bank}: the register holds ${exit.length} events of ExitBootServices that the log lacks`;
    return { quirk: 'exit-boot-services-missing', event: null, message };
  }
  return null;
}

function collectEvents(
  log: EventLog,
  quoted: readonly QuotedPcr[],
  findings: readonly Finding[],
): ReplayedEvents {
  const banksByPcr = Map.groupBy(quoted, ({ pcr }) => pcr);
  const events: ReplayedEvent[] = [];
  for (const event of log.events) {
    const banks = isExtended(event) ? banksByPcr.get(event.pcr) : undefined;
    if (banks !== undefined) events.push(toReplayed(event, banksOf(banks)));
  }
  return { registers: log.registers, pcrs: quoted, events, findings };
}

function toReplayed(event: RawEvent, banks: readonly Bank[]): ReplayedEvent {
  const { number, pcr, type, typeName, data } = event;
  const digests: Partial<Record<Bank, Uint8Array>> = {};
  for (const bank of banks) digests[bank] = event.digests[bank] as Uint8Array;
  // The strongest quoted bank decides: collisions of SHA-1 can be bought.
  const strongest = banks.find((bank) => bank !== 'sha1') ?? (banks[0] as Bank);
  const measured = measuredPart(event, strongest)?.bytes ?? null;
  return { number, pcr, type, typeName, digests, data, measured, dataVerified: measured !== null };
}
