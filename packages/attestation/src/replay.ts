import { bytesEqual, hashDomain, sha256 } from '@nemea/core';
import { type EventLog, EventLogError } from './eventlog/index.ts';
import { isExtended } from './eventlog/replay.ts';
import { type Evidence, knownEventDigest, MEASURED_PCR } from './evidence.ts';

/**
 * What a node extends PCR 14 with before its first event. What the boot left there ends where this first stands: the
 * register splits in one way only, and nothing that a node measured passes for a part of the boot [ATT-30].
 */
const START = hashDomain('nemea/log/1');
const UNTOUCHED = new Uint8Array(32);

/** A copy of what a node extends PCR 14 with first, for whoever extends a TPM. */
export function startDigest(): Uint8Array {
  return START.slice();
}

/** The value that PCR 14 has after a node's events, from what the boot left there (TPM 2.0 Part 1, 17.2) [ATT-30]. */
export function replayLog(log: Evidence['log'], boot: Uint8Array = UNTOUCHED): Uint8Array {
  let value: Uint8Array = sha256(boot, START);
  for (const event of log) value = sha256(value, knownEventDigest(event));
  return value;
}

/**
 * What the boot left in PCR 14, for instance what shim trusts, by the word of the firmware's log; zeros without one. Only
 * the register proves it. The problem: a log that has a node's events for its own, or no SHA-256 digest.
 */
export function replayBoot(log: EventLog | null): { value: Uint8Array } | { problem: string } {
  let value: Uint8Array = UNTOUCHED.slice();
  for (const event of log?.events ?? []) {
    if (event.pcr !== MEASURED_PCR || !isExtended(event)) continue;
    const digest = event.digests.sha256;
    if (digest === undefined) return { problem: `event ${event.number} of PCR 14 has no SHA-256 digest` };
    if (bytesEqual(digest, START)) return { problem: `event ${event.number} is the start of a node's log` };
    value = sha256(value, digest);
  }
  return { value };
}

/** How PCR 14 splits into what the boot left there and what a node measured. */
export interface MeasuredRegister {
  /** The value that both logs come to; null, and a problem, when they come to none. */
  readonly replayed: Uint8Array | null;
  readonly problem: string | null;
  /** What the boot left there; null when the logs do not come to the register's value. */
  readonly boot: Uint8Array | null;
}

/** For evidence whose registers are as quoted. */
export function splitRegister(
  evidence: Evidence,
  eventLog: EventLog | EventLogError | null,
): MeasuredRegister {
  if (eventLog instanceof EventLogError) {
    return { replayed: null, problem: 'the event log is malformed', boot: null };
  }
  const boot = replayBoot(eventLog);
  if ('problem' in boot) return { replayed: null, problem: boot.problem, boot: null };
  const replayed = replayLog(evidence.log, boot.value);
  const quoted = evidence.pcrs.find(({ pcr }) => pcr === MEASURED_PCR);
  const isReached = quoted !== undefined && bytesEqual(quoted.value, replayed);
  return { replayed, problem: null, boot: isReached ? boot.value : null };
}
