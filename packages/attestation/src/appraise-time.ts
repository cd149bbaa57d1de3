/** The claims about time: the TPM's clock, and the verifier's. */
import type { QuoteAttest } from '@nemea/tpm/structures';
import type { Appraisal, ClockRecord } from './appraisal.ts';
import { freshnessOf } from './appraise-quote.ts';
import { affirm, claimOf, leaveOut, notDemanded, refuse, warn } from './claim.ts';
import { clockDecrease } from './clock-registry.ts';
import type { AppraisedClaim } from './result.ts';

/** (resetCount, clock) never decreases for one AK: clones and rolled-back TPMs show here [ATT-7]. */
export function appraiseClock(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
  const { clockBefore: before, policy } = input;
  const claim = claimOf(
    'clock',
    'evidence.attest.clockInfo',
    quote === null ? null : describeClock(quote.clockInfo),
    before === undefined ? null : describeClock(before),
  );
  if (quote === null) return leaveOut(claim);
  const decrease = before === undefined ? null : clockDecrease(before, quote.clockInfo);
  if (decrease !== null) return refuse(claim, decrease, 'a cloned, cleared or rolled-back TPM');
  if (before === undefined && policy.clock.recordRequired) {
    return refuse(claim, 'CLOCK_NOT_RECORDED', 'no earlier clock of this key is on record');
  }
  if (!quote.clockInfo.safe) {
    const say = policy.clock.unsafe === 'warn' ? warn : refuse;
    return say(claim, 'CLOCK_UNSAFE', 'the TPM lost power without shutdown, its clock may repeat');
  }
  return affirm(claim, before === undefined ? 'safe, no earlier record' : 'safe, not behind the record');
}

/** Challenge or epoch make the quote fresh [ATT-21]; the deadline bounds how long an answer may be held back. */
export function appraiseFreshness(input: Appraisal, quote: QuoteAttest | null): AppraisedClaim {
  const { deadlineMs } = input.expected;
  const claim = claimOf('freshness', 'time of appraisal', input.nowMs, deadlineMs ?? null);
  if (quote === null) return leaveOut(claim);
  if (freshnessOf(input.expected) === 'none') {
    return notDemanded(claim, 'the policy accepts evidence of any time');
  }
  if (deadlineMs === undefined) return affirm(claim, 'made after its challenge; no deadline was set');
  if (input.nowMs > deadlineMs) return refuse(claim, 'EVIDENCE_STALE', 'answered after the deadline');
  return affirm(claim, 'answered in time');
}

function describeClock(clock: ClockRecord): string {
  return `reset ${clock.resetCount}, restart ${clock.restartCount}, ${clock.clock} ms`;
}
