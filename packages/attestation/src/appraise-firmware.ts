/** The claim that the firmware's event log explains its registers; every claim about the boot stands on it. */
import { toHex } from '@nemea/core';
import type { Appraisal } from './appraisal.ts';
import { affirm, claimOf, leaveOut, refuse } from './claim.ts';
import {
  type EventLog,
  EventLogError,
  type EventLogVerification,
  type Finding,
  inspectEventLog,
  type PcrMismatch,
  parseEventLog,
  type QuotedPcr,
  type VerifiedBoot,
  verifyEventLog,
} from './eventlog/index.ts';
import { type Evidence, MEASURED_PCR, type PcrValue } from './evidence.ts';
import type { MeasuredRegister } from './replay.ts';
import type { AppraisedClaim } from './result.ts';

/** What the firmware claim leaves to the claims about the boot. */
export interface FirmwareAppraisal {
  readonly claim: AppraisedClaim;
  /** Events that replay to quoted values; null when there are none to believe. */
  readonly boot: VerifiedBoot | null;
  /** Oddities of the log, of its frame and of what its events say. */
  readonly findings: readonly Finding[];
  /** A refusal that whoever carries the evidence could have caused by changing the log. */
  readonly isMessengersWork: boolean;
}

const FIRMWARE_PCRS_MAX = 7;
/**
 * Registers of boot loaders, where programs may measure after the boot, into other logs: their events are believed when
 * they replay, and nothing is demanded of them. PCR 10 is IMA's.
 */
const LOADER_PCRS: readonly number[] = [8, 9, 11, 12, 13, 14, 15];

/** The firmware's log as the evidence carries it: null when there is none, the error of one that cannot be read. */
export function readEventLog({ eventLog }: Evidence): EventLog | EventLogError | null {
  if (eventLog === undefined) return null;
  try {
    return parseEventLog(eventLog);
  } catch (error) {
    if (error instanceof EventLogError) return error;
    throw error;
  }
}

/** PCR 0 to 7 are explained by the log, or nothing was measured into them [ATT-24]. */
export function appraiseFirmware(
  input: Appraisal,
  digest: AppraisedClaim,
  log: EventLog | EventLogError | null,
  register: MeasuredRegister | null,
): FirmwareAppraisal {
  const { evidence, policy } = input;
  const measured = findMeasured(evidence.pcrs) ?? findMeasured(evidence.pcrsSha384 ?? []);
  const bytes = evidence.eventLog;
  const source = bytes === undefined ? 'evidence.pcrs' : `evidence.eventLog, ${bytes.length} bytes`;
  const claim = claimOf(
    'firmware',
    source,
    measured?.value ?? null,
    `PCR 0 to ${FIRMWARE_PCRS_MAX} as quoted`,
  );
  const without = (it: AppraisedClaim, isMessengersWork = false) => ({
    claim: it,
    boot: null,
    findings: [],
    isMessengersWork,
  });

  if (digest.verdict !== 'affirming') return without(leaveOut(claim));
  if (measured === undefined && log === null) {
    if (policy.firmware.unmeasured === 'allow') {
      return without(affirm(claim, 'no measured boot: the quoted PCRs up to 7 are zero'));
    }
    return without(refuse(claim, 'FIRMWARE_UNMEASURED', 'PCR 0 to 7 are zero: nothing was measured at boot'));
  }
  if (log === null) {
    const which = `PCR ${measured?.pcr} is measured`;
    return without(refuse(claim, 'FIRMWARE_NO_EVENT_LOG', `${which}, and no event log explains it`), true);
  }
  if (log instanceof EventLogError) {
    return without(refuse(claim, 'FIRMWARE_LOG_MALFORMED', `${log.code}: ${log.message}`), true);
  }
  const verification = replay(evidence, log, register?.boot ?? null);
  if (!verification.ok) {
    return without(
      refuse(claim, 'FIRMWARE_LOG_REPLAY_WRONG', describeMismatch(verification.mismatches)),
      true,
    );
  }
  const { boot } = verification;
  const numbers = boot.pcrs.filter(({ bank }) => bank === 'sha256').map(({ pcr }) => pcr);
  const detail = `${boot.events.length} events replay to PCR ${numbers.join(', ')}`;
  const findings = [...boot.findings, ...inspectEventLog(log)];
  return { claim: affirm(claim, detail), boot, findings, isMessengersWork: false };
}

/**
 * Registers of boot loaders that the log does not explain are left out, and so are their events. PCR 14 of a node is
 * explained by both logs together; then what the boot left there is as good as quoted [ATT-30].
 */
function replay(evidence: Evidence, log: EventLog, boot: Uint8Array | null): EventLogVerification {
  const firmware = quotedPcrs(evidence, (pcr) => pcr <= FIRMWARE_PCRS_MAX);
  const loaders = quotedPcrs(evidence, (pcr) => LOADER_PCRS.includes(pcr)).map((it) =>
    it.pcr === MEASURED_PCR && it.bank === 'sha256' && boot !== null ? { ...it, value: boot } : it,
  );
  const whole = verifyEventLog(log, [...firmware, ...loaders]);
  if (whole.ok) return whole;
  const unexplained = new Set(whole.mismatches.map(({ pcr }) => pcr));
  return verifyEventLog(log, [...firmware, ...loaders.filter(({ pcr }) => !unexplained.has(pcr))]);
}

/** The first register of the firmware that something was measured into. */
function findMeasured(values: readonly PcrValue[]): PcrValue | undefined {
  return values.find(({ pcr, value }) => pcr <= FIRMWARE_PCRS_MAX && !isZero(value));
}

function isZero(value: Uint8Array): boolean {
  for (const byte of value) if (byte !== 0) return false;
  return true;
}

function quotedPcrs(evidence: Evidence, isWanted: (pcr: number) => boolean): QuotedPcr[] {
  const sha256 = evidence.pcrs.map(({ pcr, value }) => ({ bank: 'sha256' as const, pcr, value }));
  const sha384 = (evidence.pcrsSha384 ?? []).map(({ pcr, value }) => ({
    bank: 'sha384' as const,
    pcr,
    value,
  }));
  return [...sha256, ...sha384].filter(({ pcr }) => isWanted(pcr));
}

function describeMismatch(mismatches: readonly PcrMismatch[]): string {
  const first = mismatches[0];
  if (first === undefined) return 'the log does not replay';
  const which = mismatches.map(({ bank, pcr }) => `${bank}:${pcr}`).join(', ');
  const got = first.got === null ? 'no value' : toHex(first.got).slice(0, 16);
  return `the log does not replay to ${which}: got ${got}, want ${toHex(first.want).slice(0, 16)}`;
}
